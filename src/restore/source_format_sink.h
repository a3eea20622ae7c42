// SPDX-License-Identifier: BSD-3-Clause
// Takes the restored model, in BF16 where the source was quantised, and writes what the source had there: codes, scales and
// the small tensors beside them. One tensor at a time is held whole, for a scale may be that of all its weights.
#pragma once

#include <memory>
#include <vector>

#include "archive/description.h"
#include "restore/restored_model.h"
#include "tensor/source_format.h"

namespace llmcodec {

// Where each restored tensor goes in the list of tensors of the files.
struct SourceFormatPlan {
  std::vector<TensorInfo> restored;          // as the archive has them
  std::vector<const SourceFormat*> formats;  // of each; null: as it is. Of the description
  std::vector<TensorInfo> written;           // of the files
  std::vector<size_t> first;                 // in `written`, of each restored one
};

// Unsupported, naming scheme and tensor, for what cannot be written back; InvalidArgument for an archive that says nothing
// of how its source was quantised; Corrupt for formats that do not fit the tensors. `description` must live longer.
Result<SourceFormatPlan> plan_source_format(const std::vector<TensorInfo>& restored,
                                            const Description& description);

// `sink` was made for plan.written.
std::unique_ptr<TensorSink> create_source_format_sink(SourceFormatPlan plan,
                                                      std::unique_ptr<TensorSink> sink);

}  // namespace llmcodec
