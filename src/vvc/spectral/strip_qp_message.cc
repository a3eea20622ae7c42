// SPDX-License-Identifier: BSD-3-Clause
#include "vvc/spectral/strip_qp_message.h"

#include "vvc/stream/bitstream.h"
#include "vvc/stream/header_coder.h"

namespace llmcodec::vvc {

std::vector<std::byte> strip_qp_message(std::span<const int> qps, TraceSink* trace) {
  constexpr uint32_t kUserDataUnregistered = 5;
  BitWriter bits;
  HeaderWriter writer(bits, trace), payload(bits, nullptr);
  writer.u("last_payload_type_byte", kUserDataUnregistered, 8);
  size_t size = kStripQpUuid.size() + qps.size();
  for (; size >= 255; size -= 255) writer.u("last_payload_size_byte", 255u, 8);
  writer.u("last_payload_size_byte", static_cast<uint32_t>(size), 8);
  for (uint8_t byte : kStripQpUuid) payload.u("uuid_iso_iec_11578", uint32_t{byte}, 8);
  for (int qp : qps) payload.u("user_data_payload_byte", static_cast<uint32_t>(qp + kStripQpOffset), 8);
  writer.trailing_bits();
  return bits.take();
}

}  // namespace llmcodec::vvc
