// SPDX-License-Identifier: BSD-3-Clause
// The files of a Hugging Face folder that are not weights: copied beside the archive and back, with
// quantization_config put into config.json and taken out again.
#pragma once

#include "archive/archive_writer.h"
#include "llmcodec/status.h"
#include "tensor/model_source.h"

namespace llmcodec {

// Makes the output folder where one is needed. InvalidArgument when the output is the input,
// or holds another model.
Status prepare_output(const Model& model, const std::string& output, const ArchiveLayout& layout);
// From the model's folder to the archive's; nothing for other kinds of model.
Status carry_over_to_archive(const Model& model, const std::string& output);
// From the archive's folder to the restored one: everything but weights.
Status carry_over_from_archive(const std::string& archive_folder, const std::string& output);

}  // namespace llmcodec
