// SPDX-License-Identifier: BSD-3-Clause
// SIGINT and SIGTERM ask the command at work to stop in good order; a second signal kills the process.
#pragma once

namespace llmcodec::cli {

// Installs the handlers; without it signals end the process at once. Call it once, before threads start.
void catch_interrupts();

// True after the first signal; thread-safe. False for ever when catch_interrupts() was not called.
bool interrupted();

}  // namespace llmcodec::cli
