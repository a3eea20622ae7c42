// SPDX-License-Identifier: BSD-3-Clause
// A trace of named syntax elements: one call per element, in coding order, from reader and writer alike.
// Comparing the traces of two runs (tools/vvc_trace_diff.py) finds the first element on which they differ.
//
// Example (std::span<const std::byte> stream, const PictureSink& sink):
//
//   TextTrace trace(stderr);                                   // lines such as "sps_log2_ctu_size_minus5 2"
//   LLMC_RETURN_IF_ERROR(decode_each(stream, {.trace = &trace}, sink));
//
// A null TraceSink* means no trace. Then slice data are read by an instance
// of the code that has no trace at all.
#pragma once

#include <cstdint>
#include <cstdio>

namespace llmcodec::vvc {

class TraceSink {
 public:
  virtual ~TraceSink() = default;
  virtual void element(const char* name, int64_t value) = 0;
};

// One line "NAME VALUE" per element. Does not own the file.
class TextTrace : public TraceSink {
 public:
  explicit TextTrace(std::FILE* file) : file_(file) {}
  void element(const char* name, int64_t value) override;

 private:
  std::FILE* file_;
};

}  // namespace llmcodec::vvc
