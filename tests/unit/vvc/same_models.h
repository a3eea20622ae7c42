// SPDX-License-Identifier: BSD-3-Clause
// Compares the models of two coders; a failure names the syntax element.
#pragma once

#include <gtest/gtest.h>

#include "vvc/cabac/context_tables.h"
#include "vvc/cabac/contexts.h"

namespace llmcodec::vvc {

inline void expect_same_models(const ContextSet& expected, const ContextSet& found) {
  for (const ContextTableRow& row : context_table())
    for (size_t i = 0; i < row.init_value.size(); ++i) {
      const size_t model = static_cast<size_t>(row.first) + i;
      ASSERT_EQ(expected[model].states, found[model].states) << row.name << " + " << i;
    }
}

}  // namespace llmcodec::vvc
