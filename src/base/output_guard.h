// SPDX-License-Identifier: BSD-3-Clause
// What must hold before something is written: the output is no input and nothing but a plain file, and nobody
// else is writing to it (docs/decisions/046-one-writer-and-one-swap.md).
//
// Example (const std::string& output, const std::vector<std::string>& inputs):
//
//   LLMC_RETURN_IF_ERROR(check_output_file(output, inputs));
//   LLMC_ASSIGN_OR_RETURN(const OutputLock lock, OutputLock::file(output));  // AtomicFile::create() does this
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/descriptor.h"
#include "llmcodec/status.h"

namespace llmcodec {

// InvalidArgument for what is no name: nothing, and "-", by which other programs mean standard output.
Status check_output_name(const std::string& output);

// To be asked before any file is opened for writing. InvalidArgument when `output` is the same file as one of
// `inputs`, under whatever name or link (empty inputs are skipped), when it is no name of a file (check_output_name()), and when it exists and
// is no regular file: a finished output takes the place of what has its name, and a folder, a FIFO, a device or a
// symbolic link (/dev/stdout is one) must not be lost.
Status check_output_file(const std::string& output, std::span<const std::string> inputs);

// The same for many files at a cost that grows with their sum, not their product.
Status check_output_files(std::span<const std::string> outputs, std::span<const std::string> inputs);

// Io when there is no folder to write the file `output` into. OutputLock::file() asks too, which may be after minutes.
Status check_output_folder(const std::string& output);

// Io when the file system on which `output` will be has fewer free bytes than `bytes`; where it does not tell, it has
// enough. What is known to be too large is better refused before hours of work than by the last write.
Status check_space(const std::string& output, uint64_t bytes);

// The right to write a file, or anything in a folder, until this object goes or the process ends, however it
// ends. Every writer has one, so a folder's writer also keeps away those who name one of its files. Held as
// locks on a file ".llmcodec-lock" in the folder, which the last holder removes. (The folder itself cannot be
// locked on network file systems.)
// Both fail with InvalidArgument when another process, or another object in this one, has the right; with Io when
// the folder is not there or cannot be written to.
class OutputLock {
 public:
  static Result<OutputLock> file(const std::string& path);
  static Result<OutputLock> folder(const std::string& path);
  OutputLock(OutputLock&&) noexcept = default;
  OutputLock& operator=(OutputLock&& other) noexcept;
  ~OutputLock();

 private:
  OutputLock() = default;
  static Result<OutputLock> take(const std::string& folder, off_t first, off_t count,
                                 const std::string& output);
  std::string path_;
  Descriptor file_;
};

}  // namespace llmcodec
