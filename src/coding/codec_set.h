// SPDX-License-Identifier: BSD-3-Clause
// The codecs of a plan or an archive, each opened once.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "llmcodec/codec.h"

namespace llmcodec {

class CodecSet {
 public:
  explicit CodecSet(CodecEnvironment environment) : environment_(std::move(environment)) {}
  // For what an archive names.
  static CodecSet for_decoding(CodecEnvironment environment) {
    environment.decode_only = true;
    return CodecSet(std::move(environment));
  }
  // Errors as open_codec(). Thread-safe, as the codecs themselves are.
  Result<const Codec*> get(const std::string& spec) {
    const std::lock_guard lock(mutex_);
    const auto found = codecs_.find(spec);
    if (found != codecs_.end()) return found->second.get();
    LLMC_ASSIGN_OR_RETURN(std::unique_ptr<Codec> codec, open_codec(spec, environment_));
    return codecs_.emplace(spec, std::move(codec)).first->second.get();
  }

 private:
  CodecEnvironment environment_;
  std::mutex mutex_;
  std::map<std::string, std::unique_ptr<Codec>> codecs_;
};

}  // namespace llmcodec
