// SPDX-License-Identifier: BSD-3-Clause
// Streams of our own two encoders on random content, with the encoder's reconstruction: 8x8 to 4096x640
// samples, odd sizes by conformance window, 8 and 10 bits, the whole range of QPs, a QP for every CTU,
// several slices and pictures; flat, noise, ramps, spikes, extreme samples and levels. One stream in four is
// of the spectral encoder.
//
//   RandomStream stream = encoded_stream(seed);
//   // every decoder must find stream.pictures in stream.bytes
#pragma once

#include "random_stream.h"

namespace llmcodec::vvc {

// The same seed gives the same content and settings on every machine (the bytes follow the encoders).
RandomStream encoded_stream(uint32_t seed);

}  // namespace llmcodec::vvc
