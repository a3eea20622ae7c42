// SPDX-License-Identifier: BSD-3-Clause
// Errors as values: Status (success or an Error) and Result<T> (a T or an Error). Both must be looked at.
//
// Example (const std::string& path, Result<std::string> (&read_header)(const std::string& path)):
//
//   LLMC_ASSIGN_OR_RETURN(const std::string header, read_header(path));
//   if (header.size() > 1000) return Error{ErrorKind::kLimit, "the header is too large", path};
//
// Nothing here throws; no function of this project aborts because of its input. Context (file, tensor, byte
// offset) is added on the way up by the caller that knows it; the innermost context wins.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace llmcodec {

// What went wrong, for exit codes and exceptions: one kind per remedy, not per place.
enum class ErrorKind {
  kIo,               // the operating system refused: missing file, no space, no permission
  kCorrupt,          // the input breaks its own format
  kUnsupported,      // valid input that this program does not handle, or a missing external program
  kInvalidArgument,  // the caller's options or values are wrong (NaN in a tensor included)
  kLimit,            // a stated limit on sizes or time was passed
  kInterrupted,      // stopped by a signal
  kInternal,         // our own mistake
};

// "io", "corrupt", ...: stable, used in --json output.
const char* error_kind_name(ErrorKind kind);

struct [[nodiscard]] Error {
  ErrorKind kind = ErrorKind::kInternal;
  std::string message;
  std::string file = {};
  std::string tensor = {};
  std::optional<uint64_t> offset = {};  // bytes from the start of `file`

  // Each fills its field only when it is still empty, and returns *this for chaining.
  Error&& in_file(std::string path) &&;
  Error&& in_tensor(std::string name) &&;
  Error&& at_offset(uint64_t bytes) &&;
  // "FILE: tensor 'NAME': offset N: message", absent parts left out. One printable line, whatever the fields hold.
  std::string to_string() const;
};

class [[nodiscard]] Status {
 public:
  static Status ok() { return Status(); }
  Status(Error e) : error_(std::make_unique<Error>(std::move(e))) {}  // NOLINT: conversion is the point

  bool is_ok() const { return error_ == nullptr; }
  explicit operator bool() const { return is_ok(); }
  // Precondition: !is_ok().
  const Error& error() const& { return *error_; }
  Error&& error() && { return std::move(*error_); }

 private:
  Status() = default;
  std::unique_ptr<Error> error_;
};

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::in_place_index<0>, std::move(value)) {}  // NOLINT: conversion is the point
  Result(Error e) : value_(std::in_place_index<1>, std::move(e)) {}      // NOLINT: conversion is the point

  bool is_ok() const { return value_.index() == 0; }
  explicit operator bool() const { return is_ok(); }
  // Precondition of the value accessors: is_ok(); of error(): !is_ok().
  T& value() & { return *std::get_if<0>(&value_); }
  const T& value() const& { return *std::get_if<0>(&value_); }
  T&& value() && { return std::move(*std::get_if<0>(&value_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  const Error& error() const& { return *std::get_if<1>(&value_); }
  Error&& error() && { return std::move(*std::get_if<1>(&value_)); }

 private:
  std::variant<T, Error> value_;
};

}  // namespace llmcodec

#define LLMC_CONCAT_INNER(a, b) a##b
#define LLMC_CONCAT(a, b) LLMC_CONCAT_INNER(a, b)

// Evaluates a Status or Result; on failure returns its Error from the enclosing function.
#define LLMC_RETURN_IF_ERROR(expression) \
  LLMC_RETURN_IF_ERROR_INNER(LLMC_CONCAT(llmc_status_, __LINE__), expression)
#define LLMC_RETURN_IF_ERROR_INNER(status, expression) \
  do {                                                 \
    auto status = (expression);                        \
    if (!status.is_ok()) [[unlikely]]                  \
      return std::move(status).error();                \
  } while (false)

// LLMC_ASSIGN_OR_RETURN(auto x, f()): declares or assigns x from a Result, or returns its Error.
#define LLMC_ASSIGN_OR_RETURN(declaration, expression) \
  LLMC_ASSIGN_OR_RETURN_INNER(LLMC_CONCAT(llmc_result_, __LINE__), declaration, expression)
#define LLMC_ASSIGN_OR_RETURN_INNER(result, declaration, expression) \
  auto result = (expression);                                        \
  if (!result.is_ok()) [[unlikely]]                                  \
    return std::move(result).error();                                \
  declaration = std::move(result).value()
