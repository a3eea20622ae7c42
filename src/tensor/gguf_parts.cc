// SPDX-License-Identifier: BSD-3-Clause
#include "tensor/gguf_parts.h"

#include <filesystem>

#include "base/error.h"
#include "tensor/shard_name.h"

namespace llmcodec {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSuffix = ".gguf";

struct SplitKeys {
  int64_t number = 0, count = 0;   // number from 0 on
  std::optional<int64_t> tensors;  // of the whole model
};

SplitKeys split_keys(const GgufHeader& header) {
  return {header.find_int("split.no").value_or(0), header.find_int("split.count").value_or(0),
          header.find_int("split.tensors.count")};
}

std::string beside(const std::string& path, const std::string& name) {
  return (fs::path(path).parent_path() / name).string();
}

// The file was given as the model: is it the first part, under a name by which the others can be found?
Result<ShardName> name_of_first(const SplitKeys& keys, const std::string& path) {
  auto name = parse_shard_name(fs::path(path).filename().string(), kSuffix);
  if (name && name->count != keys.count) name.reset();
  if (keys.number != 0) {
    if (name) name->number = 1;
    return error(ErrorKind::kInvalidArgument, "is part {} of {} of a split model; give the first part, {}",
                 keys.number + 1, keys.count,
                 name ? beside(path, shard_file_name(*name, kSuffix))
                      : fmt::format("NAME-00001-of-{:05}.gguf", keys.count));
  }
  if (!name || name->number != 1)
    return error(ErrorKind::kInvalidArgument,
                 "is the first of {0} parts of a model, and the others are found by their names: call them "
                 "NAME-00001-of-{0:05}.gguf to NAME-{0:05}-of-{0:05}.gguf",
                 keys.count);
  return *name;
}

}  // namespace

bool says_it_is_split(const GgufHeader& header) {
  return split_keys(header).count > 1;
}

Result<std::unique_ptr<GgufParts>> GgufParts::open(std::unique_ptr<GgufFile> first, const std::string& path) {
  std::unique_ptr<GgufParts> model(new GgufParts);
  model->parts_.push_back(std::move(first));
  model->paths_ = {path};
  const GgufHeader& header = model->parts_[0]->header();
  const auto here = static_cast<int64_t>(header.tensors().size());
  // Quantisers of 2024 copied the keys of a part into a whole model.
  const bool whole = here > 0 && split_keys(header).tensors == here;
  if (!whole) {
    if (Status status = model->open_others(path); !status.is_ok())
      return std::move(status).error().in_file(path);
  }
  if (Status status = model->join(); !status.is_ok()) return std::move(status).error().in_file(path);
  return model;
}

Status GgufParts::open_others(const std::string& path) {
  const SplitKeys keys = split_keys(parts_[0]->header());
  LLMC_ASSIGN_OR_RETURN(ShardName name, name_of_first(keys, path));
  uint64_t tensors = parts_[0]->tensors().size();
  while (name.number < name.count) {
    ++name.number;
    const std::string part = beside(path, shard_file_name(name, kSuffix));
    std::error_code code;
    if (!fs::exists(part, code))
      return error(ErrorKind::kIo,
                   "part {} of {} of the model is missing; get it and put it beside the first part",
                   name.number, name.count)
          .in_file(part);
    LLMC_ASSIGN_OR_RETURN(std::unique_ptr<GgufFile> file, GgufFile::open(part));
    const SplitKeys own = split_keys(file->header());
    if (own.number + 1 != name.number || own.count != keys.count || own.tensors != keys.tensors)
      return error(ErrorKind::kCorrupt,
                   "says that it is part {} of {} of a model of {} tensors, so it is no part of the model of "
                   "{}; "
                   "get all parts anew",
                   own.number + 1, own.count, own.tensors.value_or(0), path)
          .in_file(part);
    tensors += file->tensors().size();
    parts_.push_back(std::move(file));
    paths_.push_back(part);
  }
  if (keys.tensors && tensors != static_cast<uint64_t>(*keys.tensors))
    return error(ErrorKind::kCorrupt, "the parts have {} tensors, the model has {}: get all parts anew",
                 tensors, *keys.tensors);
  return Status::ok();
}

Status GgufParts::join() {
  std::vector<TensorInfo> tensors;
  for (size_t p = 0; p < parts_.size(); ++p) {
    const std::vector<TensorInfo>& own = parts_[p]->tensors();
    tensors.insert(tensors.end(), own.begin(), own.end());
    for (size_t i = 0; i < own.size(); ++i) places_.push_back({p, i});
  }
  LLMC_ASSIGN_OR_RETURN(header_, parts_[0]->header().without_split(tensors));
  return Status::ok();
}

Status GgufParts::read(size_t index, uint64_t first, std::span<std::byte> out) const {
  return parts_[places_[index].part]->read(places_[index].index, first, out);
}

const std::string& GgufParts::file(size_t index) const {
  return parts_[places_[index].part]->file(places_[index].index);
}

uint64_t GgufParts::offset(size_t index) const {
  return parts_[places_[index].part]->offset(places_[index].index);
}

}  // namespace llmcodec
