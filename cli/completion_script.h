// SPDX-License-Identifier: BSD-3-Clause
// Shell completion made from what the commands declare, so that it cannot fall behind them.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace llmcodec::cli {

enum class Shell { kBash, kZsh, kFish };

// A script that the shell sources; completes commands, options, the values of options with a fixed
// set, and file names.
std::string completion_script(const CLI::App& app, Shell shell);

}  // namespace llmcodec::cli
