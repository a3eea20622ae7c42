// SPDX-License-Identifier: BSD-3-Clause
// How far a command is, on standard error: on a terminal one line that is written over, elsewhere plain lines
// a few seconds apart (a short run prints none).
//
//   encode  42 %  12.3 Mw/s  0:31 left  peak 512 MB  blk.7.ffn_up.weight
#pragma once

#include <chrono>
#include <mutex>
#include <string>

#include "llmcodec/model.h"

namespace llmcodec::cli {

// Methods may be called from several threads.
class ProgressLine {
 public:
  ProgressLine();
  void update(const Progress& progress);
  // Takes the line off the terminal. Call it before anything else is printed.
  void clear();

 private:
  using Clock = std::chrono::steady_clock;
  std::string text_of(const Progress& progress, Clock::time_point now) const;
  void erase_line();

  std::mutex mutex_;
  bool terminal_ = false;
  size_t terminal_width_ = 0;
  bool shown_ = false;
  std::string phase_;
  uint64_t done_at_start_ = 0;
  Clock::time_point phase_start_, last_shown_;
};

}  // namespace llmcodec::cli
