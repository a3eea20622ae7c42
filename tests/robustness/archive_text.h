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
  // Puts other bytes into a tensor of the archive's own, before the description: they must not be longer than
  // what the file has from there on.
  void replace_own(const std::string& name, std::string bytes);
  // The file, the description's checksum of each part and of itself recomputed.
  std::string with_part_checksums() const;
  // The file, only the description's own checksum recomputed.
  std::string with_description_checksum() const;
  // The same with another text of the description.
  std::string with_description(const std::string& text) const;

 private:
  size_t description_begin() const;
  std::string description_name() const;
};

}  // namespace llmcodec
