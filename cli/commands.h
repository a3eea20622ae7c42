// SPDX-License-Identifier: BSD-3-Clause
// All commands of the program, each in its own file. To add one: write add_NAME() in NAME_command.cc and list
// it in main.cc; help, completion and error handling follow from what it declares.
#pragma once

#include "session.h"

namespace llmcodec::cli {

void add_compress(CLI::App& app, Session& session);
void add_decompress(CLI::App& app, Session& session);
void add_inspect(CLI::App& app, Session& session);
void add_verify(CLI::App& app, Session& session);
void add_plan(CLI::App& app, Session& session);
void add_extract(CLI::App& app, Session& session);
void add_codecs(CLI::App& app, Session& session);
void add_bench(CLI::App& app, Session& session);
void add_eval(CLI::App& app, Session& session);
void add_importance(CLI::App& app, Session& session);
void add_vvc(CLI::App& app, Session& session);
void add_completion(CLI::App& app, Session& session);

}  // namespace llmcodec::cli
