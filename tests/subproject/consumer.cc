// SPDX-License-Identifier: BSD-3-Clause
#include "llmcodec/model.h"

int main() {
  return llmcodec::compress({}).is_ok() ? 0 : 1;
}
