// SPDX-License-Identifier: BSD-3-Clause
#include "raise.h"

namespace llmcodec::python {
namespace {

// Of any bytes: what a broken file calls its tensors must not make the error about it fail.
nb::object text(const std::string& bytes) {
  return nb::steal(
      PyUnicode_DecodeUTF8(bytes.data(), static_cast<Py_ssize_t>(bytes.size()), "backslashreplace"));
}

nb::object path_or_none(const std::string& path) {
  if (path.empty()) return nb::none();
  return nb::steal(PyUnicode_DecodeFSDefaultAndSize(path.data(), static_cast<Py_ssize_t>(path.size())));
}

}  // namespace

void raise(const Error& error) {
  const nb::object tensor = error.tensor.empty() ? nb::none() : text(error.tensor);
  const nb::object offset = error.offset ? nb::object(nb::int_(*error.offset)) : nb::object(nb::none());
  const nb::object exception =
      nb::module_::import_("llmcodec._errors")
          .attr("from_library")(error_kind_name(error.kind), text(error.to_string()), text(error.message),
                                path_or_none(error.file), tensor, offset);
  PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(exception.ptr())), exception.ptr());
  throw nb::python_error();
}

}  // namespace llmcodec::python
