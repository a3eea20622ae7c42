// SPDX-License-Identifier: BSD-3-Clause
// An archive file taken apart and put together again with its checksums made right: damage then reaches
// what stands behind them.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace llmcodec {

struct ArchiveText {
  nlohmann::ordered_json header;       // of safetensors, without the description
  nlohmann::ordered_json description;  // unpacked
  std::string data;                    // everything behind the header

  static ArchiveText parse(const std::string& file);
  // Names in the header of all parts of coded tensors, and where their true bytes are in `data`.
  struct Part {
    std::string tensor, part;
    size_t begin = 0, bytes = 0;
  };
  std::vector<Part> parts() const;
  // The file, the description's checksum of each part and of itself recomputed.
  std::string with_part_checksums() const;
  // The file, only the description's own checksum recomputed.
  std::string with_description_checksum() const;

 private:
  size_t description_begin() const;
  std::string description_name() const;
};

}  // namespace llmcodec
