// SPDX-License-Identifier: BSD-3-Clause
#include "vvc/slice/slice_syntax.h"

namespace llmcodec::vvc {

SliceParameters slice_parameters(const Sps& sps, const Pps& pps, const SliceHeader& header) {
  SliceParameters p;
  p.picture.width = static_cast<int>(sps.sps_pic_width_max_in_luma_samples);
  p.picture.height = static_cast<int>(sps.sps_pic_height_max_in_luma_samples);
  p.partition = partition_constraints(sps, header.picture);
  p.max_tb_log2 = sps.max_tb_log2();
  p.mrl_enabled = sps.sps_mrl_enabled_flag;
  p.cu_qp_delta_enabled = pps.pps_cu_qp_delta_enabled_flag;
  p.cu_qp_delta_subdiv = static_cast<int>(header.picture.ph_cu_qp_delta_subdiv_intra_slice);
  p.qp_bd_offset = sps.qp_bd_offset();
  p.slice_qp = header.slice_qp(pps);
  p.slice = static_cast<uint16_t>(header.sh_slice_address + 1);
  return p;
}

void trace_transform_unit(TraceSink& trace, const CodingUnit& cu, const TransformUnit& tu) {
  trace.element("TU x", tu.x);
  trace.element("TU y", tu.y);
  trace.element("IntraPredModeY", cu.mode);
  trace.element("QpY", cu.qp);
  const ScanOrder& scan = scan_order(tu.log2_width, tu.log2_height);
  for (int n = tu.coded ? tu.last : -1; n >= 0; --n)
    trace.element("TransCoeffLevel", tu.levels[scan[n].raster]);
}

}  // namespace llmcodec::vvc
