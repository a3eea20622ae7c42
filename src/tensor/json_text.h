// SPDX-License-Identifier: BSD-3-Clause
// Small JSON helpers: quoting for the texts written here, and parsers for the texts read, which come from
// strangers: nesting and number of the values that they build are bounded (base/limits.h).
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "llmcodec/status.h"

namespace llmcodec {

// Appends `text` in quotes, control characters, quotes and backslashes escaped. Precondition: is_utf8(text).
void append_json_string(std::string_view text, std::string* out);

// Base of event handlers for parse_json(): everything is an error until a subclass accepts it. A handler
// returns false after fail(). Nothing throws; the parser keeps no recursion, so nesting costs no stack, but
// a handler that accepts nested values without bound must count their levels.
class JsonHandler {
 public:
  virtual ~JsonHandler() = default;
  virtual bool key(std::string&) { return unexpected("a key"); }
  virtual bool start_object(size_t) { return unexpected("an object"); }
  virtual bool end_object() { return unexpected("the end of an object"); }
  virtual bool start_array(size_t) { return unexpected("an array"); }
  virtual bool end_array() { return unexpected("the end of an array"); }
  virtual bool string(std::string&) { return unexpected("a string"); }
  virtual bool number_unsigned(uint64_t) { return unexpected("a number"); }
  virtual bool number_integer(int64_t) { return unexpected("a negative number"); }
  virtual bool number_float(double, const std::string&) {
    return unexpected("a number that is not an integer");
  }
  virtual bool boolean(bool) { return unexpected("true or false"); }
  virtual bool null() { return unexpected("null"); }
  bool binary(nlohmann::json::binary_t&) { return unexpected("binary data"); }
  bool parse_error(size_t position, const std::string& token, const nlohmann::detail::exception& exception);

 protected:
  // Records the first error (Corrupt unless said otherwise); always false, for `return fail(...)`.
  bool fail(std::string message, ErrorKind kind = ErrorKind::kCorrupt);
  bool fail(Error error);
  // "unexpected WHAT WHERE", where() given by the subclass.
  bool unexpected(const char* what);
  virtual std::string where() const { return "here"; }

 private:
  friend Status parse_json(std::string_view text, JsonHandler* handler);
  std::optional<Error> error_;
};

// Sends the events of `text`, one JSON value with nothing but white space after it, to the handler. Offsets
// of errors count from the start of `text`.
Status parse_json(std::string_view text, JsonHandler* handler);

// What is done about a key that an object has twice. Readers differ about which one counts, so a text of our own formats
// that has one could be two things; files of others, such as config.json, are taken as Python takes them.
enum class RepeatedKeys { kRefuse, kLastCounts };

// The value that `text` holds: `Json` is nlohmann::json, or nlohmann::ordered_json where the order of keys
// matters. Limit for more than kMaxJsonDepth levels or max_json_values() values, found before they are built; Corrupt for
// what is no JSON, and for repeated keys where they are refused. Errors carry no offset, for `text` is often a part of a
// file.
template <class Json>
Result<Json> parse_json_value(std::string_view text, RepeatedKeys repeated = RepeatedKeys::kLastCounts);

// Takes an entry of an object; what it refuses ends the parsing with its error.
using JsonEntryVisitor =
    std::function<Status(const std::string& member, const std::string& name, nlohmann::json value)>;

// The same of an object of which some members are objects with very many entries. The entries of the members
// listed in `split` go to `visit` one by one, in the order of the text, and are not kept: these members come
// back empty. So the tree never holds more than one of them, and the limit on values is for each. Repeated keys are
// refused, but for the names of these entries, which `visit` sees twice.
Result<nlohmann::json> parse_json_entries(std::string_view text, std::span<const std::string_view> split,
                                          const JsonEntryVisitor& visit);

}  // namespace llmcodec
