// SPDX-License-Identifier: BSD-3-Clause
// Functions of Python that read a file by position, for the library's threads: `read(offset, memory)` fills a memoryview. What it
// raises becomes an Io error with its message, and is the cause of the exception that comes out in the end.
//
// Example (nb::object read, uint64_t size):
//
//   const auto reads = std::make_shared<PythonReads>();  // outlives the archive
//   const auto archive = Archive::open_sources({{"https://host/a.safetensors", size, reads->add("https://host/a.safetensors", read)}});
#pragma once

#include <mutex>
#include <string>
#include <vector>

#include "llmcodec/archive.h"
#include "raise.h"

namespace llmcodec::python {

// Made and destroyed with the GIL; what add() returns is called without it.
class PythonReads {
 public:
  Archive::ReadAt add(const std::string& name, nb::object read);
  // Calls interrupt() of those reads that have it: they end now, with an exception. With the GIL.
  void interrupt() const;
  // Makes the exception of a read the cause of this one, which the library has made of it. With the GIL.
  void chain(nb::python_error& raised);

 private:
  Status call(nb::handle read, uint64_t offset, std::span<std::byte> out);
  std::vector<nb::object> reads_;
  nb::object failure_ = nb::none();  // the last one; under the GIL
};

}  // namespace llmcodec::python
