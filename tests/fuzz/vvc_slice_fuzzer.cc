// SPDX-License-Identifier: BSD-3-Clause
// Slice data behind valid headers: the first eight bytes choose the headers (slice_choice.h), the rest goes
// to the arithmetic decoder. Seeds: corpus/vvc_slice_fuzzer, made by vvc_fuzz_seeds.
#include <cstdint>
#include <span>
#include <vector>

#include "slice_choice.h"

using namespace llmcodec;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < vvc::kChoices) return 0;
  vvc::SliceJob job = vvc::job_from(data);
  const std::vector<uint8_t> copy(data + vvc::kChoices, data + size);
  job.data = std::as_bytes(std::span(copy));
  const auto [width, height] = job.parameters.picture;
  vvc::CuMap map(width, height);
  Plane picture(static_cast<uint32_t>(width), static_cast<uint32_t>(height));
  (void)vvc::decode_slice(job, map, picture.view()).is_ok();
  return 0;
}
