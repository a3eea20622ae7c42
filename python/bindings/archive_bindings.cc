// SPDX-License-Identifier: BSD-3-Clause
#include "llmcodec/archive.h"

#include <nanobind/ndarray.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include "call.h"
#include "module.h"
#include "python_reads.h"

namespace llmcodec::python {
namespace {

using Memory = nb::ndarray<uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

// A call of the library, which may read by functions of Python's.
template <class Work>
auto run(const std::shared_ptr<PythonReads>& reads, const Work& work) {
  Call call;
  if (reads) call.when_stopped([reads] { reads->interrupt(); });
  try {
    return call.run([&] { return work(call); });
  } catch (nb::python_error& raised) {
    if (reads) reads->chain(raised);
    throw;
  }
}

// An archive, and the bytes that it is in where it is in memory, or the functions that read it.
struct OpenArchive {
  Archive archive;
  nb::object bytes = nb::none();
  std::shared_ptr<PythonReads> reads = {};

  static OpenArchive open(const nb::bytes& path, const Control& control) {
    Call call;
    return {call.run([&] { return Archive::open(path_of(path), control.environment); })};
  }
  static OpenArchive open_memory(const nb::bytes& bytes, const Control& control) {
    Call call;
    const std::span<const std::byte> view(static_cast<const std::byte*>(bytes.data()), bytes.size());
    return {call.run([&] { return Archive::open_memory(view, control.environment); }), bytes};
  }
  static OpenArchive open_sources(const std::vector<std::tuple<nb::bytes, uint64_t, nb::object>>& files,
                                  const Control& control) {
    const auto reads = std::make_shared<PythonReads>();
    std::vector<Archive::Source> sources;
    for (const auto& [name, size, read] : files)
      sources.push_back({path_of(name), size, reads->add(path_of(name), read)});
    return {run(reads, [&](Call&) { return Archive::open_sources(sources, control.environment); }),
            nb::none(), reads};
  }

  void decode(const std::vector<std::pair<size_t, Memory>>& tensors, const std::string& dtype,
              unsigned threads) const {
    std::vector<TensorMemory> memories;
    for (const auto& [tensor, memory] : tensors)
      memories.push_back({tensor, std::as_writable_bytes(std::span(memory.data(), memory.size()))});
    run(reads, [&](Call& call) { return archive.decode(memories, {dtype, threads, call.cancelled()}); });
  }
  void decode_rows(size_t tensor, uint64_t first, uint64_t last, const Memory& memory,
                   const std::string& dtype, unsigned threads) const {
    const auto out = std::as_writable_bytes(std::span(memory.data(), memory.size()));
    run(reads, [&](Call& call) {
      return archive.decode_rows(tensor, {first, last}, out, {dtype, threads, call.cancelled()});
    });
  }

  // (file, offset, bytes) of what is read for the tensor, or for rows of it.
  std::vector<std::tuple<size_t, uint64_t, uint64_t>> stored(
      size_t tensor, std::optional<std::pair<uint64_t, uint64_t>> rows) const {
    const auto range = rows ? std::optional(RowRange{rows->first, rows->second}) : std::nullopt;
    std::vector<std::tuple<size_t, uint64_t, uint64_t>> ranges;
    for (const StoredBytes& part : value_or_raise(archive.stored(tensor, range)))
      ranges.emplace_back(part.file, part.offset, part.bytes);
    return ranges;
  }
  void check_stored(std::optional<size_t> tensor) const {
    run(reads, [&](Call&) { return archive.check_stored(tensor); });
  }
  std::vector<std::pair<std::string, uint64_t>> files_beside() const {
    std::vector<std::pair<std::string, uint64_t>> files;
    for (const FileBeside& file : archive.files_beside()) files.emplace_back(file.name, file.bytes);
    return files;
  }
  void check_beside(const std::string& name, const nb::object& read) const {
    const auto beside = std::make_shared<PythonReads>();
    const Archive::ReadAt read_at = beside->add(name, read);
    run(beside, [&](Call&) { return archive.check_beside(name, read_at); });
  }
};

void bind_tensor(nb::module_& module) {
  nb::class_<ArchivedTensor>(module, "ArchivedTensor")
      .def_ro("name", &ArchivedTensor::name)
      .def_ro("dtype", &ArchivedTensor::dtype)
      .def_ro("decoded_dtype", &ArchivedTensor::decoded_dtype)
      .def_ro("shape", &ArchivedTensor::shape)
      .def_ro("elements", &ArchivedTensor::elements)
      .def_ro("rows", &ArchivedTensor::rows)
      .def_ro("cols", &ArchivedTensor::cols)
      .def_ro("coded", &ArchivedTensor::coded)
      .def_ro("stored_bytes", &ArchivedTensor::stored_bytes)
      .def_ro("same_as", &ArchivedTensor::same_as)
      .def_ro("position", &ArchivedTensor::position);
}

}  // namespace

void bind_archive(nb::module_& module) {
  bind_tensor(module);
  nb::class_<OpenArchive>(module, "Archive")
      .def_static("open", &OpenArchive::open, nb::arg("path"), nb::arg("control"))
      .def_static("open_memory", &OpenArchive::open_memory, nb::arg("bytes"), nb::arg("control"))
      .def_static("open_sources", &OpenArchive::open_sources, nb::arg("files"), nb::arg("control"))
      .def("stored", &OpenArchive::stored, nb::arg("tensor"), nb::arg("rows") = nb::none())
      .def("check_stored", &OpenArchive::check_stored, nb::arg("tensor") = nb::none())
      .def("files_beside", &OpenArchive::files_beside)
      .def("check_beside", &OpenArchive::check_beside, nb::arg("name"), nb::arg("read"))
      .def("tensors", [](const OpenArchive& self) { return self.archive.tensors(); })
      .def("metadata", [](const OpenArchive& self) { return self.archive.metadata(); })
      .def(
          "find",
          [](const OpenArchive& self, const std::string& name) {
            return value_or_raise(self.archive.find(name));
          },
          nb::arg("name"))
      .def(
          "byte_size",
          [](const OpenArchive& self, size_t tensor, const std::string& dtype) {
            return value_or_raise(self.archive.byte_size(tensor, dtype));
          },
          nb::arg("tensor"), nb::arg("dtype"))
      .def("decode", &OpenArchive::decode, nb::arg("tensors"), nb::arg("dtype"), nb::arg("threads"))
      .def("decode_rows", &OpenArchive::decode_rows, nb::arg("tensor"), nb::arg("first"), nb::arg("last"),
           nb::arg("memory"), nb::arg("dtype"), nb::arg("threads"));
}

}  // namespace llmcodec::python
