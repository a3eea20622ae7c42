// SPDX-License-Identifier: BSD-3-Clause
// What compress would do with a model, by names, shapes and headers: for `inspect MODEL` and `compress --dry-run`.
#pragma once

#include "session.h"

namespace llmcodec::cli {

Status show_source(Session& session, const CompressOptions& options);

}  // namespace llmcodec::cli
