// SPDX-License-Identifier: BSD-3-Clause
// Which of a model's equal tensors are stored once: those that would have the same settings.
#pragma once

#include "compress/compress_state.h"

namespace llmcodec {

// Finds them, lists them in the state's description (`same_as`), gives copies the plan of the tensor that is stored for
// them, and leaves a note. To be called when the plan is resolved and before scales are fitted.
Status store_equal_tensors_once(CompressState& state);

}  // namespace llmcodec
