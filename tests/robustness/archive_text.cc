// SPDX-License-Identifier: BSD-3-Clause
#include "archive_text.h"

#include <cstring>
#include <span>

#include "archive/checksum.h"
#include "archive/description.h"
#include "archive/packing.h"
#include "base/checked_math.h"
#include "base/limits.h"

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
  text.data = file.substr(8 + size);
  const std::span<const std::byte> packed =
      std::as_bytes(std::span(text.data)).subspan(text.description_begin());
  const std::vector<std::byte> unpacked = unpack(packed, kMaxJsonBytes).value();
  text.description =
      ordered_json::parse(std::string(reinterpret_cast<const char*>(unpacked.data()), unpacked.size()));
  return text;
}

// It is the last tensor of the file.
size_t ArchiveText::description_begin() const {
  return header[description_name()]["data_offsets"][0].get<size_t>();
}

std::string ArchiveText::description_name() const {
  std::string found;
  for (const auto& [name, entry] : header.items()) {
    if (name.starts_with(kDescriptionPrefix)) found = name;
  }
  return found;
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

void ArchiveText::replace_own(const std::string& name, std::string bytes) {
  bytes.resize((bytes.size() + 7) / 8 * 8);
  const size_t begin = header[name]["data_offsets"][0], end = header[name]["data_offsets"][1];
  const auto longer = static_cast<std::ptrdiff_t>(bytes.size()) - static_cast<std::ptrdiff_t>(end - begin);
  data.replace(begin, end - begin, bytes);
  for (auto& [key, entry] : header.items()) {
    if (key == "__metadata__") continue;
    for (auto& offset : entry["data_offsets"]) {
      if (offset.get<size_t>() >= end) offset = static_cast<size_t>(offset.get<std::ptrdiff_t>() + longer);
    }
  }
  header[name]["shape"] = {bytes.size()};
  description["exact"][name] = {"U8", {bytes.size()}, checksum_of(bytes)};
}

std::string ArchiveText::with_part_checksums() const {
  ArchiveText fixed = *this;
  for (const Part& part : parts())
    fixed.description["tensors"][part.tensor]["parts"][part.part][1] =
        checksum_of(std::string_view(data).substr(part.begin, part.bytes));
  return fixed.with_description_checksum();
}

std::string ArchiveText::with_description_checksum() const {
  return with_description(description.dump());
}

std::string ArchiveText::with_description(const std::string& text) const {
  ordered_json fixed = header;
  std::vector<std::byte> packed = pack(std::as_bytes(std::span(text)));
  packed.resize(align_up(packed.size(), 8));
  const size_t begin = description_begin();
  fixed["__metadata__"][kChecksumKey] = checksum_of(text);
  fixed[description_name()]["shape"] = {packed.size()};
  fixed[description_name()]["data_offsets"] = {begin, begin + packed.size()};
  std::string json = fixed.dump();
  json.resize((json.size() + 7) / 8 * 8, ' ');
  std::string file(8, '\0');
  const uint64_t size = json.size();
  std::memcpy(file.data(), &size, 8);
  return file + json + data.substr(0, begin) +
         std::string(reinterpret_cast<const char*>(packed.data()), packed.size());
}

}  // namespace llmcodec
