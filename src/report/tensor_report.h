// SPDX-License-Identifier: BSD-3-Clause
// What reports say of tensors, from an archive or from measurements, and the JSON of all reports.
#pragma once

#include <vector>

#include "archive/archive_reader.h"
#include "base/error_metrics.h"
#include "llmcodec/model.h"

namespace llmcodec {

// All tensors of the model, coded and exact, with their bytes in the archive; sorted by name.
std::vector<TensorReport> describe_tensors(const ArchiveReader& archive);
void set_errors(const ErrorMetrics& metrics, TensorReport* tensor);
// bpw counts `bytes`, bpw_weights leaves out the carried-over ones.
void set_bpw(uint64_t bytes, uint64_t carried_bytes, uint64_t parameters, double* bpw, double* bpw_weights);
// Bytes of the archive that are no tensor (GGUF key-values).
uint64_t carried_bytes(const ArchiveReader& archive);
CarriedFilesReport count_carried_files(const CarriedFiles& files);
// The parts of a pipeline, as the archive's description lists them, which have all of `tensors`; empty for other models.
std::vector<PartReport> sum_parts(const std::vector<TensorReport>& tensors, const Description& description);

}  // namespace llmcodec
