// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <unordered_set>

#include "base/error.h"
#include "base/utf8.h"
#include "compress/compress_model.h"
#include "tensor/safetensors.h"

namespace llmcodec {
namespace {

class MemorySource final : public TensorSource {
 public:
  MemorySource(std::vector<TensorInfo> infos, std::span<const TensorBytes> tensors)
      : infos_(std::move(infos)), bytes_(tensors) {}
  const std::vector<TensorInfo>& tensors() const override { return infos_; }
  Status read(size_t index, uint64_t first, std::span<std::byte> out) const override {
    std::ranges::copy(bytes_[index].bytes.subspan(first, out.size()), out.begin());
    return Status::ok();
  }
  const std::string& file(size_t) const override { return no_file_; }
  uint64_t offset(size_t) const override { return 0; }

 private:
  std::vector<TensorInfo> infos_;
  std::span<const TensorBytes> bytes_;
  std::string no_file_;
};

Result<TensorInfo> info_of(const TensorBytes& tensor) {
  const auto dtype = dtype_from_name(tensor.dtype);
  if (!dtype) return error(ErrorKind::kInvalidArgument, "dtype '{}' is not known", tensor.dtype);
  TensorInfo info{tensor.name, *dtype, tensor.shape};
  LLMC_RETURN_IF_ERROR(layout_safetensors({&info, 1}));  // sizes that overflow, dtypes, names
  LLMC_ASSIGN_OR_RETURN(const ByteRange range, element_bytes(info, 0, info.elements()));
  if (range.size == tensor.bytes.size()) return info;
  return error(ErrorKind::kInvalidArgument, "has {} bytes, and {} of its shape", tensor.bytes.size(),
               range.size);
}

}  // namespace

Result<CompressReport> compress_tensors(std::span<const TensorBytes> tensors,
                                        const SafetensorsMetadata& metadata, const CompressOptions& options) {
  std::vector<TensorInfo> infos;
  std::unordered_set<std::string_view> names;
  for (const TensorBytes& tensor : tensors) {
    auto info = info_of(tensor);
    if (!info.is_ok()) return std::move(info).error().in_tensor(tensor.name);
    if (!names.insert(tensor.name).second)
      return error(ErrorKind::kInvalidArgument, "is there twice").in_tensor(tensor.name);
    infos.push_back(std::move(info).value());
  }
  for (const auto& [key, value] : metadata) {
    if (!is_utf8(key) || !is_utf8(value))
      return error(ErrorKind::kInvalidArgument, "metadata is not valid UTF-8");
  }
  Model model;
  model.metadata = metadata;
  model.source = std::make_unique<MemorySource>(std::move(infos), tensors);
  return compress(std::move(model), options);
}

}  // namespace llmcodec
