// SPDX-License-Identifier: BSD-3-Clause
#include "scheme/quantised_model.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <unordered_map>

#include "base/file.h"
#include "base/limits.h"

namespace llmcodec {
namespace {

constexpr char kConfigName[] = "config.json";

uint64_t stored_bytes(const TensorSource& stored, const LogicalTensor& tensor) {
  uint64_t bytes = 0;
  for (const size_t part : tensor.parts) bytes += stored.byte_size(part);
  return bytes;
}

struct Size {
  uint64_t tensors = 0, bytes = 0, weights = 0;
  double bits() const {
    return 8.0 * static_cast<double>(bytes) / static_cast<double>(std::max<uint64_t>(weights, 1));
  }
};

// What the config or the names of the tensors say of quantisation; empty where a part has its weights as they are.
Result<std::string> scheme_of_part(const Model& part, const DeclaredScheme& declared) {
  if (!declared.method.empty() && declared.method != "llmcodec") return declared.method;
  const auto claims = find_claims(*part.source, declared);
  if (!claims.is_ok())
    return claims.error().kind == ErrorKind::kUnsupported ? Result<std::string>(claims.error().message)
                                                          : Result<std::string>(claims.error());
  return claims->schemes.empty() ? std::string() : claims->schemes[0];
}

Error quantised_part(const std::string& folder, const std::string& scheme) {
  if (folder.empty())
    return error(
        ErrorKind::kUnsupported,
        "the root of the pipeline is quantised ({}), which is read in models by themselves only; give "
        "it from before quantisation, or keep its quantised tensors as they are (--keep)",
        scheme);
  return error(
      ErrorKind::kUnsupported,
      "part '{}' of the pipeline is quantised ({}), which is read in models by themselves only; give "
      "it from before quantisation, or keep it as it is (--keep {})",
      folder, scheme, pattern_of_part(folder));
}

}  // namespace

Result<QuantisedModel> QuantisedModel::open(Model* model) {
  QuantisedModel quantised;
  if (model->kind == ModelKind::kGguf) return quantised;
  if (model->kind == ModelKind::kPipeline) return open_parts(*model);
  LLMC_ASSIGN_OR_RETURN(quantised.declared_, declared_scheme(*model));
  // Beside a single file may lie the config of another model.
  const std::string obstacle = model->kind == ModelKind::kSafetensors ? "" : obstacle_of(quantised.declared_);
  if (!obstacle.empty()) {
    quantised.unknown_.emplace(
        "", error(ErrorKind::kUnsupported,
                  "the model is quantised in a way that is not known, {}; give the model from before "
                  "quantisation, or keep all of it as it is (--keep .)",
                  obstacle)
                .in_file(quantised.declared_.file));
    return quantised;
  }
  auto claims = find_claims(*model->source, quantised.declared_);
  if (!claims.is_ok()) {
    if (claims.error().kind != ErrorKind::kUnsupported) return std::move(claims).error();
    quantised.unknown_.emplace("", std::move(claims).error());
    return quantised;
  }
  if (claims->logical.empty()) return quantised;
  quantised.claims_ = std::move(*claims);
  quantised.in_parts_.resize(quantised.claims_.logical.size());
  quantised.stored_ = std::move(model->source);
  quantised.show(model);
  return quantised;
}

Result<QuantisedModel> QuantisedModel::open_parts(const Model& pipeline) {
  QuantisedModel quantised;
  for (const ModelPart& part : pipeline.parts) {
    const Model model = part_of_pipeline(pipeline, part);
    LLMC_ASSIGN_OR_RETURN(const DeclaredScheme declared, declared_scheme(model));
    LLMC_ASSIGN_OR_RETURN(const std::string scheme, scheme_of_part(model, declared));
    if (scheme.empty()) continue;
    quantised.unknown_.emplace(
        part_prefix(part.folder),
        quantised_part(part.folder, scheme).in_file(declared.file.empty() ? model.path : declared.file));
  }
  return quantised;
}

Status QuantisedModel::check_known(const std::set<std::string>& coded) const {
  for (const auto& [folder, failure] : unknown_) {
    if (coded.contains(folder)) return Error(failure);
  }
  return Status::ok();
}

void QuantisedModel::show(Model* model) const {
  std::vector<LogicalTensor> shown;
  for (size_t i = 0; i < claims_.logical.size(); ++i) {
    if (!in_parts_[i]) shown.push_back(claims_.logical[i]);
  }
  model->source = std::make_unique<DequantisedSource>(stored_, std::move(shown));
}

void QuantisedModel::keep_parts_in(const std::set<std::string>& names, Model* model) {
  if (stored_ == nullptr) return;
  for (size_t i = 0; i < claims_.logical.size(); ++i)
    in_parts_[i] = std::ranges::all_of(
        claims_.logical[i].parts, [&](size_t part) { return names.contains(stored_->tensors()[part].name); });
  show(model);
}

Result<std::vector<size_t>> QuantisedModel::keep(const std::vector<bool>& kept, Model* model) {
  std::unordered_map<std::string, size_t> before;  // of the source
  for (size_t i = 0; i < kept.size(); ++i) before[model->source->tensors()[i].name] = i;
  std::vector<size_t> origin(kept.size());
  for (size_t i = 0; i < kept.size(); ++i) origin[i] = i;
  if (stored_ == nullptr) return origin;

  std::unordered_map<std::string, size_t> owner;  // of parts: the tensor that they were
  for (size_t i = 0; i < claims_.logical.size(); ++i) {
    const LogicalTensor& tensor = claims_.logical[i];
    if (in_parts_[i] || !kept[before.at(tensor.info.name)]) continue;
    in_parts_[i] = true;
    for (const size_t part : tensor.parts) owner[stored_->tensors()[part].name] = before.at(tensor.info.name);
  }
  show(model);
  origin.clear();
  for (const TensorInfo& info : model->source->tensors()) {
    const auto found = owner.find(info.name);
    origin.push_back(found != owner.end() ? found->second : before.at(info.name));
  }
  LLMC_RETURN_IF_ERROR(rewrite_files(model));
  return origin;
}

Status QuantisedModel::rewrite_files(Model* model) const {
  if (model->kind != ModelKind::kFolder || declared_.method.empty()) return Status::ok();
  std::set<std::string> kept, converted;  // modules
  for (size_t i = 0; i < claims_.logical.size(); ++i)
    (in_parts_[i] ? kept : converted).insert(module_of(claims_.logical[i].info.name));
  if (converted.empty()) return Status::ok();
  for (const std::string& module : kept) {
    if (converted.contains(module))
      return error(ErrorKind::kUnsupported,
                   "is kept in part: keep all of its quantised tensors or none, for the config names it as a "
                   "whole")
          .in_tensor(module)
          .in_file(declared_.file);
  }
  if (!kept.empty()) {
    LLMC_ASSIGN_OR_RETURN(model->rewritten_files[kConfigName],
                          config_with_exceptions(declared_, {converted.begin(), converted.end()}));
  } else if (!declared_.parent.empty()) {
    model->rewritten_files[kConfigName] = config_without_scheme(declared_);
  }
  LLMC_RETURN_IF_ERROR(remember_configs(model));
  // config.json says it all now.
  const auto gone = std::ranges::stable_partition(
      model->other_files, [](const std::string& name) { return !is_scheme_file(name); });
  model->skipped_files.insert(model->skipped_files.end(), gone.begin(), gone.end());
  model->other_files.erase(gone.begin(), gone.end());
  return Status::ok();
}

// Where all that is converted could be written back, the JSON files that say how it was quantised.
Status QuantisedModel::remember_configs(Model* model) const {
  for (size_t i = 0; i < claims_.logical.size(); ++i) {
    if (!in_parts_[i] && !claims_.logical[i].format.scales) return Status::ok();
  }
  for (const std::string& name : model->other_files) {
    if (name != kConfigName && !is_scheme_file(name)) continue;
    const std::string path = (std::filesystem::path(model->path) / name).string();
    LLMC_ASSIGN_OR_RETURN(model->source_configs[name], read_text_file(path, kMaxJsonBytes));
  }
  if (!model->source_configs.contains(kConfigName)) model->source_configs.clear();
  return Status::ok();
}

Result<std::map<std::string, SourceFormat>> QuantisedModel::source_formats() const {
  std::map<std::string, SourceFormat> formats;
  for (size_t i = 0; i < claims_.logical.size(); ++i) {
    const LogicalTensor& tensor = claims_.logical[i];
    if (in_parts_[i]) continue;
    SourceFormat format = tensor.format;
    for (const size_t part : tensor.parts) {
      const TensorInfo& info = stored_->tensors()[part];
      if (!format.scales || part == tensor.parts[0] || info.name == format.scales->scale.name) continue;
      TensorBeside beside{info.dtype, info.shape, std::vector<std::byte>(stored_->byte_size(part))};
      if (beside.bytes.size() > kMaxBesideBytes) {
        format.scales.reset();  // no room for it in an archive
        format.beside.clear();
        break;
      }
      LLMC_RETURN_IF_ERROR(stored_->read(part, 0, beside.bytes));
      format.beside[info.name] = std::move(beside);
    }
    formats[tensor.info.name] = std::move(format);
  }
  return formats;
}

std::vector<std::string> QuantisedModel::notes(double target_bits) const {
  std::map<std::string, Size> by_scheme;
  Size all;
  for (size_t i = 0; i < claims_.logical.size(); ++i) {
    if (in_parts_[i]) continue;
    const LogicalTensor& tensor = claims_.logical[i];
    for (Size* size : {&by_scheme[claims_.schemes[i]], &all}) {
      ++size->tensors;
      size->bytes += stored_bytes(*stored_, tensor);
      size->weights += tensor.info.elements();
    }
  }
  std::vector<std::string> notes;
  for (const auto& [scheme, size] : by_scheme)
    notes.push_back(fmt::format("dequantised to BF16: {} {} of {} ({:.2f} bits per weight in the source)",
                                size.tensors, size.tensors == 1 ? "tensor" : "tensors", scheme, size.bits()));
  constexpr double kNear = 0.9;
  if (all.weights > 0 && target_bits >= kNear * all.bits())
    notes.push_back(
        fmt::format("the source takes {:.2f} bits per quantised weight and is exact at that: a lossy code at "
                    "{:.2f} bits saves next to nothing; --keep stores these tensors as they are",
                    all.bits(), target_bits));
  return notes;
}

}  // namespace llmcodec
