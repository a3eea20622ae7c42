// SPDX-License-Identifier: BSD-3-Clause
#include "compress/equal_tensors.h"

#include <algorithm>
#include <map>
#include <string>

#include "archive/checksum.h"
#include "base/ordered_run.h"

namespace llmcodec {
namespace {

using Group = std::vector<size_t>;

// What tensors that cannot be told apart otherwise say of themselves.
using Telling = std::function<Result<std::string>(size_t tensor)>;

// Both ends: file formats and padding make many tensors begin alike.
Result<std::string> ends_of(const TensorSource& source, size_t index) {
  constexpr uint64_t kEnd = 4096;
  const uint64_t size = source.byte_size(index), end = std::min(kEnd, size);
  std::vector<std::byte> bytes(2 * end);
  const std::span<std::byte> both = bytes;
  LLMC_RETURN_IF_ERROR(source.read(index, 0, both.first(end)));
  LLMC_RETURN_IF_ERROR(source.read(index, size - end, both.last(end)));
  return xxh3_128(bytes);
}

Result<std::string> all_of(const TensorSource& source, size_t index) {
  Checksum checksum;
  LLMC_RETURN_IF_ERROR(source.visit(index, source.byte_size(index), 1, [&](std::span<const std::byte> piece) {
    checksum.update(piece);
    return Status::ok();
  }));
  return checksum.hex();
}

// Splits groups by what their tensors say, and leaves out those that are alone with it.
Result<std::vector<Group>> told_apart(const std::vector<Group>& groups, const Telling& tell,
                                      unsigned threads) {
  std::vector<std::pair<size_t, size_t>> all;  // group, tensor
  for (size_t g = 0; g < groups.size(); ++g) {
    for (const size_t tensor : groups[g]) all.emplace_back(g, tensor);
  }
  std::vector<std::string> said(all.size());
  LLMC_RETURN_IF_ERROR(for_all(threads, all.size(), [&](size_t i) -> Status {
    LLMC_ASSIGN_OR_RETURN(said[i], tell(all[i].second));
    return Status::ok();
  }));
  std::map<std::pair<size_t, std::string>, Group> parts;
  for (size_t i = 0; i < all.size(); ++i) parts[{all[i].first, said[i]}].push_back(all[i].second);
  std::vector<Group> split;
  for (auto& [key, part] : parts) {
    if (part.size() > 1) split.push_back(std::move(part));
  }
  return split;
}

std::vector<Group> of_one_kind(const std::vector<TensorInfo>& tensors) {
  std::map<std::pair<Dtype, std::vector<uint64_t>>, Group> kinds;
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (tensors[i].elements() > 0) kinds[{tensors[i].dtype, tensors[i].shape}].push_back(i);
  }
  std::vector<Group> groups;
  for (auto& [kind, group] : kinds) {
    if (group.size() > 1) groups.push_back(std::move(group));
  }
  return groups;
}

}  // namespace

Result<std::vector<TensorCopy>> find_equal_tensors(const TensorSource& source, const EqualTensorRules& rules,
                                                   unsigned threads) {
  std::vector<Group> groups = of_one_kind(source.tensors());
  LLMC_ASSIGN_OR_RETURN(groups, told_apart(
                                    groups, [&](size_t tensor) { return ends_of(source, tensor); }, threads));
  LLMC_ASSIGN_OR_RETURN(groups, told_apart(
                                    groups, [&](size_t tensor) { return all_of(source, tensor); }, threads));
  std::vector<TensorCopy> copies;
  for (Group& group : groups) {
    std::ranges::stable_partition(group, rules.preferred);
    Group originals;
    for (const size_t tensor : group) {
      const auto original =
          std::ranges::find_if(originals, [&](size_t other) { return rules.alike(other, tensor); });
      if (original == originals.end())
        originals.push_back(tensor);
      else
        copies.push_back({tensor, *original});
    }
  }
  std::ranges::sort(copies, {}, &TensorCopy::index);
  return copies;
}

}  // namespace llmcodec
