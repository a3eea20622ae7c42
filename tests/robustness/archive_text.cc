// SPDX-License-Identifier: BSD-3-Clause
#include "archive_text.h"

#include <algorithm>
#include <cstring>
#include <span>
#include <stdexcept>

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

// nlohmann::json would convert a floating-point number, whatever its size. Throws: an exception that try_parse() expects.
size_t number(const ordered_json& value) {
  if (!value.is_number_unsigned()) throw std::invalid_argument("no unsigned number");
  return value.get<size_t>();
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

std::optional<ArchiveText> ArchiveText::try_parse(const std::string& file) noexcept {
  try {
    uint64_t size = 0;
    if (file.size() < 8) return std::nullopt;
    std::memcpy(&size, file.data(), 8);
    ArchiveText text;
    text.header = ordered_json::parse(file.substr(8, std::min<uint64_t>(size, kMaxSafetensorsHeaderBytes)));
    text.data = file.substr(8 + std::min<uint64_t>(size, file.size()));
    const std::string packed = text.data.substr(text.description_begin());
    const auto unpacked = unpack(std::as_bytes(std::span(packed)), uint64_t{1} << 24);
    if (!unpacked.is_ok()) return std::nullopt;
    text.description =
        ordered_json::parse(std::string(reinterpret_cast<const char*>(unpacked->data()), unpacked->size()));
    for (const auto& list : {text.parts(), text.exact()}) {
      for (const Part& part : list) {
        if (part.begin > text.data.size() || part.bytes > text.data.size() - part.begin) return std::nullopt;
      }
    }
    return text;
  } catch (const std::exception&) {  // JSON of other types than an archive's
    return std::nullopt;
  }
}

// It is the last tensor of the file.
size_t ArchiveText::description_begin() const {
  return number(header.at(description_name()).at("data_offsets").at(0));
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
  for (const auto& [tensor, record] : description.at("tensors").items()) {
    for (const auto& [part, info] : record.at("parts").items()) {
      const ordered_json& entry = header.at(tensor + "." + part);
      parts.push_back({tensor, part, number(entry.at("data_offsets").at(0)), number(info.at(0))});
    }
  }
  return parts;
}

std::vector<ArchiveText::Part> ArchiveText::exact() const {
  std::vector<Part> tensors;
  for (const auto& [name, record] : description.at("exact").items()) {
    const ordered_json& place = header.at(name).at("data_offsets");
    const size_t begin = number(place.at(0));
    tensors.push_back({name, "", begin, number(place.at(1)) - begin});
  }
  return tensors;
}

void ArchiveText::replace(const Part& part, std::string bytes) {
  const bool exact = part.part.empty();
  const std::string checksum = checksum_of(bytes);
  const size_t length = bytes.size(), old_end = part.begin + align_up(part.bytes, 8);
  if (!exact) bytes.resize(align_up(length, 8));
  const size_t end = exact ? part.begin + part.bytes : old_end;
  data.replace(part.begin, end - part.begin, bytes);
  const auto moved = [&](const ordered_json& offset) -> ordered_json {
    const bool behind = offset.is_number_unsigned() && number(offset) >= end;
    return behind ? ordered_json(number(offset) + bytes.size() - (end - part.begin)) : offset;
  };
  const std::string name = exact ? part.tensor : part.tensor + "." + part.part;
  for (auto& [other, entry] : header.items()) {
    if (other == "__metadata__") continue;
    ordered_json& place = entry["data_offsets"];
    if (other == name) {
      place[1] = part.begin + bytes.size();
      if (entry["dtype"] == "U8") entry["shape"] = {bytes.size()};
    } else {
      place = {moved(place[0]), moved(place[1])};
    }
  }
  if (exact) {
    description["exact"][part.tensor][2] = checksum;
    if (header[name]["dtype"] == "U8") description["exact"][part.tensor][1] = {bytes.size()};
  } else {
    description["tensors"][part.tensor]["parts"][part.part] = {length, checksum};
  }
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
