// SPDX-License-Identifier: BSD-3-Clause
// Runs a check once for every instruction set that Highway was compiled for and this processor has.
#pragma once

#include <gtest/gtest.h>

#include <hwy/targets.h>
#include <cstdint>

namespace llmcodec::vvc {

template <class Check>
void on_every_instruction_set(Check check) {
  const int64_t all = hwy::SupportedTargets();
  for (int64_t targets = all; targets != 0; targets &= targets - 1) {
    const int64_t target = targets & -targets;
    SCOPED_TRACE(hwy::TargetName(target));
    hwy::SetSupportedTargetsForTest(target);
    check();
  }
  hwy::SetSupportedTargetsForTest(0);
}

}  // namespace llmcodec::vvc
