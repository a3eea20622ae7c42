// SPDX-License-Identifier: BSD-3-Clause
#include "vvc/stream/header_coder.h"

#include "base/error.h"

namespace llmcodec::vvc {

int64_t HeaderReader::checked(const char* name, int64_t value, int64_t lo, int64_t hi) {
  if (!status_.is_ok()) return lo;
  if (!bits_.ok()) {
    status_ = error(ErrorKind::kCorrupt, "header ends early or has an invalid code at {}", name);
    return lo;
  }
  if (trace_ != nullptr) trace_->element(name, value);
  if (value < lo || value > hi) {
    status_ = error(ErrorKind::kCorrupt, "{} is {}, not in [{}, {}]", name, value, lo, hi);
    return lo;
  }
  return value;
}

void HeaderReader::must_equal(const char* name, uint32_t read, uint32_t value) {
  const int64_t found = checked(name, read, 0, UINT32_MAX);
  if (status_.is_ok() && found != value)
    status_ = error(ErrorKind::kUnsupported, "{} is {}; only {} is supported", name, found, value);
}

void HeaderReader::fixed(const char* name, unsigned bits, uint32_t value) {
  must_equal(name, bits_.u(bits), value);
}

void HeaderReader::align_zero(const char* name) {
  while (status_.is_ok() && !bits_.byte_aligned()) checked(name, bits_.u(1), 0, 0);
}

void HeaderReader::trailing_bits() {
  checked("rbsp_stop_one_bit", bits_.u(1), 1, 1);
  align_zero("rbsp_alignment_zero_bit");
}

bool HeaderWriter::checked(const char* name, int64_t value, int64_t lo, int64_t hi) {
  if (!status_.is_ok()) return false;
  if (trace_ != nullptr) trace_->element(name, value);
  if (value < lo || value > hi)
    status_ = error(ErrorKind::kInvalidArgument, "{} is {}, not in [{}, {}]", name, value, lo, hi);
  return status_.is_ok();
}

void HeaderWriter::align_zero(const char* name) {
  while (status_.is_ok() && !bits_.byte_aligned()) fixed(name, 1, 0);
}

void HeaderWriter::trailing_bits() {
  fixed("rbsp_stop_one_bit", 1, 1);
  align_zero("rbsp_alignment_zero_bit");
}

}  // namespace llmcodec::vvc
