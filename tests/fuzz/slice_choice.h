// SPDX-License-Identifier: BSD-3-Clause
// Eight bytes that choose the headers of a slice, always within their ranges, for fuzzing slice data alone.
//
//   SliceJob job = job_from(data);                    // any eight bytes
//   auto choice = choice_for(job_of_a_real_stream);   // its inverse, for seeds
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "vvc/slice/slice_decoder.h"

namespace llmcodec::vvc {

inline constexpr size_t kChoices = 8;

inline SliceJob job_from(const uint8_t* choice) {
  SliceJob job;
  PartitionConstraints& c = job.parameters.partition;
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

// What byte `i` of a choice decides, given those before it.
inline std::vector<int> decided_by(const SliceJob& job, size_t i) {
  const SliceParameters& p = job.parameters;
  const PartitionConstraints& c = p.partition;
  switch (i) {
    case 0:
      return {c.ctb_log2};
    case 1:
      return {c.min_cb_log2, c.min_qt_log2};
    case 2:
      return {c.max_mtt_depth, c.max_bt_log2};
    case 3:
      return {c.max_tt_log2, p.max_tb_log2, p.mrl_enabled, p.cu_qp_delta_enabled, job.bit_depth};
    case 4:
      return {p.picture.width};
    case 5:
      return {p.picture.height};
    case 6:
      return {p.cu_qp_delta_subdiv};
    default:
      return {p.slice_qp, job.extent.wavefront};
  }
}

// The bytes from which job_from() makes this job; nullopt for a job that it cannot make.
inline std::optional<std::array<uint8_t, kChoices>> choice_for(const SliceJob& job) {
  std::array<uint8_t, kChoices> choice{};
  for (size_t i = 0; i < kChoices; ++i) {
    int value = 0;
    for (; value < 256; ++value) {
      choice[i] = static_cast<uint8_t>(value);
      if (decided_by(job_from(choice.data()), i) == decided_by(job, i)) break;
    }
    if (value == 256) return std::nullopt;
  }
  return choice;
}

}  // namespace llmcodec::vvc
