// SPDX-License-Identifier: BSD-3-Clause
#include "archive/source_format_json.h"

#include "base/checked_math.h"
#include "base/error.h"
#include "base/limits.h"

namespace llmcodec {
namespace {

using nlohmann::json;

constexpr char kCodes[] = "F8_E4M3";  // the only ones that are written back

Error invalid() {
  return error(ErrorKind::kCorrupt, "description lacks a valid 'quantised'");
}

std::string hex_of(std::span<const std::byte> bytes) {
  std::string text;
  for (const std::byte byte : bytes) text += fmt::format("{:02x}", std::to_integer<unsigned>(byte));
  return text;
}

int digit_of(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

Result<std::vector<std::byte>> bytes_of_hex(const std::string& text) {
  std::vector<std::byte> bytes;
  if (text.size() % 2 != 0 || text.size() > 2 * kMaxBesideBytes) return invalid();
  for (size_t i = 0; i < text.size(); i += 2) {
    const int high = digit_of(text[i]), low = digit_of(text[i + 1]);
    if (high < 0 || low < 0) return invalid();
    bytes.push_back(static_cast<std::byte>(high * 16 + low));
  }
  return bytes;
}

Result<std::vector<uint64_t>> sizes_from(const json& value) {
  if (!value.is_array() || value.size() > kMaxDimensions) return invalid();
  std::vector<uint64_t> sizes;
  for (const json& size : value) {
    if (!size.is_number_unsigned()) return invalid();
    sizes.push_back(size.get<uint64_t>());
  }
  return sizes;
}

Result<Dtype> dtype_from(const json& value) {
  const auto dtype = value.is_string() ? dtype_from_name(value.get<std::string>()) : std::nullopt;
  if (!dtype) return invalid();
  return *dtype;
}

bool is_scale_dtype(Dtype dtype) {
  return dtype == Dtype::kF32 || dtype == Dtype::kF16 || dtype == Dtype::kBF16 || dtype == Dtype::kF8E8M0;
}

// ["NAME", dtype, shape] and [rows, columns].
Result<BlockScales> scales_from(const json& scale, const json& block) {
  BlockScales scales;
  if (!scale.is_array() || scale.size() != 3 || !scale[0].is_string()) return invalid();
  scales.scale.name = scale[0].get<std::string>();
  LLMC_ASSIGN_OR_RETURN(scales.scale.dtype, dtype_from(scale[1]));
  LLMC_ASSIGN_OR_RETURN(scales.scale.shape, sizes_from(scale[2]));
  LLMC_ASSIGN_OR_RETURN(const std::vector<uint64_t> sides, sizes_from(block));
  if (!is_scale_dtype(scales.scale.dtype) || sides.size() != 2) return invalid();
  scales.block_rows = sides[0];
  scales.block_cols = sides[1];
  return scales;
}

Result<TensorBeside> beside_from(const json& value) {
  if (!value.is_array() || value.size() != 3 || !value[2].is_string()) return invalid();
  TensorBeside beside;
  LLMC_ASSIGN_OR_RETURN(beside.dtype, dtype_from(value[0]));
  LLMC_ASSIGN_OR_RETURN(beside.shape, sizes_from(value[1]));
  LLMC_ASSIGN_OR_RETURN(beside.bytes, bytes_of_hex(value[2].get<std::string>()));
  const auto elements = checked_product(beside.shape);
  if (!elements || dtype_bytes(beside.dtype, *elements) != beside.bytes.size()) return invalid();
  return beside;
}

}  // namespace

json to_json(const SourceFormat& format) {
  json value = {{"scheme", source_scheme_name(format.scheme)}};
  if (!format.scales) return value;
  const TensorInfo& scale = format.scales->scale;
  value["codes"] = kCodes;
  value["scale"] = {scale.name, dtype_info(scale.dtype).name, scale.shape};
  value["block"] = {format.scales->block_rows, format.scales->block_cols};
  for (const auto& [name, beside] : format.beside)
    value["beside"][name] = {dtype_info(beside.dtype).name, beside.shape, hex_of(beside.bytes)};
  return value;
}

Result<SourceFormat> source_format_from_json(const json& value) {
  if (!value.is_object() || !value.contains("scheme") || !value["scheme"].is_string()) return invalid();
  SourceFormat format;
  const auto scheme = source_scheme_of(value["scheme"].get<std::string>());
  if (!scheme) return error(ErrorKind::kUnsupported, "description: quantised by an unknown scheme");
  format.scheme = *scheme;
  if (!value.contains("scale")) return format;
  if (!value.contains("block") || value.value("codes", json()) != kCodes) return invalid();
  LLMC_ASSIGN_OR_RETURN(format.scales, scales_from(value["scale"], value["block"]));
  if (!value.contains("beside")) return format;
  if (!value["beside"].is_object()) return invalid();
  for (const auto& [name, beside] : value["beside"].items()) {
    LLMC_ASSIGN_OR_RETURN(format.beside[name], beside_from(beside));
  }
  return format;
}

}  // namespace llmcodec
