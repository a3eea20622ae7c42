// SPDX-License-Identifier: BSD-3-Clause
// An archive file taken apart and put together again with its checksums made right: damage then reaches
// what stands behind them.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace llmcodec {

struct ArchiveText {
  nlohmann::ordered_json header;       // of safetensors, without the description
  nlohmann::ordered_json description;  // unpacked
  std::string data;                    // everything behind the header

  static ArchiveText parse(const std::string& file);                              // of a sound archive
  static std::optional<ArchiveText> try_parse(const std::string& file) noexcept;  // nullopt for what is none
  // Names in the header of all parts of coded tensors, and where their true bytes are in `data`.
  struct Part {
    std::string tensor, part;
    size_t begin = 0, bytes = 0;
  };
  std::vector<Part> parts() const;
  // Other bytes in place of a part's or of an exact tensor's, of any length: what stands behind them moves, and header
  // and description get the new length and checksum.
  void replace(const Part& part, std::string bytes);
  // The archive's own tensors and those stored exactly; `part` is empty.
  std::vector<Part> exact() const;
  // The file, the description's checksum of each part and of itself recomputed.
  std::string with_part_checksums() const;
  // The file, only the description's own checksum recomputed.
  std::string with_description_checksum() const;

 private:
  size_t description_begin() const;
  std::string description_name() const;
};

}  // namespace llmcodec
