// SPDX-License-Identifier: BSD-3-Clause
// A trace of named syntax elements: one call per element, in coding order, from reader and writer alike.
// Comparing the traces of two runs (tools/vvc_trace_diff.py) finds the first element on which they differ.
//
//   TextTrace trace(stderr);
//   decode(stream, {.trace = &trace});     // "sps_log2_ctu_size_minus5 2" ...
//
// A null TraceSink* means no trace and costs nothing in slice data (the tracing instance is another
// template).
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

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

// Keeps the lines, for tests.
class MemoryTrace : public TraceSink {
 public:
  struct Line {
    std::string name;
    int64_t value = 0;
    bool operator==(const Line&) const = default;
  };
  void element(const char* name, int64_t value) override { lines_.push_back({name, value}); }
  const std::vector<Line>& lines() const { return lines_; }

 private:
  std::vector<Line> lines_;
};

}  // namespace llmcodec::vvc
