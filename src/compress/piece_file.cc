// SPDX-License-Identifier: BSD-3-Clause
#include "compress/piece_file.h"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "archive/checksum.h"
#include "base/error.h"
#include "tensor/json_text.h"

namespace llmcodec {
namespace {

using nlohmann::json;

constexpr std::string_view kBegin = "llmcodec piece 1 ";
constexpr size_t kChecksumDigits = 32;
constexpr size_t kFirstLine = kBegin.size() + kChecksumDigits + 1;

Error bad(const char* what) {
  return error(ErrorKind::kCorrupt, "the piece {}", what);
}

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

template <class T>
std::span<const std::byte> bytes_of(const std::vector<T>& values) {
  return std::as_bytes(std::span(values));
}

void append(std::span<const std::byte> from, std::vector<std::byte>* to) {
  to->insert(to->end(), from.begin(), from.end());
}

// Takes the next bytes of the piece, one thing after the other.
class Bytes {
 public:
  explicit Bytes(std::span<const std::byte> bytes) : bytes_(bytes) {}
  Result<std::span<const std::byte>> next(uint64_t size) {
    if (size > bytes_.size()) return bad("ends before its segments do");
    const auto taken = bytes_.first(size);
    bytes_ = bytes_.subspan(size);
    return taken;
  }
  template <class T>
  Status next_values(uint64_t count, std::vector<T>* values) {
    if (count > bytes_.size() / sizeof(T)) return bad("ends before its segments do");
    LLMC_ASSIGN_OR_RETURN(const auto taken, next(count * sizeof(T)));
    values->resize(count);
    if (count > 0) std::memcpy(values->data(), taken.data(), taken.size());
    return Status::ok();
  }
  bool empty() const { return bytes_.empty(); }

 private:
  std::span<const std::byte> bytes_;
};

Result<CodedPictures> read_segment(const json& value, Bytes& bytes) {
  const bool valid = value.is_array() && value.size() == 3 && value[0].is_number_unsigned() &&
                     value[1].is_string() && value[2].is_number_unsigned();
  if (!valid) return bad("has a segment that is none");
  CodedPictures coded;
  std::vector<double> sums;
  LLMC_RETURN_IF_ERROR(bytes.next_values(ErrorMetrics().sums().size(), &sums));
  const auto metrics = ErrorMetrics::from_sums(sums);
  if (!metrics) return bad("has a segment that is none");
  coded.metrics = *metrics;
  coded.samples_xxh3_128 = value[1].get<std::string>();
  LLMC_ASSIGN_OR_RETURN(const auto stream, bytes.next(value[0].get<uint64_t>()));
  coded.stream.assign(stream.begin(), stream.end());
  const auto outliers = value[2].get<uint64_t>();
  LLMC_RETURN_IF_ERROR(bytes.next_values(outliers, &coded.outliers.indices));
  LLMC_RETURN_IF_ERROR(bytes.next_values(outliers, &coded.outliers.values));
  return coded;
}

Status check_id(const PieceId& id, const json& root) {
  if (!root.is_object() || !root.contains("order") || !root.contains("number") || !root.contains("segments"))
    return bad("has no list of segments");
  if (root["order"] != id.key || root["number"] != id.number)
    return bad("is of another run, or another one of this run");
  return Status::ok();
}

}  // namespace

std::vector<std::byte> piece_to_bytes(const PieceId& id, std::span<const CodedPictures> segments) {
  json root = {{"order", id.key}, {"number", id.number}, {"segments", json::array()}};
  std::vector<std::byte> content;
  for (const CodedPictures& coded : segments) {
    root["segments"].push_back({coded.stream.size(), coded.samples_xxh3_128, coded.outliers.size()});
    append(bytes_of(coded.metrics.sums()), &content);
    append(coded.stream, &content);
    append(bytes_of(coded.outliers.indices), &content);
    append(bytes_of(coded.outliers.values), &content);
  }
  const std::string line = root.dump() + "\n";
  Checksum checksum;
  checksum.update(bytes_of(line));
  checksum.update(content);
  std::vector<std::byte> bytes;
  bytes.reserve(kFirstLine + line.size() + content.size());
  append(bytes_of(std::string(kBegin) + checksum.hex() + "\n"), &bytes);
  append(bytes_of(line), &bytes);
  append(content, &bytes);
  return bytes;
}

Result<std::vector<CodedPictures>> piece_from_bytes(const PieceId& id, uint64_t segments,
                                                    std::span<const std::byte> bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (text.size() < kFirstLine || !text.starts_with(kBegin)) return bad("is none, or was cut");
  if (text.substr(kBegin.size(), kChecksumDigits) != xxh3_128(bytes.subspan(kFirstLine)))
    return bad("fails its checksum");
  const size_t end = text.find('\n', kFirstLine);
  if (end == text.npos) return bad("has no list of segments");
  LLMC_ASSIGN_OR_RETURN(const json root, parse_json_value<json>(text.substr(kFirstLine, end - kFirstLine),
                                                                RepeatedKeys::kRefuse));
  LLMC_RETURN_IF_ERROR(check_id(id, root));
  const json& listed = root["segments"];
  if (!listed.is_array() || listed.size() != segments) return bad("has another number of segments");
  Bytes rest(bytes.subspan(end + 1));
  std::vector<CodedPictures> coded;
  for (const json& value : listed) {
    LLMC_ASSIGN_OR_RETURN(CodedPictures segment, read_segment(value, rest));
    coded.push_back(std::move(segment));
  }
  if (!rest.empty()) return bad("goes on behind its segments");
  return coded;
}

}  // namespace llmcodec
