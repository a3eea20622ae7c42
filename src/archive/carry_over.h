// SPDX-License-Identifier: BSD-3-Clause
// The files of a Hugging Face folder that are not weights: copied beside the archive and back, with
// quantization_config put into config.json and taken out again.
#pragma once

#include "archive/archive_reader.h"
#include "archive/archive_writer.h"
#include "llmcodec/status.h"
#include "tensor/model_folder.h"
#include "tensor/model_source.h"

namespace llmcodec {

// InvalidArgument when the output is the model's folder, when check_output_file() refuses a file that will be written
// (`inputs`: what must not be replaced), and when a folder is needed where there is a file.
Status check_output(const Model& model, const std::vector<std::string>& inputs, const std::string& output,
                    const ArchiveLayout& layout);
// What an output must not replace: the archive's files and, in a folder of a model, those that stand beside them.
// `input`: as the archive was named. Io when the folder cannot be looked at.
Result<std::vector<std::string>> files_of(const ArchiveReader& archive, const std::string& input);

// From the model's folder to the archive's, whose commit() they wait for; nothing for other kinds of model.
Status carry_over_to_archive(const Model& model, ModelFolder& output);
// From the archive's folder to the restored one: everything but weights.
Status carry_over_from_archive(const std::string& archive_folder, ModelFolder& output);

}  // namespace llmcodec
