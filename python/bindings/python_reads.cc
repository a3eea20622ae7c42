// SPDX-License-Identifier: BSD-3-Clause
#include "python_reads.h"

#include "base/error.h"

namespace llmcodec::python {
namespace {

constexpr int kWritable = 0x200;  // PyBUF_WRITE, which the headers of CPython 3.10's stable ABI do not have

std::string text_of(nb::handle object) {
  const nb::object text = nb::steal(PyObject_Str(object.ptr()));
  Py_ssize_t size = 0;
  const char* bytes = text.is_valid() ? PyUnicode_AsUTF8AndSize(text.ptr(), &size) : nullptr;
  if (bytes != nullptr && size != 0) return {bytes, static_cast<size_t>(size)};
  PyErr_Clear();  // of a text that is none, such as one of surrogates
  return nb::type_name(object.type()).c_str();
}

}  // namespace

// The function is borrowed: the library copies it and drops copies without the GIL.
Archive::ReadAt PythonReads::add(const std::string& name, nb::object read) {
  reads_.push_back(std::move(read));
  return [this, name, borrowed = nb::handle(reads_.back())](uint64_t offset, std::span<std::byte> out) {
    const nb::gil_scoped_acquire held;
    Status status = call(borrowed, offset, out);
    return status.is_ok() ? Status::ok() : Status(std::move(status).error().in_file(name));
  };
}

// The view is released: whoever keeps it would else write into memory that is gone.
Status PythonReads::call(nb::handle read, uint64_t offset, std::span<std::byte> out) {
  try {
    const nb::object view = nb::steal(PyMemoryView_FromMemory(
        reinterpret_cast<char*>(out.data()), static_cast<Py_ssize_t>(out.size()), kWritable));
    if (!view.is_valid()) throw nb::python_error();
    read(offset, view);
    view.attr("release")();
    return Status::ok();
  } catch (nb::python_error& raised) {
    failure_ = nb::borrow(raised.value());
    return error(ErrorKind::kIo, "{}", text_of(raised.value()));
  }
}

void PythonReads::interrupt() const {
  for (const nb::object& read : reads_) {
    if (nb::hasattr(read, "interrupt")) read.attr("interrupt")();
  }
}

void PythonReads::chain(nb::python_error& raised) {
  const nb::object failure = std::exchange(failure_, nb::none());
  if (failure.is_none() || !nb::hasattr(raised.value(), "message")) return;
  // Another thread's call may have failed of something else.
  if (text_of(raised.value().attr("message")) != text_of(failure)) return;
  PyException_SetCause(raised.value().ptr(), nb::object(failure).release().ptr());
}

}  // namespace llmcodec::python
