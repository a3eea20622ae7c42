// SPDX-License-Identifier: BSD-3-Clause
#include "tensor/pipeline_source.h"

#include "base/error.h"

namespace llmcodec {

Result<std::unique_ptr<PipelineSource>> PipelineSource::join(std::vector<Part> parts) {
  std::vector<std::string> names;
  for (const Part& part : parts) names.push_back(part.folder);
  const PartFolders folders(std::move(names));
  std::unique_ptr<PipelineSource> source(new PipelineSource(std::move(parts)));
  for (size_t p = 0; p < source->parts_.size(); ++p) {
    const Part& part = source->parts_[p];
    const std::string prefix = part_prefix(part.folder);
    if (part.source->tensors().empty())
      return error(ErrorKind::kInvalidArgument, "part '{}' of the pipeline has no tensors", part.folder);
    for (size_t i = 0; i < part.source->tensors().size(); ++i) {
      TensorInfo info = part.source->tensors()[i];
      info.name = prefix + info.name;
      info.folder_bytes = prefix.size();
      if (info.local_name().empty())
        return error(ErrorKind::kInvalidArgument, "part '{}' of the pipeline has a tensor without a name",
                     part.folder)
            .in_file(part.source->file(i));
      if (folders.prefix_bytes(info.name) != prefix.size())
        return error(ErrorKind::kInvalidArgument,
                     "would be taken for a tensor of the part in a folder further down, by its slash: rename "
                     "the "
                     "tensor or the folder")
            .in_tensor(info.name)
            .in_file(part.source->file(i));
      source->tensors_.push_back(std::move(info));
      source->places_.push_back({p, i});
    }
  }
  return source;
}

Status PipelineSource::read(size_t index, uint64_t first, std::span<std::byte> out) const {
  return part_of(index).read(places_[index].index, first, out);
}

const std::string& PipelineSource::file(size_t index) const {
  return part_of(index).file(places_[index].index);
}

uint64_t PipelineSource::offset(size_t index) const {
  return part_of(index).offset(places_[index].index);
}

uint64_t PipelineSource::stored_bytes(size_t index) const {
  return part_of(index).stored_bytes(places_[index].index);
}

PartView::PartView(const TensorSource& whole, const std::string& folder) : whole_(whole) {
  const std::string prefix = part_prefix(folder);
  for (size_t i = 0; i < whole.tensors().size(); ++i) {
    const TensorInfo& info = whole.tensors()[i];
    if (info.folder() != prefix) continue;
    tensors_.push_back({std::string(info.local_name()), info.dtype, info.shape});
    origin_.push_back(i);
  }
}

}  // namespace llmcodec
