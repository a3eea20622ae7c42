// SPDX-License-Identifier: BSD-3-Clause
#include "vvc/stream/trace.h"

#include <cinttypes>

namespace llmcodec::vvc {

void TextTrace::element(const char* name, int64_t value) {
  std::fprintf(file_, "%s %" PRId64 "\n", name, value);
}

}  // namespace llmcodec::vvc
