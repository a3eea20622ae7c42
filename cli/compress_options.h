// SPDX-License-Identifier: BSD-3-Clause
// What `compress` and `plan` have in common: everything that decides what the archive will hold.
#pragma once

#include <optional>

#include "session.h"

namespace llmcodec::cli {

struct CompressArguments {
  CompressOptions options;
  // At most one is given.
  std::optional<double> bpw, snr, step;
  std::optional<uint64_t> size;
  bool dry_run = false;   // of compress
  std::string calibrate;  // "self" or a text's file; empty: none
};

// Declares IN and the options; `arguments` must live until the command has run.
void add_compress_options(CLI::App& command, CompressArguments& arguments);

// The options with the target that was given.
CompressOptions resolved(const CompressArguments& arguments);

// Runs the calibration that was asked for, telling how far it is, and names its files in `options`.
Status calibrate_for(Session& session, const CompressArguments& arguments, CompressOptions* options);

}  // namespace llmcodec::cli
