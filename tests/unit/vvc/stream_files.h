// SPDX-License-Identifier: BSD-3-Clause
// The reference streams of tests/data/vvc, for tests.
#pragma once

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace llmcodec::vvc {

inline std::vector<std::byte> load_stream(const std::string& name) {
  std::ifstream file(std::filesystem::path(LLMCODEC_TEST_DATA) / "vvc" / name, std::ios::binary);
  const std::vector<char> chars{std::istreambuf_iterator<char>(file), {}};
  std::vector<std::byte> out(chars.size());
  std::transform(chars.begin(), chars.end(), out.begin(), [](char c) { return static_cast<std::byte>(c); });
  return out;
}

// Names of all streams, sorted.
inline std::vector<std::string> stream_names() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(LLMCODEC_TEST_DATA "/vvc"))
    if (entry.path().extension() == ".266") names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace llmcodec::vvc
