// SPDX-License-Identifier: BSD-3-Clause
// How calls of the C interface end, and how they take their options.
#pragma once

#include <algorithm>
#include <cstring>
#include <exception>
#include <functional>
#include <new>
#include <string>

#include "base/error.h"
#include "llmcodec/llmcodec.h"
#include "llmcodec/model.h"

namespace llmcodec::c {

// Takes the error over into *out, if the caller wants it and there is memory for it.
llmcodec_status fail(Error failure, llmcodec_error** out) noexcept;

// Runs the body of a call, which returns a Status. Nothing is thrown past it.
template <class Body>
llmcodec_status guarded(llmcodec_error** out, const Body& body) noexcept {
  try {
    Status status = body();
    return status.is_ok() ? LLMCODEC_OK : fail(std::move(status).error(), out);
  } catch (const std::bad_alloc&) {
    return fail(Error{ErrorKind::kLimit, {}}, out);
  } catch (const std::exception& failure) {
    try {
      return fail(Error{ErrorKind::kInternal, failure.what()}, out);
    } catch (const std::bad_alloc&) {
      return fail(Error{ErrorKind::kInternal, {}}, out);
    }
  }
}

inline std::string text_or(const char* text, const char* otherwise = "") {
  return text != nullptr ? text : otherwise;
}

// InvalidArgument for NULL.
Status check_given(const void* argument, const char* name);
// A copy for the caller; bad_alloc.
char* copy_of(const std::string& text);

// The caller's options, of whatever version: members that he does not know are zero. InvalidArgument for a struct_size
// that was not set; Unsupported when a member that is not known here is set.
template <class Options>
Result<Options> options_of(const Options* given) {
  Options own{};
  if (given == nullptr) return own;
  size_t size = 0;
  std::memcpy(&size, given, sizeof(size));  // struct_size, the first member of all
  if (size < sizeof(size)) return error(ErrorKind::kInvalidArgument, "struct_size of the options is not set");
  const auto* bytes = reinterpret_cast<const unsigned char*>(given);
  for (size_t i = sizeof(Options); i < size; ++i) {
    if (bytes[i] != 0) return error(ErrorKind::kUnsupported, "an option of a later version is set");
  }
  std::memcpy(&own, given, std::min(size, sizeof(Options)));
  return own;
}

// Runs call(), whose report goes out as JSON.
template <class Call>
llmcodec_status reported(char** report, llmcodec_error** error, const Call& call) {
  return guarded(error, [&]() -> Status {
    if (report != nullptr) *report = nullptr;
    LLMC_ASSIGN_OR_RETURN(const auto made, call());
    if (report != nullptr) *report = copy_of(made.to_json());
    return Status::ok();
  });
}

// Empty for NULL.
inline std::function<bool()> cancelled_of(int (*cancelled)(void* user), void* user) {
  if (cancelled == nullptr) return {};
  return [cancelled, user] { return cancelled(user) != 0; };
}

Result<Control> control_of(const llmcodec_control* given);
Result<CompressOptions> compress_options_of(const llmcodec_compress_options* given);
// What a caller's function returned, when it is called to read.
Status read_status(int returned);

}  // namespace llmcodec::c
