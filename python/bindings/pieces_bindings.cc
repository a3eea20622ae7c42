// SPDX-License-Identifier: BSD-3-Clause
#include "llmcodec/pieces.h"

#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include "base/error.h"
#include "base/stand_in.h"
#include "call.h"
#include "module.h"
#include "python_reads.h"

namespace llmcodec::python {
namespace {

nb::bytes to_python(std::span<const std::byte> bytes) {
  return nb::bytes(bytes.data(), bytes.size());
}
std::span<const std::byte> from_python(const nb::bytes& bytes) {
  return {static_cast<const std::byte*>(bytes.data()), bytes.size()};
}

// A file elsewhere, for the functions of the library that take paths.
class ElsewhereFile {
 public:
  ElsewhereFile(const nb::bytes& path, uint64_t size, nb::object read)
      : file_(path_of(path), size, reads_.add(path_of(path), std::move(read))) {}

 private:
  PythonReads reads_;
  StandIn file_;
};

std::pair<nb::bytes, std::string> order_work_of(CompressOptions options, uint64_t piece_weights,
                                                nb::object progress) {
  Call call(std::move(progress));
  call.watch(&options.control);
  const OrderedWork work = call.run([&] { return order_work(options, piece_weights); });
  return {to_python(work.order), work.report.to_json()};
}

nb::bytes code_piece_of(const nb::bytes& order, const nb::bytes& input, const nb::bytes& hessian,
                        const Control& control, nb::object progress) {
  PieceOptions options{path_of(input), path_of(hessian), control};
  Call call(std::move(progress));
  call.watch(&options.control);
  return to_python(call.run([&] { return code_piece(from_python(order), options); }));
}

// Asks a function of Python's for pieces. What it raises comes out of the call in the end.
class PieceCalls {
 public:
  explicit PieceCalls(nb::object read) : read_(std::move(read)) {}
  Result<std::vector<std::byte>> operator()(uint64_t piece) {
    const nb::gil_scoped_acquire held;
    try {
      const auto bytes = nb::cast<nb::bytes>(read_(piece));
      const auto view = from_python(bytes);
      return std::vector<std::byte>(view.begin(), view.end());
    } catch (nb::python_error& raised) {
      failure_ = nb::borrow(raised.value());
      return error(ErrorKind::kIo, "piece {} cannot be read", piece);
    }
  }
  void raise_failure() {
    if (failure_.is_none()) return;
    PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(failure_.ptr())), failure_.ptr());
    throw nb::python_error();
  }

 private:
  nb::object read_;
  nb::object failure_ = nb::none();
};

std::string assemble_pieces(CompressOptions options, const OrderedPieces& ordered, nb::object read,
                            nb::object progress) {
  PieceCalls calls(std::move(read));
  Call call(std::move(progress));
  call.watch(&options.control);
  try {
    return call.run([&] { return assemble(options, ordered, [&](uint64_t piece) { return calls(piece); }); })
        .to_json();
  } catch (nb::python_error&) {
    calls.raise_failure();
    throw;
  }
}

void bind_coding(nb::module_& module) {
  nb::class_<ElsewhereFile>(module, "ElsewhereFile")
      .def(nb::init<const nb::bytes&, uint64_t, nb::object>(), nb::arg("path"), nb::arg("size"),
           nb::arg("read"));
  module.def("order_work", &order_work_of, nb::arg("options"), nb::arg("piece_weights"),
             nb::arg("progress").none());
  nb::class_<PieceInfo>(module, "PieceInfo")
      .def_ro("name", &PieceInfo::name)
      .def_ro("weights", &PieceInfo::weights)
      .def_ro("loops", &PieceInfo::loops)
      .def_ro("loop_cols", &PieceInfo::loop_cols);
  nb::class_<OrderedPieces>(module, "OrderedPieces")
      .def_static(
          "parse",
          [](const nb::bytes& order) { return value_or_raise(OrderedPieces::parse(from_python(order))); },
          nb::arg("order"))
      .def("pieces", &OrderedPieces::pieces)
      .def(
          "order_of",
          [](const OrderedPieces& self, size_t piece) {
            if (piece >= self.pieces().size()) throw nb::index_error();
            return to_python(self.order_of(piece));
          },
          nb::arg("piece"));
  module.def("code_piece", &code_piece_of, nb::arg("order"), nb::arg("input"), nb::arg("hessian"),
             nb::arg("control"), nb::arg("progress").none());
  module.def("assemble", &assemble_pieces, nb::arg("options"), nb::arg("ordered"), nb::arg("read"),
             nb::arg("progress").none());
}

// As the function decompress() takes them.
using RestoreArguments = std::tuple<std::string, bool, bool, std::string, uint64_t>;

DecompressOptions restore_options(const nb::bytes& input, const nb::bytes& output,
                                  const RestoreArguments& given, const Control& control) {
  const auto& [dtype, saturate, as_source, format, shard_size] = given;
  return {path_of(input), path_of(output), dtype, saturate, as_source, format, shard_size, control};
}

std::vector<std::tuple<std::string, uint64_t, uint64_t>> files_to_restore(const nb::bytes& input,
                                                                          const RestoreArguments& given) {
  Call call;
  const RestoredFiles restored =
      call.run([&] { return restored_files(restore_options(input, nb::bytes(""), given, {})); });
  std::vector<std::tuple<std::string, uint64_t, uint64_t>> files;
  for (const RestoredFiles::File& file : restored.files)
    files.emplace_back(file.name, file.bytes, file.parameters);
  return files;
}

void restore_file_of(const nb::bytes& input, const nb::bytes& output, const RestoreArguments& given,
                     const Control& control, size_t file) {
  DecompressOptions options = restore_options(input, output, given, control);
  Call call;
  call.watch(&options.control);
  call.run([&] { return restore_file(options, file); });
}

void restore_rest_of(const nb::bytes& input, const nb::bytes& output, const RestoreArguments& given) {
  Call call;
  call.run([&] { return restore_rest(restore_options(input, output, given, {})); });
}

std::vector<std::tuple<std::string, uint64_t, bool>> verify_rest_of(const nb::bytes& input) {
  Call call;
  std::vector<std::tuple<std::string, uint64_t, bool>> tensors;
  VerifyOptions options;
  options.input = path_of(input);
  for (const VerifyTensor& tensor : call.run([&] { return verify_rest(options); }))
    tensors.emplace_back(tensor.name, tensor.elements, tensor.coded);
  return tensors;
}

void verify_tensors_of(const nb::bytes& input, size_t first, size_t count, const Control& control) {
  VerifyOptions options{path_of(input), {}, control};
  Call call;
  call.watch(&options.control);
  call.run([&] { return verify_tensors(options, first, count); });
}

void bind_restoring(nb::module_& module) {
  module.def("restored_files", &files_to_restore, nb::arg("input"), nb::arg("options"));
  module.def("restore_file", &restore_file_of, nb::arg("input"), nb::arg("output"), nb::arg("options"),
             nb::arg("control"), nb::arg("file"));
  module.def("restore_rest", &restore_rest_of, nb::arg("input"), nb::arg("output"), nb::arg("options"));
  module.def("verify_rest", &verify_rest_of, nb::arg("input"));
  module.def("verify_tensors", &verify_tensors_of, nb::arg("input"), nb::arg("first"), nb::arg("count"),
             nb::arg("control"));
}

}  // namespace

void bind_pieces(nb::module_& module) {
  bind_coding(module);
  bind_restoring(module);
}

}  // namespace llmcodec::python
