// SPDX-License-Identifier: BSD-3-Clause
#include "progress_line.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "base/printable.h"
#include "peak_memory.h"
#include "text_format.h"

namespace llmcodec::cli {
namespace {

constexpr auto kTerminalInterval = std::chrono::milliseconds(100);
constexpr auto kPlainInterval = std::chrono::seconds(5);
constexpr double kWarmUpSeconds = 0.5;  // before that, a rate says nothing

size_t terminal_width() {
  winsize size = {};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < 20) return 80;
  return size.ws_col;
}

// Where it cannot be written, the stream remembers: Session::check_printed() looks in the end.
void show(const std::string& text) {
  std::fputs(text.c_str(), stderr);
}

}  // namespace

ProgressLine::ProgressLine()
    : terminal_(isatty(STDERR_FILENO) != 0), terminal_width_(terminal_width()), last_shown_(Clock::now()) {}

void ProgressLine::update(const Progress& progress) {
  const std::scoped_lock lock(mutex_);
  const auto now = Clock::now();
  if (phase_ != progress.phase) {
    phase_ = progress.phase;
    phase_start_ = now;
    done_at_start_ = progress.done;  // the first call comes after the first piece of work
  }
  if (now - last_shown_ < (terminal_ ? Clock::duration(kTerminalInterval) : Clock::duration(kPlainInterval)))
    return;
  last_shown_ = now;
  std::string text = text_of(progress, now);
  if (terminal_) {
    // A line that wraps could not be written over. Cut between characters, not inside one.
    size_t cut = std::min(text.size(), terminal_width_ - 1);
    while (cut > 0 && cut < text.size() && (text[cut] & 0xc0) == 0x80) --cut;
    text.resize(cut);
    show("\r\x1b[K" + text);
    shown_ = true;
  } else {
    show(text + "\n");
  }
  std::fflush(stderr);
}

void ProgressLine::clear() {
  const std::scoped_lock lock(mutex_);
  erase_line();
}

void ProgressLine::erase_line() {
  if (shown_) show("\r\x1b[K");
  shown_ = false;
}

std::string ProgressLine::text_of(const Progress& progress, Clock::time_point now) const {
  const double seconds = std::chrono::duration<double>(now - phase_start_).count();
  const double share =
      progress.total == 0 ? 0 : static_cast<double>(progress.done) / static_cast<double>(progress.total);
  std::string text = fmt::format("{} {:3.0f} %", progress.phase, 100 * share);
  if (seconds > kWarmUpSeconds && progress.done > done_at_start_) {
    const double rate = static_cast<double>(progress.done - done_at_start_) / seconds;
    const double left = static_cast<double>(progress.total - std::min(progress.done, progress.total));
    text += fmt::format("  {:.3g} Mw/s  {} left", rate / 1e6, short_duration(left / rate));
  }
  return text + fmt::format("  peak {}  {}", short_bytes(peak_memory_bytes()),
                            printable(progress.tensor, kMaxPrintedNameBytes));
}

}  // namespace llmcodec::cli
