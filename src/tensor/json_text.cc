// SPDX-License-Identifier: BSD-3-Clause
#include "tensor/json_text.h"

#include <iterator>
#include <utility>
#include <vector>

#include "base/limits.h"

#include "base/error.h"

namespace llmcodec {
namespace {

// Length of the well-formed sequence at the start of `text` (not empty); 0 if there is none.
size_t utf8_sequence(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned lead = byte(0);
  if (lead < 0x80) return 1;
  const size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  const unsigned second = byte(1);
  const bool overlong = (lead == 0xe0 && second < 0xa0) || (lead == 0xf0 && second < 0x90);
  const bool surrogate = lead == 0xed && second >= 0xa0;
  const bool too_large = lead == 0xf4 && second >= 0x90;
  return overlong || surrogate || too_large ? 0 : length;
}

// Builds the value. nlohmann's own parser does so too, but has no limit on nesting: every level costs a heap
// block each way, and what later walks, prints or copies the value calls itself once per level.
template <class Json>
class ValueBuilder final : public JsonHandler {
 public:
  Json& root() { return root_; }

  bool start_object(size_t) override { return open(Json::object()); }
  bool start_array(size_t) override { return open(Json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool key(std::string& key) override {
    member_ = &(*open_.back())[std::move(key)];
    return true;
  }
  bool string(std::string& text) override { return put(std::move(text)); }
  bool number_unsigned(uint64_t value) override { return put(value); }
  bool number_integer(int64_t value) override { return put(value); }
  bool number_float(double value, const std::string&) override { return put(value); }
  bool boolean(bool value) override { return put(value); }
  bool null() override { return put(nullptr); }

 private:
  // Where the next value goes.
  Json& place() {
    if (open_.empty()) return root_;
    if (open_.back()->is_object()) return *member_;
    open_.back()->push_back(nullptr);
    return open_.back()->back();
  }
  bool put(Json value) {
    place() = std::move(value);
    return true;
  }
  bool open(Json empty) {
    if (open_.size() == kMaxJsonDepth)
      return fail(fmt::format("JSON with more than {} levels of nesting", kMaxJsonDepth), ErrorKind::kLimit);
    Json& value = place();
    value = std::move(empty);
    open_.push_back(&value);
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }

  Json root_;
  std::vector<Json*> open_;  // objects and arrays not yet ended, the innermost last
  Json* member_ = nullptr;   // of the innermost object, that its last key names
};

}  // namespace

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const size_t length = utf8_sequence(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

void append_json_string(std::string_view text, std::string* out) {
  out->push_back('"');
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out->push_back('\\');
      out->push_back(c);
    } else if (static_cast<unsigned char>(c) < 0x20) {
      fmt::format_to(std::back_inserter(*out), "\\u{:04x}", static_cast<unsigned>(c));
    } else {
      out->push_back(c);
    }
  }
  out->push_back('"');
}

bool JsonHandler::parse_error(size_t position, const std::string&,
                              const nlohmann::detail::exception& exception) {
  fail(fmt::format("not valid JSON: {}", exception.what()));
  if (!error_->offset) error_->offset = position > 0 ? position - 1 : 0;
  return false;
}

bool JsonHandler::fail(std::string message, ErrorKind kind) {
  if (!error_) error_ = Error{kind, std::move(message), {}, {}, {}};
  return false;
}

bool JsonHandler::unexpected(const char* what) {
  return fail(fmt::format("unexpected {} {}", what, where()));
}

Status parse_json(std::string_view text, JsonHandler* handler) {
  if (nlohmann::json::sax_parse(text.begin(), text.end(), handler)) return Status::ok();
  if (handler->error_) return std::move(*handler->error_);
  return error(ErrorKind::kCorrupt, "not valid JSON");
}

template <class Json>
Result<Json> parse_json_value(std::string_view text) {
  ValueBuilder<Json> builder;
  if (Status status = parse_json(text, &builder); !status) {
    Error failure = std::move(status).error();
    failure.offset.reset();
    return failure;
  }
  return std::move(builder.root());
}

template Result<nlohmann::json> parse_json_value<nlohmann::json>(std::string_view text);
template Result<nlohmann::ordered_json> parse_json_value<nlohmann::ordered_json>(std::string_view text);

}  // namespace llmcodec
