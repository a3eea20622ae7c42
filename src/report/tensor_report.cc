// SPDX-License-Identifier: BSD-3-Clause
#include "report/tensor_report.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "base/checked_math.h"
#include "coding/tensor_recipe.h"
#include "tensor/tensor_role.h"

namespace llmcodec {
namespace {

using nlohmann::json;

// JSON has no infinity: an exact copy has an SNR of null.
json finite(double value) {
  return std::isfinite(value) ? json(value) : json(nullptr);
}

json tensor_to_json(const TensorReport& tensor) {
  json value = {{"name", tensor.name},         {"dtype", tensor.dtype},    {"shape", tensor.shape},
                {"elements", tensor.elements}, {"role", tensor.role},      {"coded", tensor.coded},
                {"bytes", tensor.bytes},       {"bpw", finite(tensor.bpw)}};
  if (!tensor.same_as.empty()) value["same_as"] = tensor.same_as;
  if (!tensor.coded) {
    value["reason"] = tensor.reason;
    return value;
  }
  value["outliers"] = tensor.outliers;
  if (tensor.measured || tensor.snr_db != 0) value["snr_db"] = finite(tensor.snr_db);
  if (!tensor.measured) return value;
  value["relative_mse"] = finite(tensor.relative_mse);
  value["max_abs_error"] = finite(tensor.max_abs_error);
  value["cosine"] = finite(tensor.cosine);
  return value;
}

// Empty without pairs.
json products_to_json(const ProductsReport& products) {
  if (products.pairs.empty()) return json::object();
  json pairs = json::array();
  for (const ProductReport& pair : products.pairs)
    pairs.push_back(
        {{"down", pair.down}, {"up", pair.up}, {"rank", pair.rank}, {"snr_db", finite(pair.snr_db)}});
  return {{"products", {{"snr_db", finite(products.snr_db)}, {"pairs", pairs}}}};
}

json tensors_to_json(const std::vector<TensorReport>& tensors) {
  json list = json::array();
  for (const TensorReport& tensor : tensors) list.push_back(tensor_to_json(tensor));
  return list;
}

std::string text_of(const json& value) {
  return value.dump(1, ' ', false, json::error_handler_t::replace);
}

TensorReport coded_tensor(const std::string& name, const TensorRecord& record) {
  TensorReport tensor{.name = name, .dtype = record.dtype, .shape = record.shape};
  tensor.elements = record.matrices * record.rows * record.cols;
  tensor.coded = !is_verbatim(record);
  tensor.outliers = record.outliers;
  for (const auto& [part, info] : record.parts) tensor.bytes += align_up(info.bytes, 8);
  return tensor;
}

// Those that are the same as others, of which the archive holds nothing.
void add_copies(const ArchiveReader& archive, std::vector<TensorReport>* tensors) {
  std::map<std::string_view, size_t> stored;
  for (size_t i = 0; i < tensors->size(); ++i) stored[(*tensors)[i].name] = i;
  std::vector<TensorReport> copies;
  for (const auto& [name, copy] : archive.description().same_as) {
    copies.push_back((*tensors)[stored.at(copy.original)]);
    copies.back().name = name;
    copies.back().same_as = copy.original;
    copies.back().bytes = 0;
  }
  tensors->insert(tensors->end(), copies.begin(), copies.end());
}

}  // namespace

std::vector<TensorReport> describe_tensors(const ArchiveReader& archive) {
  std::vector<TensorReport> tensors;
  for (const auto& [name, record] : archive.description().tensors)
    tensors.push_back(coded_tensor(name, record));
  for (size_t index : archive.exact_tensors()) {
    const TensorInfo& info = archive.source().tensors()[index];
    TensorReport tensor{.name = info.name,
                        .dtype = dtype_info(info.dtype).name,
                        .shape = info.shape,
                        .elements = info.elements()};
    tensor.bytes = archive.source().byte_size(index);
    tensors.push_back(std::move(tensor));
  }
  add_copies(archive, &tensors);
  const PartFolders folders = archive.description().part_folders();
  for (TensorReport& tensor : tensors) {
    if (const auto dtype = dtype_from_name(tensor.dtype))
      tensor.role = role_name(
          tensor_role({tensor.name, *dtype, tensor.shape, folders.prefix_bytes(tensor.name).value_or(0)}));
    if (tensor.elements > 0)
      tensor.bpw = 8.0 * static_cast<double>(tensor.bytes) / static_cast<double>(tensor.elements);
  }
  std::ranges::sort(tensors, {}, &TensorReport::name);
  return tensors;
}

void set_errors(const ErrorMetrics& metrics, TensorReport* tensor) {
  tensor->measured = true;
  tensor->relative_mse = metrics.relative_mse();
  tensor->snr_db = metrics.snr_db();
  tensor->max_abs_error = metrics.max_abs_error();
  tensor->cosine = metrics.cosine();
}

void set_bpw(uint64_t bytes, uint64_t carried, uint64_t parameters, double* bpw, double* bpw_weights) {
  if (parameters == 0) return;
  *bpw = 8.0 * static_cast<double>(bytes) / static_cast<double>(parameters);
  *bpw_weights = 8.0 * static_cast<double>(bytes - carried) / static_cast<double>(parameters);
}

uint64_t carried_bytes(const ArchiveReader& archive) {
  return archive.own_bytes(kGgufHeaderName);
}

CarriedFilesReport count_carried_files(const CarriedFiles& files) {
  CarriedFilesReport report;
  for (const auto& [name, file] : files) {
    ++report.count;
    report.bytes += file.bytes;
  }
  return report;
}

std::vector<PartReport> sum_parts(const std::vector<TensorReport>& tensors, const Description& description) {
  if (description.source_parts.empty()) return {};
  std::map<std::string, PartReport, std::less<>> parts;  // by prefix
  for (const auto& [folder, metadata] : description.source_parts) parts[part_prefix(folder)].folder = folder;
  const PartFolders owners = description.part_folders();
  for (const TensorReport& tensor : tensors) {
    const size_t prefix = owners.prefix_bytes(tensor.name).value_or(0);
    const auto part = parts.find(std::string_view(tensor.name).substr(0, prefix));
    if (part == parts.end()) continue;
    ++part->second.tensors;
    part->second.parameters += tensor.elements;
    part->second.bytes += tensor.bytes;
  }
  std::vector<PartReport> list;
  for (auto& [prefix, part] : parts) list.push_back(std::move(part));
  return list;
}

namespace {

// Empty where there are none.
json parts_to_json(const std::vector<PartReport>& parts) {
  if (parts.empty()) return json::object();
  json list = json::array();
  for (const PartReport& part : parts)
    list.push_back({{"folder", part.folder},
                    {"tensors", part.tensors},
                    {"parameters", part.parameters},
                    {"bytes", part.bytes}});
  return {{"parts", list}};
}

std::string with_parts(json value, const std::vector<PartReport>& parts) {
  value.update(parts_to_json(parts));
  return text_of(value);
}

json carried_to_json(const CarriedFilesReport& files) {
  return {{"count", files.count}, {"bytes", files.bytes}};
}

}  // namespace

std::string CompressReport::to_json() const {
  json value = {{"parameters", parameters},
                {"bytes", bytes},
                {"carried_bytes", carried_bytes},
                {"carried_files", carried_to_json(carried_files)},
                {"bpw", bpw},
                {"bpw_weights", bpw_weights},
                {"snr_db", finite(snr_db)},
                {"relative_mse", finite(relative_mse)},
                {"fit_seconds", fit_seconds},
                {"rate_seconds", rate_seconds},
                {"encode_seconds", encode_seconds},
                {"wall_seconds", wall_seconds},
                {"resumed", resumed},
                {"notes", notes},
                {"tensors", tensors_to_json(tensors)}};
  value.update(products_to_json(products));
  return with_parts(std::move(value), parts);
}

std::string PlanReport::to_json() const {
  return with_parts({{"parameters", parameters},
                     {"predicted_bytes", predicted_bytes},
                     {"predicted_bpw", predicted_bpw},
                     {"predicted_snr_db", finite(predicted_snr_db)},
                     {"predicted_seconds", predicted_seconds},
                     {"notes", notes},
                     {"tensors", tensors_to_json(tensors)}},
                    parts);
}

std::string SourceReport::to_json() const {
  return with_parts({{"source_kind", source_kind},
                     {"parameters", parameters},
                     {"coded_parameters", coded_parameters},
                     {"bytes", bytes},
                     {"kept_bytes", kept_bytes},
                     {"carried_files", carried_to_json(carried_files)},
                     {"notes", notes},
                     {"tensors", tensors_to_json(tensors)}},
                    parts);
}

std::string DecompressReport::to_json() const {
  return text_of({{"parameters", parameters},
                  {"bytes", bytes},
                  {"output", output},
                  {"files", files},
                  {"decode_seconds", decode_seconds},
                  {"wall_seconds", wall_seconds}});
}

std::string InspectReport::to_json() const {
  return with_parts({{"parameters", parameters},
                     {"bytes", bytes},
                     {"carried_bytes", carried_bytes},
                     {"carried_files", carried_to_json(carried_files)},
                     {"bpw", bpw},
                     {"bpw_weights", bpw_weights},
                     {"writer", writer},
                     {"command", command},
                     {"source_kind", source_kind},
                     {"tensors", tensors_to_json(tensors)}},
                    parts);
}

std::string VerifyReport::to_json() const {
  json value = {{"parameters", parameters},         {"compared", compared},
                {"decode_seconds", decode_seconds}, {"sandbox", sandbox},
                {"carried_files", carried_files},   {"carried_checked", carried_checked}};
  if (compared) {
    value["snr_db"] = finite(snr_db);
    value["relative_mse"] = finite(relative_mse);
    value["max_abs_error"] = finite(max_abs_error);
    value["cosine"] = finite(cosine);
  }
  value["tensors"] = tensors_to_json(tensors);
  value.update(products_to_json(products));
  return text_of(value);
}

}  // namespace llmcodec
