// SPDX-License-Identifier: BSD-3-Clause
// Slice data behind valid headers: the first eight bytes choose the headers, the rest goes to the arithmetic
// decoder.
#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "vvc/slice_decoder.h"

using namespace llmcodec;

namespace {

// Partition, sizes and tools from bytes, always within the ranges that the headers allow.
vvc::SliceJob job_from(const uint8_t* choice) {
  vvc::SliceJob job;
  vvc::PartitionConstraints& c = job.parameters.partition;
  c.ctb_log2 = 5 + choice[0] % 3;
  const int top = std::min(6, c.ctb_log2);
  c.min_cb_log2 = 2 + choice[1] % std::min(4, c.ctb_log2 - 1);
  c.min_qt_log2 = c.min_cb_log2 + (choice[1] >> 4) % (top - c.min_cb_log2 + 1);
  c.max_mtt_depth = choice[2] % (2 * (c.ctb_log2 - c.min_cb_log2) + 1);
  c.max_bt_log2 = c.min_qt_log2 + (choice[2] >> 4) % (c.ctb_log2 - c.min_qt_log2 + 1);
  c.max_tt_log2 = c.min_qt_log2 + (choice[3] & 15) % (top - c.min_qt_log2 + 1);
  const int unit = std::max(8, 1 << c.min_cb_log2);
  job.parameters.picture = {unit * (1 + choice[4] % 16), unit * (1 + choice[5] % 16)};
  job.parameters.max_tb_log2 = c.ctb_log2 > 5 && (choice[3] & 16) != 0 ? 6 : 5;
  job.parameters.mrl_enabled = (choice[3] & 32) != 0;
  job.parameters.cu_qp_delta_enabled = (choice[3] & 64) != 0;
  job.parameters.cu_qp_delta_subdiv = choice[6] % 16;
  job.bit_depth = (choice[3] & 128) != 0 ? 10 : 8;
  job.parameters.qp_bd_offset = 6 * (job.bit_depth - 8);
  job.parameters.slice_qp = choice[7] % 64;
  job.extent.wavefront = (choice[7] & 64) != 0;
  const int ctb = 1 << c.ctb_log2;
  job.extent.ctu_columns = (job.parameters.picture.width + ctb - 1) / ctb;
  job.extent.ctu_rows = (job.parameters.picture.height + ctb - 1) / ctb;
  return job;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr size_t kChoices = 8;
  if (size < kChoices) return 0;
  vvc::SliceJob job = job_from(data);
  const std::vector<uint8_t> copy(data + kChoices, data + size);
  job.data = std::as_bytes(std::span(copy));
  const auto [width, height] = job.parameters.picture;
  vvc::CuMap map(width, height);
  Plane picture(static_cast<uint32_t>(width), static_cast<uint32_t>(height));
  (void)vvc::decode_slice(job, map, picture.view()).is_ok();
  return 0;
}
