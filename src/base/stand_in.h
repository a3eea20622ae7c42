// SPDX-License-Identifier: BSD-3-Clause
// A file that is elsewhere, under the path of one that is here: as long as the stand-in lives, open_byte_source() of that path
// reads by a function. A file of the same size, with anything in it, must be at the path, for those that only look at names
// and sizes. For programs that hand models of other stores to functions that take paths.
//
// Example (const std::string& path, ReadFunction read):
//
//   const StandIn model(path, 1 << 20, read);
//   LLMC_ASSIGN_OR_RETURN(const ByteSourcePtr file, open_byte_source(path));
#pragma once

#include <string>

#include "base/byte_source.h"

namespace llmcodec {

class StandIn {
 public:
  // Paths are compared as texts. Precondition: none stands for the path yet.
  StandIn(std::string path, uint64_t size, ReadFunction read);
  ~StandIn();
  StandIn(const StandIn&) = delete;
  StandIn& operator=(const StandIn&) = delete;

  // What stands for the path; null where nothing does. Thread-safe.
  static ByteSourcePtr find(const std::string& path);

 private:
  const std::string path_;
};

}  // namespace llmcodec
