// SPDX-License-Identifier: BSD-3-Clause
#include "tensor/json_text.h"

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

#include "base/limits.h"

#include "base/error.h"

namespace llmcodec {
namespace {

// Builds the value. nlohmann's own parser does so too, but has no limit on nesting: every level costs a heap
// block each way, and what later walks, prints or copies the value calls itself once per level.
template <class Json>
class ValueBuilder : public JsonHandler {
 public:
  ValueBuilder(uint64_t text_bytes, RepeatedKeys repeated)
      : max_values_(max_json_values(text_bytes)), repeated_(repeated) {}
  Json& root() { return root_; }

  bool start_object(size_t) override { return open(Json::object()); }
  bool start_array(size_t) override { return open(Json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool key(std::string& key) override {
    Json& object = *open_.back();
    const size_t before = object.size();
    member_ = &object[key];
    return object.size() > before || repeated_ == RepeatedKeys::kLastCounts ||
           fail(fmt::format("key '{}' given twice", key));
  }
  bool string(std::string& text) override { return put(std::move(text)); }
  bool number_unsigned(uint64_t value) override { return put(value); }
  bool number_integer(int64_t value) override { return put(value); }
  bool number_float(double value, const std::string&) override { return put(value); }
  bool boolean(bool value) override { return put(value); }
  bool null() override { return put(nullptr); }

 protected:
  // A value is whole; it is the last one of the innermost object or array that is not ended.
  virtual bool whole() { return true; }

  std::vector<Json*> open_;  // objects and arrays not yet ended, the innermost last
  uint64_t values_ = 0;      // in the tree

 private:
  // Where the next value goes.
  Json& place() {
    if (open_.empty()) return root_;
    if (open_.back()->is_object()) return *member_;
    open_.back()->push_back(nullptr);
    return open_.back()->back();
  }
  bool put(Json value) {
    if (!count()) return false;
    place() = std::move(value);
    return whole();
  }
  bool count() {
    return ++values_ <= max_values_ ||
           fail(fmt::format("JSON with more than {} values", max_values_), ErrorKind::kLimit);
  }
  bool open(Json empty) {
    if (open_.size() == kMaxJsonDepth)
      return fail(fmt::format("JSON with more than {} levels of nesting", kMaxJsonDepth), ErrorKind::kLimit);
    if (!count()) return false;
    Json& value = place();
    value = std::move(empty);
    open_.push_back(&value);
    return true;
  }
  bool close() {
    open_.pop_back();
    return whole();
  }

  Json root_;
  Json* member_ = nullptr;  // of the innermost object, that its last key names
  uint64_t max_values_;
  RepeatedKeys repeated_;
};

// Hands over the entries of some members as soon as they are whole.
class EntryBuilder final : public ValueBuilder<nlohmann::json> {
 public:
  EntryBuilder(uint64_t text_bytes, std::span<const std::string_view> split, const JsonEntryVisitor& visit)
      : ValueBuilder(text_bytes, RepeatedKeys::kRefuse), split_(split), visit_(visit) {}

  bool key(std::string& key) override {
    if (open_.size() == 1) member_name_ = key;
    if (open_.size() == 2) values_before_ = values_;
    return ValueBuilder::key(key);
  }

 private:
  bool whole() override {
    if (open_.size() != 2 || !open_.back()->is_object() ||
        std::ranges::find(split_, member_name_) == split_.end())
      return true;
    nlohmann::json& entries = *open_.back();  // only this one is left in it
    const std::string name = entries.begin().key();
    nlohmann::json value = std::move(entries.begin().value());
    entries.clear();
    values_ = values_before_;
    Status status = visit_(member_name_, name, std::move(value));
    return status.is_ok() || fail(std::move(status).error());
  }

  std::span<const std::string_view> split_;
  const JsonEntryVisitor& visit_;
  std::string member_name_;     // of the root object, the last key
  uint64_t values_before_ = 0;  // the entry that is being built
};

// The tree of a builder that is given `text`.
template <class Json>
Result<Json> build(std::string_view text, ValueBuilder<Json>* builder) {
  if (Status status = parse_json(text, builder); !status) {
    Error failure = std::move(status).error();
    failure.offset.reset();
    return failure;
  }
  return std::move(builder->root());
}

}  // namespace

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
  return fail(Error{kind, std::move(message), {}, {}, {}});
}

bool JsonHandler::fail(Error error) {
  if (!error_) error_ = std::move(error);
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
Result<Json> parse_json_value(std::string_view text, RepeatedKeys repeated) {
  ValueBuilder<Json> builder(text.size(), repeated);
  return build(text, &builder);
}

Result<nlohmann::json> parse_json_entries(std::string_view text, std::span<const std::string_view> split,
                                          const JsonEntryVisitor& visit) {
  EntryBuilder builder(text.size(), split, visit);
  return build<nlohmann::json>(text, &builder);
}

template Result<nlohmann::json> parse_json_value<nlohmann::json>(std::string_view, RepeatedKeys);
template Result<nlohmann::ordered_json> parse_json_value<nlohmann::ordered_json>(std::string_view,
                                                                                 RepeatedKeys);

}  // namespace llmcodec
