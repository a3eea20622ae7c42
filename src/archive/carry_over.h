// SPDX-License-Identifier: BSD-3-Clause
// The files of a Hugging Face folder that are not weights: copied beside the archive, which lists them with
// their checksums, and back, with quantization_config put into config.json and taken out again, or what the
// source had there put back.
//
// Links: in the folder of a model, which is the user's own, they are followed (a Hugging Face cache is made of
// them). In the folder of an archive, which may be a stranger's, they are refused: they could lead to any file
// of the reader's. Only those that lead from a snapshot of that cache to a blob of the same model are followed.
#pragma once

#include "archive/archive_reader.h"
#include "archive/archive_writer.h"
#include "archive/description.h"
#include "llmcodec/status.h"
#include "tensor/model_folder.h"
#include "tensor/model_source.h"

namespace llmcodec {

// Of files that will be carried into `folder` under these names, before hours of work: errors of check_ways() and
// check_output_file() (`inputs`: what must not be replaced).
Status check_carried_outputs(const std::vector<std::string>& names, const std::vector<std::string>& inputs,
                             const std::string& folder);

// InvalidArgument when the output is the model's folder, when check_output_file() refuses a file that will be written
// or check_carried_outputs() one that will be carried (`inputs`: what must not be replaced), when check_marks() refuses the
// folder, and when a folder is needed where there is a file.
Status check_output(const Model& model, const std::vector<std::string>& inputs, const std::string& output,
                    const ArchiveLayout& layout);
// What an output must not replace: the archive's files and, in a folder of a model, those that stand beside them.
// `input`: as the archive was named. Io when the folder cannot be looked at.
Result<std::vector<std::string>> files_of(const ArchiveReader& archive, const std::string& input);

// Which config.json the restored folder gets: that of the restored model, or that of a quantised source, with the other
// JSON files that said how it was quantised.
enum class ConfigOf { kRestored, kSource };
// What carry_over_from_archive() writes from an archive in `folder`, by name.
Result<std::vector<std::string>> carried_names(const Description& description, const std::string& folder,
                                               ConfigOf config);

// The files of the model's folder as they will lie beside the archive; none for other kinds of model. Reads
// them all. InvalidArgument for a name that CarriedNames refuses.
Result<CarriedFiles> list_carried_files(const Model& model);
// From the model's folder to the archive's, whose commit() they wait for. Io when a file is no longer what `listed`
// says.
Status carry_over_to_archive(const Model& model, const CarriedFiles& listed, ModelFolder& output);

// What is said of the files of an archive that was given by its folder: each must be there and as described,
// config.json JSON that can be changed. Io for a missing file, Corrupt for another length or checksum,
// Unsupported for a link; the error names the file. Of version 2, which lists none, what lies there is looked
// at.
Status check_carried_files(const Description& description, const std::string& archive_folder);
// The same, and copies them to the restored folder: what the description lists and nothing else (version 2:
// what lies there, weights left out).
Status carry_over_from_archive(const Description& description, const std::string& archive_folder,
                               ModelFolder& output, ConfigOf config = ConfigOf::kRestored);

}  // namespace llmcodec
