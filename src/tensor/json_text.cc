// SPDX-License-Identifier: BSD-3-Clause
#include "tensor/json_text.h"

#include <array>
#include <iterator>

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

}  // namespace llmcodec
