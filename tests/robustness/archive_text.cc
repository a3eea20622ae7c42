// SPDX-License-Identifier: BSD-3-Clause
#include "archive_text.h"

#include <cstring>
#include <span>

#include "archive/checksum.h"
#include "archive/description.h"

namespace llmcodec {
namespace {

using nlohmann::ordered_json;

std::string checksum_of(std::string_view text) {
  return xxh3_128(std::as_bytes(std::span(text)));
}

}  // namespace

ArchiveText ArchiveText::parse(const std::string& file) {
  uint64_t size = 0;
  std::memcpy(&size, file.data(), 8);
  ArchiveText text;
  text.header = ordered_json::parse(file.substr(8, size));
  text.description = ordered_json::parse(text.header["__metadata__"][kMetadataKey].get<std::string>());
  text.data = file.substr(8 + size);
  return text;
}

std::vector<ArchiveText::Part> ArchiveText::parts() const {
  std::vector<Part> parts;
  for (const auto& [tensor, record] : description["tensors"].items()) {
    for (const auto& [part, info] : record["parts"].items()) {
      const ordered_json& entry = header[tensor + "." + part];
      parts.push_back({tensor, part, entry["data_offsets"][0].get<size_t>(), info[0].get<size_t>()});
    }
  }
  return parts;
}

std::string ArchiveText::with_part_checksums() const {
  ArchiveText fixed = *this;
  for (const Part& part : parts())
    fixed.description["tensors"][part.tensor]["parts"][part.part][1] =
        checksum_of(std::string_view(data).substr(part.begin, part.bytes));
  return fixed.with_description_checksum();
}

std::string ArchiveText::with_description_checksum() const {
  ordered_json fixed = header;
  const std::string text = description.dump();
  fixed["__metadata__"][kMetadataKey] = text;
  fixed["__metadata__"][kChecksumKey] = checksum_of(text);
  std::string json = fixed.dump();
  json.resize((json.size() + 7) / 8 * 8, ' ');
  std::string file(8, '\0');
  const uint64_t size = json.size();
  std::memcpy(file.data(), &size, 8);
  return file + json + data;
}

}  // namespace llmcodec
