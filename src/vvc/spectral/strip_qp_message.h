// SPDX-License-Identifier: BSD-3-Clause
// What a foreign reader of a spectral picture must know and a decoded picture does not show:
// the QP of every strip (row of CTUs). It stands in the stream as a user_data_unregistered SEI message
// (H.274 8.4, payload type 5) behind the slice: kStripQpUuid, then one byte per strip, QP + kStripQpOffset.
// Streams whose strips all have the slice QP have no message. VVC decoders skip it;
// so does ours, which reads levels and needs no QP.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "vvc/stream/trace.h"

namespace llmcodec::vvc {

// "llmcodEc?stripQP" with the version and variant bits of a random UUID.
// No zeros: the message is never escaped.
inline constexpr std::array<uint8_t, 16> kStripQpUuid = {0x6c, 0x6c, 0x6d, 0x63, 0x6f, 0x64, 0x45, 0x63,
                                                         0xae, 0x73, 0x74, 0x72, 0x69, 0x70, 0x51, 0x50};
inline constexpr int kStripQpOffset = 64;

// The RBSP of the SEI NAL unit. QPs -12..63, at most kMaxSpectralBlocks of them. `trace` may be null.
std::vector<std::byte> strip_qp_message(std::span<const int> qps, TraceSink* trace);

}  // namespace llmcodec::vvc
