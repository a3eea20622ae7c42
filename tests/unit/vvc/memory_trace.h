// SPDX-License-Identifier: BSD-3-Clause
// A trace that keeps its lines, to be compared with another.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "vvc/stream/trace.h"

namespace llmcodec::vvc {

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
