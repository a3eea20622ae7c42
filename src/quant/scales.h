// SPDX-License-Identifier: BSD-3-Clause
// Scales of a matrix: x[i][j] = row[i] * col[j] * u[i][j] (+ zero), all u coded with one step, so row[i] * col[j] is
// the relative STEP of a weight. Scales are stored as 8-bit logarithmic codes; what is computed with is the decoded
// value, so encoder and decoder agree to the bit (no libm in between).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "llmcodec/matrix_view.h"
#include "llmcodec/status.h"

namespace llmcodec {

// 8-bit logarithmic code of positive numbers: value(code) = base * 2^(code / per_octave), code 1..255; 0 means 0.0
// (a dead row or column). per_octave is a power of two up to 32: at 16 the relative error is at most 2.2 %.
struct LogCode {
  float base = 1;
  uint32_t per_octave = 16;
  float decode(uint8_t code) const;
  uint8_t encode(float value) const;  // nearest in log2, clamped to 1..255; 0 for value 0
};

enum class ScaleKind { kTensor, kRow, kColumn, kGroup, kDual };

}  // namespace llmcodec
