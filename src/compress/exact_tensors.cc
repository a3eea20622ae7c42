// SPDX-License-Identifier: BSD-3-Clause
#include "compress/exact_tensors.h"

#include <algorithm>

#include "archive/part_names.h"
#include "coding/tensor_recipe.h"
#include "compress/archive_plan.h"

namespace llmcodec {
namespace {

Status append_all(const TensorSource& source, size_t index, ArchiveWriter& writer) {
  return source.visit(index, source.byte_size(index), 1,
                      [&](std::span<const std::byte> piece) { return writer.append(piece); });
}

}  // namespace

Status write_exact_tensor(const TensorSource& source, size_t index, size_t shard, ArchiveWriter& writer) {
  const TensorInfo& info = source.tensors()[index];
  if (writer.is_done(info.name)) return Status::ok();
  if (!needs_verbatim(info.dtype)) {
    LLMC_RETURN_IF_ERROR(writer.begin_exact(info, shard));
    LLMC_RETURN_IF_ERROR(append_all(source, index, writer));
    return writer.end_exact();
  }
  LLMC_RETURN_IF_ERROR(writer.begin_tensor(info.name, shard));
  LLMC_RETURN_IF_ERROR(writer.begin_part(part_name::kData));
  LLMC_RETURN_IF_ERROR(append_all(source, index, writer));
  LLMC_RETURN_IF_ERROR(writer.end_part());
  return writer.end_tensor(verbatim_record(info));
}

}  // namespace llmcodec
