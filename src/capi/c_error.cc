// SPDX-License-Identifier: BSD-3-Clause
#include "capi/c_error.h"

struct llmcodec_error {
  llmcodec::Error error;
  std::string text;
};

namespace llmcodec::c {
namespace {

llmcodec_status status_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kIo:
      return LLMCODEC_IO;
    case ErrorKind::kCorrupt:
      return LLMCODEC_CORRUPT;
    case ErrorKind::kUnsupported:
      return LLMCODEC_UNSUPPORTED;
    case ErrorKind::kInvalidArgument:
      return LLMCODEC_INVALID_ARGUMENT;
    case ErrorKind::kLimit:
      return LLMCODEC_LIMIT;
    case ErrorKind::kInterrupted:
      return LLMCODEC_INTERRUPTED;
    case ErrorKind::kInternal:
      return LLMCODEC_INTERNAL;
  }
  return LLMCODEC_INTERNAL;
}

}  // namespace

llmcodec_status fail(Error failure, llmcodec_error** out) noexcept {
  const llmcodec_status status = status_of(failure.kind);
  if (out == nullptr) return status;
  try {
    if (failure.message.empty()) failure.message = status == LLMCODEC_LIMIT ? "out of memory" : "unknown";
    std::string text = failure.to_string();
    *out = new llmcodec_error{std::move(failure), std::move(text)};
  } catch (const std::bad_alloc&) {
    *out = nullptr;  // the status must do
  }
  return status;
}

Status check_given(const void* argument, const char* name) {
  if (argument != nullptr) return Status::ok();
  return error(ErrorKind::kInvalidArgument, "{} is NULL", name);
}

char* copy_of(const std::string& text) {
  char* copy = new char[text.size() + 1];
  std::memcpy(copy, text.c_str(), text.size() + 1);
  return copy;
}

Status read_status(int returned) {
  if (returned == 0) return Status::ok();
  return error(ErrorKind::kIo, "the caller's read function returned {}", returned);
}

}  // namespace llmcodec::c

extern "C" {

const char* llmcodec_version(void) {
  return LLMCODEC_VERSION;
}

llmcodec_status llmcodec_error_kind(const llmcodec_error* error) {
  return llmcodec::c::status_of(error->error.kind);
}

const char* llmcodec_error_text(const llmcodec_error* error) {
  return error->text.c_str();
}

const char* llmcodec_error_message(const llmcodec_error* error) {
  return error->error.message.c_str();
}

const char* llmcodec_error_file(const llmcodec_error* error) {
  return error->error.file.c_str();
}

const char* llmcodec_error_tensor(const llmcodec_error* error) {
  return error->error.tensor.c_str();
}

int64_t llmcodec_error_offset(const llmcodec_error* error) {
  return error->error.offset ? static_cast<int64_t>(*error->error.offset) : -1;
}

void llmcodec_error_free(llmcodec_error* error) {
  delete error;
}

void llmcodec_string_free(char* text) {
  delete[] text;
}
}
