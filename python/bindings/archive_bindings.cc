// SPDX-License-Identifier: BSD-3-Clause
#include "llmcodec/archive.h"

#include <nanobind/ndarray.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "call.h"
#include "module.h"

namespace llmcodec::python {
namespace {

using Memory = nb::ndarray<uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

// An archive, and the bytes that it is in where it is in memory.
struct OpenArchive {
  Archive archive;
  nb::object bytes;

  static OpenArchive open(const nb::bytes& path, const Control& control) {
    Call call;
    return {call.run([&] { return Archive::open(path_of(path), control.environment); }), nb::none()};
  }
  static OpenArchive open_memory(const nb::bytes& bytes, const Control& control) {
    Call call;
    const std::span<const std::byte> view(static_cast<const std::byte*>(bytes.data()), bytes.size());
    return {call.run([&] { return Archive::open_memory(view, control.environment); }), bytes};
  }

  void decode(const std::vector<std::pair<size_t, Memory>>& tensors, const std::string& dtype,
              unsigned threads) const {
    std::vector<TensorMemory> memories;
    for (const auto& [tensor, memory] : tensors)
      memories.push_back({tensor, std::as_writable_bytes(std::span(memory.data(), memory.size()))});
    Call call;
    call.run([&] { return archive.decode(memories, {dtype, threads, call.cancelled()}); });
  }
  void decode_rows(size_t tensor, uint64_t first, uint64_t last, const Memory& memory,
                   const std::string& dtype, unsigned threads) const {
    const auto out = std::as_writable_bytes(std::span(memory.data(), memory.size()));
    Call call;
    call.run([&] {
      return archive.decode_rows(tensor, {first, last}, out, {dtype, threads, call.cancelled()});
    });
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
