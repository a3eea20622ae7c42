// SPDX-License-Identifier: BSD-3-Clause
// The two coders that the header descriptions (header_syntax.cc, sps_syntax.cc) are written for: HeaderReader
// fills a struct from bits, HeaderWriter makes bits from a struct. Both check each value's range and report
// it to a trace.
//
// Example (BitReader& bits, Sps& sps):
//
//   const auto part_of_sps = [](auto& coder, auto& s) {
//     coder.u(LLMC_NAMED(s, sps_log2_ctu_size_minus5), 2, 0, 2);
//     coder.flag(LLMC_NAMED(s, sps_mrl_enabled_flag));
//     coder.fixed("sps_palette_enabled_flag", 1, 0);           // outside our subset
//   };
//   HeaderReader reader(bits, nullptr);
//   part_of_sps(reader, sps);                                  // a HeaderWriter likewise
//   LLMC_RETURN_IF_ERROR(reader.take_status());
//
// Errors stick: after the first one reads give the lowest legal value and writes do nothing, so a description
// needs no test after each element; its loops end because their bounds are range-checked. Look at
// take_status() once at the end. Reading: Corrupt for a value out of range or a header that ends early,
// Unsupported for fixed(). Writing: InvalidArgument for a value out of range.
#pragma once

#include <algorithm>
#include <cstdint>

#include "llmcodec/status.h"
#include "vvc/stream/bitstream.h"
#include "vvc/stream/trace.h"

// A syntax element's name, as in H.266, and its field.
#define LLMC_NAMED(structure, field) #field, (structure).field
// The same for an element held in a variable of its name.
#define LLMC_NAMED_VALUE(variable) #variable, variable

namespace llmcodec::vvc {

class HeaderReader {
 public:
  static constexpr bool kReading = true;

  HeaderReader(BitReader& bits, TraceSink* trace) : bits_(bits), trace_(trace) {}

  template <class T>
  void u(const char* name, T& value, unsigned bits, uint32_t lo = 0, uint32_t hi = UINT32_MAX) {
    value = static_cast<T>(checked(name, bits_.u(bits), lo, hi));
  }
  void flag(const char* name, bool& value) { value = checked(name, bits_.u(1), 0, 1) != 0; }
  template <class T>
  void ue(const char* name, T& value, uint32_t lo, uint32_t hi) {
    value = static_cast<T>(checked(name, bits_.ue(), lo, hi));
  }
  void se(const char* name, int32_t& value, int32_t lo, int32_t hi) {
    value = static_cast<int32_t>(checked(name, bits_.se(), lo, hi));
  }
  // An element that must have this value in our subset.
  void fixed(const char* name, unsigned bits, uint32_t value);
  void fixed_ue(const char* name, uint32_t value) { must_equal(name, bits_.ue(), value); }
  // Zeros up to a byte boundary.
  void align_zero(const char* name);
  void trailing_bits();
  void fail(Error error) {
    if (status_.is_ok()) status_ = std::move(error);
  }
  bool ok() const { return status_.is_ok(); }
  uint64_t bits_left() const { return bits_.bits_left(); }
  Status take_status() { return std::move(status_); }

 private:
  int64_t checked(const char* name, int64_t value, int64_t lo, int64_t hi);
  void must_equal(const char* name, uint32_t read, uint32_t value);

  BitReader& bits_;
  TraceSink* trace_;
  Status status_ = Status::ok();
};

class HeaderWriter {
 public:
  static constexpr bool kReading = false;

  HeaderWriter(BitWriter& bits, TraceSink* trace) : bits_(bits), trace_(trace) {}

  template <class T>
  void u(const char* name, const T& value, unsigned bits, uint32_t lo = 0, uint32_t hi = UINT32_MAX) {
    const uint32_t fitting = bits == 32 ? hi : std::min(hi, (1u << bits) - 1);
    if (checked(name, static_cast<int64_t>(value), lo, fitting)) bits_.u(bits, static_cast<uint32_t>(value));
  }
  void flag(const char* name, bool value) { u(name, value, 1); }
  template <class T>
  void ue(const char* name, const T& value, uint32_t lo, uint32_t hi) {
    if (checked(name, static_cast<int64_t>(value), lo, hi)) bits_.ue(static_cast<uint32_t>(value));
  }
  void se(const char* name, int32_t value, int32_t lo, int32_t hi) {
    if (checked(name, value, lo, hi)) bits_.se(value);
  }
  void fixed(const char* name, unsigned bits, uint32_t value) { u(name, value, bits); }
  void fixed_ue(const char* name, uint32_t value) { ue(name, value, 0, value); }
  void align_zero(const char* name);
  void trailing_bits();
  void fail(Error error) {
    if (status_.is_ok()) status_ = std::move(error);
  }
  bool ok() const { return status_.is_ok(); }
  uint64_t bits_left() const { return UINT64_MAX; }
  Status take_status() { return std::move(status_); }

 private:
  bool checked(const char* name, int64_t value, int64_t lo, int64_t hi);

  BitWriter& bits_;
  TraceSink* trace_;
  Status status_ = Status::ok();
};

}  // namespace llmcodec::vvc
