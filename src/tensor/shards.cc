// SPDX-License-Identifier: BSD-3-Clause
#include "tensor/shards.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/limits.h"
#include "tensor/json_text.h"

namespace llmcodec {
namespace {

using WeightMap = std::unordered_map<std::string, std::string>;  // tensor -> shard file

// Takes "weight_map" and skips everything else (the standard puts free-form values under "metadata").
class IndexHandler final : public JsonHandler {
 public:
  explicit IndexHandler(WeightMap* weight_map) : weight_map_(weight_map) {}
  bool found() const { return found_; }
  const std::string& current_name() const { return name_; }

  bool start_object(size_t) override {
    if (level_ == 1 && expecting_map_) {
      in_map_ = true;
    } else if (in_map_) {
      return unexpected("an object");
    }
    return enter();
  }
  bool end_object() override {
    --level_;
    if (level_ == 1) in_map_ = false;
    return true;
  }
  bool start_array(size_t) override { return misplaced() ? unexpected("an array") : enter(); }
  bool end_array() override {
    --level_;
    return true;
  }
  bool key(std::string& key) override {
    if (in_map_) {
      name_ = key;
      if (weight_map_->size() == kMaxTensors) return fail("too many tensors", ErrorKind::kLimit);
      return weight_map_->emplace(key, "").second || fail("listed twice");
    }
    if (level_ == 1) expecting_map_ = key == "weight_map";
    if (level_ == 1 && expecting_map_ && std::exchange(found_, true)) return fail("two weight_maps");
    return true;
  }
  bool string(std::string& text) override {
    if (!in_map_) return scalar("a string");
    const bool plain = !text.empty() && text != "." && text != ".." &&
                       text.find_first_of("/\\") == std::string::npos && text.find('\0') == std::string::npos;
    if (!plain) return fail(fmt::format("'{}' is not the name of a file in the same folder", text));
    (*weight_map_)[name_] = std::move(text);
    return true;
  }
  bool number_unsigned(uint64_t) override { return scalar("a number"); }
  bool number_integer(int64_t) override { return scalar("a number"); }
  bool number_float(double, const std::string&) override { return scalar("a number"); }
  bool boolean(bool) override { return scalar("true or false"); }
  bool null() override { return scalar("null"); }

 private:
  std::string where() const override { return level_ == 0 ? "at the top of the index" : "in weight_map"; }
  // Here nothing but the weight map, or a shard's name in it, may stand.
  bool misplaced() const { return level_ == 0 || in_map_ || (level_ == 1 && expecting_map_); }
  bool scalar(const char* what) { return misplaced() ? unexpected(what) : true; }
  bool enter() { return ++level_ <= kMaxJsonDepth || fail("nested too deeply", ErrorKind::kLimit); }

  WeightMap* weight_map_;
  uint64_t level_ = 0;
  bool expecting_map_ = false;  // the key just read at level 1 was "weight_map"
  bool in_map_ = false;
  bool found_ = false;
  std::string name_;
};

Result<WeightMap> read_index(const std::string& path) {
  LLMC_ASSIGN_OR_RETURN(const std::string text, read_text_file(path, kMaxJsonBytes));
  WeightMap map;
  IndexHandler handler(&map);
  Status status = parse_json(text, &handler);
  if (!status.is_ok()) return std::move(status).error().in_tensor(handler.current_name()).in_file(path);
  if (!handler.found()) return error(ErrorKind::kCorrupt, "the index has no weight_map").in_file(path);
  if (map.empty()) return error(ErrorKind::kCorrupt, "the index lists no tensor").in_file(path);
  return map;
}

std::string file_name(const std::string& path) {
  return std::filesystem::path(path).filename().string();
}

std::string beside(const std::string& path, const std::string& name) {
  return (std::filesystem::path(path).parent_path() / name).string();
}

Result<std::unique_ptr<SafetensorsFile>> open_shard(const std::string& path, const std::string& index_path) {
  std::error_code code;
  if (!std::filesystem::exists(path, code))
    return error(ErrorKind::kIo, "the shard is missing; {} names it: get it too", file_name(index_path))
        .in_file(path);
  return SafetensorsFile::open(path);
}

Error corrupt_tensor(const std::string& tensor, const std::string& file, std::string message) {
  return Error{ErrorKind::kCorrupt, std::move(message), file, tensor, {}};
}

using Shards = std::vector<std::unique_ptr<SafetensorsFile>>;

// Every tensor once.
Status check_no_overlap(const Shards& shards) {
  std::unordered_map<std::string_view, const std::string*> found;  // the shard's path
  for (const auto& shard : shards) {
    for (const TensorInfo& info : shard->tensors()) {
      const auto [first, inserted] = found.emplace(info.name, &shard->path());
      if (!inserted)
        return corrupt_tensor(info.name, shard->path(),
                              fmt::format("also in shard {}", file_name(*first->second)));
    }
  }
  return Status::ok();
}

// Every tensor is where the index places it; those in a shard of which the index knows nothing are named.
Status check_index(const WeightMap& weight_map, const Shards& shards, const std::string& index_path) {
  std::unordered_map<std::string_view, const SafetensorsFile*>
      missing;  // a shard that has it elsewhere, or none
  for (const auto& [tensor, shard] : weight_map) missing.emplace(tensor, nullptr);
  for (const auto& shard : shards) {
    for (const TensorInfo& info : shard->tensors()) {
      const auto expected = weight_map.find(info.name);
      if (expected == weight_map.end())
        return corrupt_tensor(
            info.name, shard->path(),
            fmt::format("not in {}, which belongs to other shards: get all files anew from one place",
                        file_name(index_path)));
      if (expected->second == file_name(shard->path()))
        missing.erase(info.name);
      else if (const auto elsewhere = missing.find(info.name); elsewhere != missing.end())
        elsewhere->second = shard.get();
    }
  }
  if (missing.empty()) return Status::ok();
  const auto [tensor, elsewhere] =
      *std::ranges::min_element(missing, {}, [](const auto& entry) { return entry.first; });
  const std::string& shard = weight_map.at(std::string(tensor));
  if (elsewhere != nullptr)
    return corrupt_tensor(std::string(tensor), elsewhere->path(),
                          fmt::format("{} places it in {}", file_name(index_path), shard));
  return corrupt_tensor(
      std::string(tensor), beside(index_path, shard),
      fmt::format("in no shard, though {} places it here: get index and shards anew from one place, "
                  "or take the tensor out of the index",
                  file_name(index_path)));
}

}  // namespace

Result<std::unique_ptr<ShardedSource>> ShardedSource::open(const std::string& index_path, Overlap overlap) {
  LLMC_ASSIGN_OR_RETURN(const WeightMap weight_map, read_index(index_path));
  std::set<std::string> names;
  for (const auto& [tensor, shard] : weight_map) names.insert(shard);

  std::vector<std::unique_ptr<SafetensorsFile>> shards;
  for (const std::string& name : names) {
    LLMC_ASSIGN_OR_RETURN(std::unique_ptr<SafetensorsFile> shard,
                          open_shard(beside(index_path, name), index_path));
    shards.push_back(std::move(shard));
  }
  if (overlap == Overlap::kRefuse) LLMC_RETURN_IF_ERROR(check_no_overlap(shards));
  LLMC_RETURN_IF_ERROR(check_index(weight_map, shards, index_path));
  return take(std::move(shards), [&](const SafetensorsFile& shard, const TensorInfo& info) {
    return weight_map.at(info.name) == file_name(shard.path());
  });
}

Result<std::unique_ptr<ShardedSource>> ShardedSource::join(
    std::vector<std::unique_ptr<SafetensorsFile>> shards) {
  LLMC_RETURN_IF_ERROR(check_no_overlap(shards));
  return take(std::move(shards), [](const SafetensorsFile&, const TensorInfo&) { return true; });
}

std::unique_ptr<ShardedSource> ShardedSource::take(
    std::vector<std::unique_ptr<SafetensorsFile>> shards,
    const std::function<bool(const SafetensorsFile&, const TensorInfo&)>& wanted) {
  std::unique_ptr<ShardedSource> source(new ShardedSource);
  source->shards_ = std::move(shards);
  for (uint32_t s = 0; s < source->shards_.size(); ++s) {
    const std::vector<TensorInfo>& tensors = source->shards_[s]->tensors();
    for (size_t i = 0; i < tensors.size(); ++i) {
      if (!wanted(*source->shards_[s], tensors[i])) continue;
      source->places_.push_back({s, i});
      source->tensors_.push_back(tensors[i]);
    }
  }
  return source;
}

std::vector<std::string> ShardedSource::shard_paths() const {
  std::vector<std::string> paths;
  for (const auto& shard : shards_) paths.push_back(shard->path());
  return paths;
}

SafetensorsMetadata ShardedSource::metadata() const {
  SafetensorsMetadata all;
  for (const auto& shard : shards_) all.insert(shard->metadata().begin(), shard->metadata().end());
  return all;
}

Status ShardedSource::read(size_t index, uint64_t first, std::span<std::byte> out) const {
  return shards_[places_[index].shard]->read(places_[index].index, first, out);
}

const std::string& ShardedSource::file(size_t index) const {
  return shards_[places_[index].shard]->path();
}

uint64_t ShardedSource::offset(size_t index) const {
  return shards_[places_[index].shard]->offset(places_[index].index);
}

}  // namespace llmcodec
