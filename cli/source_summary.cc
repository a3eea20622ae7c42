// SPDX-License-Identifier: BSD-3-Clause
#include "source_summary.h"

#include "base/error.h"
#include "tensor_table.h"
#include "text_format.h"

namespace llmcodec::cli {

Status show_source(Session& session, const CompressOptions& options) {
  LLMC_ASSIGN_OR_RETURN(const SourceReport report, inspect_source(options));
  for (const std::string& note : report.notes) session.note("note: " + note);
  if (session.json()) {
    session.print_json(report.to_json());
    return Status::ok();
  }
  session.print(tensor_table(report.tensors, {.role = true}));
  session.print(
      fmt::format("\na model of kind '{}': {} parameters in {} bytes; {}: {} parameters; {} bytes would be "
                  "stored exactly\n",
                  report.source_kind, grouped(report.parameters), grouped(report.bytes),
                  coded_count(report.tensors), grouped(report.coded_parameters), grouped(report.kept_bytes)));
  session.print(parts_lines(report.parts) + carried_line(report.carried_files));
  return Status::ok();
}

}  // namespace llmcodec::cli
