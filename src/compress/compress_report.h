// SPDX-License-Identifier: BSD-3-Clause
// What compress(), plan() and inspect_source() say of their work.
#pragma once

#include <map>
#include <string>

#include "base/error_metrics.h"
#include "compress/compress_state.h"

namespace llmcodec {

// `archive`: where it was written. `measured`: the errors of every coded tensor. Errors: those of reading the
// archive back, which must be readable.
Result<CompressReport> report_archive(const CompressState& state, const std::string& archive,
                                      const std::map<std::string, ErrorMetrics>& measured);
SourceReport report_source(const CompressState& state);
PlanReport report_plan(const CompressState& state, const RateFound& found);

}  // namespace llmcodec
