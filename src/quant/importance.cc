// SPDX-License-Identifier: BSD-3-Clause
#include "quant/importance.h"

#include <cmath>
#include <cstring>

#include "base/error.h"
#include "base/file.h"
#include "base/limits.h"
#include "quant/tensor_names.h"
#include "tensor/gguf.h"

namespace llmcodec {
namespace {

using Entries = std::map<std::string, std::vector<float>, std::less<>>;
struct FileEntries {
  Entries inputs, outputs;
};

constexpr std::string_view kInputSuffix = ".in_sum2";
constexpr std::string_view kOutputSuffix = ".out_sum2";
constexpr std::string_view kCountSuffix = ".counts";

Status check_moments(const std::string& name, std::span<const float> values) {
  for (size_t i = 0; i < values.size(); ++i) {
    if (std::isfinite(values[i]) && values[i] >= 0) continue;
    return error(ErrorKind::kCorrupt, "importance {} at {}: must be finite and not negative", values[i], i)
        .in_tensor(name);
  }
  return Status::ok();
}

// sums [matrices x cols] -> means; matrices without a count get the mean of the others.
std::vector<float> means_of(std::span<const float> sums, std::span<const float> counts) {
  const size_t cols = sums.size() / counts.size();
  std::vector<float> means(sums.size(), 0);
  std::vector<double> total(cols, 0);
  size_t used = 0;
  for (size_t m = 0; m < counts.size(); ++m) {
    if (!(counts[m] > 0)) continue;
    ++used;
    for (size_t j = 0; j < cols; ++j) {
      means[m * cols + j] = sums[m * cols + j] / counts[m];
      total[j] += means[m * cols + j];
    }
  }
  for (size_t m = 0; m < counts.size() && used > 0; ++m) {
    if (counts[m] > 0) continue;
    for (size_t j = 0; j < cols; ++j)
      means[m * cols + j] = static_cast<float>(total[j] / static_cast<double>(used));
  }
  return means;
}

Result<std::vector<float>> read_tensor(const GgufFile& file, size_t index) {
  std::vector<float> values(file.tensors()[index].elements());
  LLMC_RETURN_IF_ERROR(file.read_f32(index, 0, values));
  LLMC_RETURN_IF_ERROR(check_moments(file.tensors()[index].name, values));
  return values;
}

// The means of every weight that has sums under `suffix`.
Result<Entries> load_means(const GgufFile& file, const std::map<std::string_view, size_t>& by_name,
                           std::string_view suffix) {
  Entries entries;
  for (const auto& [tensor, index] : by_name) {
    if (!tensor.ends_with(suffix)) continue;
    const std::string name(tensor.substr(0, tensor.size() - suffix.size()));
    const auto counts_at = by_name.find(name + std::string(kCountSuffix));
    if (counts_at == by_name.end()) {
      return error(ErrorKind::kCorrupt, "importance sums without counts").in_tensor(name);
    }
    LLMC_ASSIGN_OR_RETURN(const std::vector<float> sums, read_tensor(file, index));
    LLMC_ASSIGN_OR_RETURN(const std::vector<float> counts, read_tensor(file, counts_at->second));
    if (counts.empty() || sums.empty() || sums.size() % counts.size() != 0) {
      return error(ErrorKind::kCorrupt, "{} importance sums for {} counts", sums.size(), counts.size())
          .in_tensor(name);
    }
    entries.emplace(name, means_of(sums, counts));
  }
  return entries;
}

Result<FileEntries> load_gguf(const std::string& path) {
  LLMC_ASSIGN_OR_RETURN(const std::unique_ptr<GgufFile> file, GgufFile::open(path));
  std::map<std::string_view, size_t> by_name;
  for (size_t i = 0; i < file->tensors().size(); ++i) by_name[file->tensors()[i].name] = i;
  FileEntries entries;
  LLMC_ASSIGN_OR_RETURN(entries.inputs, load_means(*file, by_name, kInputSuffix));
  LLMC_ASSIGN_OR_RETURN(entries.outputs, load_means(*file, by_name, kOutputSuffix));
  return entries;
}

// The legacy format, read front to back.
class DatReader {
 public:
  explicit DatReader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  Result<Entries> read() {
    LLMC_ASSIGN_OR_RETURN(const uint64_t count, positive("number of entries"));
    Entries entries;
    for (uint64_t i = 0; i < count; ++i) {
      LLMC_ASSIGN_OR_RETURN(const uint64_t length, positive("length of a name"));
      LLMC_ASSIGN_OR_RETURN(const auto name_bytes, take(length));
      const std::string name(reinterpret_cast<const char*>(name_bytes.data()), name_bytes.size());
      LLMC_ASSIGN_OR_RETURN(std::vector<float> means, read_means(name));
      if (!entries.emplace(name, std::move(means)).second) return failure("a second entry").in_tensor(name);
    }
    return entries;
  }

 private:
  Error failure(const std::string& what) const {
    return error(ErrorKind::kCorrupt, "importance file (.dat): {}", what).at_offset(at_);
  }

  Result<std::span<const std::byte>> take(uint64_t size) {
    if (size > bytes_.size() - at_)
      return failure(fmt::format("{} bytes needed, {} left", size, bytes_.size() - at_));
    const auto taken = bytes_.subspan(at_, size);
    at_ += size;
    return taken;
  }

  Result<uint64_t> positive(const char* what) {
    LLMC_ASSIGN_OR_RETURN(const auto bytes, take(sizeof(int32_t)));
    int32_t value = 0;
    std::memcpy(&value, bytes.data(), sizeof value);
    if (value > 0) return static_cast<uint64_t>(value);
    at_ -= sizeof(int32_t);
    return failure(fmt::format("{} is {}", what, value));
  }

  Result<std::vector<float>> read_means(const std::string& name) {
    LLMC_ASSIGN_OR_RETURN(const uint64_t calls, positive("number of calls"));
    LLMC_ASSIGN_OR_RETURN(const uint64_t count, positive("number of values"));
    LLMC_ASSIGN_OR_RETURN(const auto bytes, take(count * sizeof(float)));
    std::vector<float> means(count);
    std::memcpy(means.data(), bytes.data(), bytes.size());
    for (float& mean : means) mean /= static_cast<float>(calls);
    LLMC_RETURN_IF_ERROR(check_moments(name, means));
    return means;
  }

  std::span<const std::byte> bytes_;
  uint64_t at_ = 0;
};

Result<FileEntries> load_entries(const std::string& path) {
  LLMC_ASSIGN_OR_RETURN(const std::string start, read_prefix(path, 4));
  if (start == "GGUF") return load_gguf(path);
  FileEntries entries;
  LLMC_ASSIGN_OR_RETURN(const std::vector<std::byte> bytes, read_file(path, kMaxWholeFileBytes));
  LLMC_ASSIGN_OR_RETURN(entries.inputs, DatReader(bytes).read());
  return entries;
}

Result<ImportanceEntry> sized_entry(std::string_view name, std::span<const float> moments, uint64_t size,
                                    uint64_t matrices, const char* what) {
  if (size > 0 && moments.size() % size == 0 && moments.size() / size == matrices)
    return ImportanceEntry{moments, size};
  return error(ErrorKind::kInvalidArgument, "importance has {} values for {} matrices of {} {}",
               moments.size(), matrices, size, what)
      .in_tensor(std::string(name));
}

}  // namespace

Result<Importance> Importance::load(const std::string& path) {
  Result<FileEntries> entries = load_entries(path);
  if (!entries.is_ok()) return std::move(entries).error().in_file(path);
  if (entries->inputs.empty())
    return error(ErrorKind::kCorrupt, "no importance entries (NAME.in_sum2)").in_file(path);
  Importance importance;
  importance.entries_ = std::move(entries->inputs);
  importance.outputs_ = std::move(entries->outputs);
  return importance;
}

void Importance::append(const std::string& name, std::span<const float> moments) {
  std::vector<float>& entry = entries_[name];
  entry.insert(entry.end(), moments.begin(), moments.end());
}

void Importance::append_outputs(const std::string& name, std::span<const float> moments) {
  std::vector<float>& entry = outputs_[name];
  entry.insert(entry.end(), moments.begin(), moments.end());
}

void Importance::adopt_part(Importance&& part, const std::string& prefix) {
  for (auto& [name, moments] : part.entries_) entries_[prefix + name] = std::move(moments);
  for (auto& [name, moments] : part.outputs_) outputs_[prefix + name] = std::move(moments);
}

Result<ImportanceEntry> Importance::find(std::string_view name, uint64_t cols, uint64_t matrices) const {
  const auto gguf = gguf_name_in_folder(name);
  auto entry = entries_.find(name);
  if (entry == entries_.end() && gguf) entry = entries_.find(gguf->name);
  if (entry == entries_.end()) return ImportanceEntry{};
  const std::span<const float> moments = entry->second;
  if (gguf && gguf->expert && entry->first == gguf->name && cols > 0 && moments.size() % cols == 0 &&
      matrices == 1 && *gguf->expert < moments.size() / cols) {
    return ImportanceEntry{moments.subspan(*gguf->expert * cols, cols), cols};
  }
  return sized_entry(name, moments, cols, matrices, "columns");
}

Result<ImportanceEntry> Importance::find_outputs(std::string_view name, uint64_t rows,
                                                 uint64_t matrices) const {
  const auto entry = outputs_.find(name);
  if (entry == outputs_.end()) return ImportanceEntry{};
  return sized_entry(name, entry->second, rows, matrices, "rows");
}

std::vector<std::string> Importance::names() const {
  std::vector<std::string> names;
  for (const auto& [name, values] : entries_) names.push_back(name);
  return names;
}

}  // namespace llmcodec
