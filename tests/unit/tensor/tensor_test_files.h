// SPDX-License-Identifier: BSD-3-Clause
// Helpers of the tensor tests: a folder that goes away, bytes to files and back, safetensors
// files from JSON text.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>
#include <string>
#include <string_view>

#include "llmcodec/status.h"
#include "tensor/tensor_source.h"

namespace llmcodec {

// A new folder under the system's temporary folder, removed with everything in it at the end of the test.
class TempFolder {
 public:
  TempFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "llmcodec_test_XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  ~TempFolder() {
    std::error_code code;
    std::filesystem::remove_all(path_, code);
  }
  const std::string& path() const { return path_; }
  std::string file(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

inline void write_bytes(const std::string& path, std::string_view bytes) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::filesystem::remove(path);  // ext4 flushes a file that is cut and written again to disk: 5 ms each
  std::ofstream file(path, std::ios::binary);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

inline std::string read_bytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline std::string test_data(const std::string& name) {
  return std::string(LLMCODEC_TEST_DATA) + "/tensor/" + name;
}

inline std::span<const std::byte> as_bytes(std::string_view text) {
  return std::as_bytes(std::span(text));
}

inline std::string little_endian(uint64_t value, size_t bytes) {
  std::string text(bytes, '\0');
  std::memcpy(text.data(), &value, bytes);
  return text;
}

// All bytes of a tensor.
inline std::string tensor_bytes(const TensorSource& source, size_t index) {
  std::string bytes(source.byte_size(index), '\0');
  const Status status = source.read(index, 0, std::as_writable_bytes(std::span(bytes)));
  EXPECT_TRUE(status.is_ok()) << status.error().to_string();
  return bytes;
}

// A safetensors file with this header and `data_bytes` zeros.
inline std::string safetensors_with(std::string_view json, size_t data_bytes) {
  return little_endian(json.size(), 8) + std::string(json) + std::string(data_bytes, '\0');
}

// The kind and a part of the message of the error in a Status or Result.
template <class R>
void expect_error(const R& result, ErrorKind kind, std::string_view part) {
  ASSERT_FALSE(result.is_ok()) << "expected an error with: " << part;
  EXPECT_EQ(error_kind_name(result.error().kind), std::string(error_kind_name(kind)));
  EXPECT_NE(result.error().to_string().find(part), std::string::npos)
      << "'" << part << "' is not in: " << result.error().to_string();
}

template <class R>
std::string message_of(const R& result) {
  return result.is_ok() ? "" : result.error().to_string();
}

}  // namespace llmcodec

// Stops the test with the error's text if a Status or Result failed.
#define ASSERT_OK(expression)                                     \
  do {                                                            \
    const auto& llmc_outcome = (expression);                      \
    ASSERT_EQ(llmcodec::message_of(llmc_outcome), std::string()); \
  } while (false)
