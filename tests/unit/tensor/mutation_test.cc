// SPDX-License-Identifier: BSD-3-Clause
// Damaged files: whatever the bytes, opening one gives an error that names the file, or a model whose every
// tensor can be read. Run under the sanitizers for what this is worth; LLMCODEC_MUTATIONS sets the number per
// kind of file (10000 by default: one second).
#include <gtest/gtest.h>

#include <cstdlib>

#include "../../robustness/mutator.h"
#include "tensor/model_source.h"
#include "tensor_test_files.h"

namespace llmcodec {
namespace {

int mutations() {
  const char* wanted = std::getenv("LLMCODEC_MUTATIONS");
  return wanted != nullptr ? std::atoi(wanted) : 10000;
}

// Reads every byte of every tensor.
void read_all(const TensorSource& source) {
  for (size_t i = 0; i < source.tensors().size(); ++i) {
    const TensorInfo& info = source.tensors()[i];
    unsigned sum = 0;
    const std::string bytes = tensor_bytes(source, i);
    for (const char b : bytes) sum += static_cast<unsigned char>(b);
    ASSERT_LE(sum, 255 * bytes.size());
    ASSERT_EQ(bytes.size(), dtype_bytes(info.dtype, info.elements()));
    if (!dtype_info(info.dtype).floating) continue;
    std::vector<float> values(info.elements());
    ASSERT_OK(source.read_f32(i, 0, values));
  }
}

void check_mutations(const std::string& name, size_t hot_bytes, uint32_t first_seed) {
  const std::string whole = read_bytes(test_data(name));
  ASSERT_GT(whole.size(), hot_bytes);
  TempFolder folder;
  const std::string path = folder.file(name);
  int errors = 0;
  for (int i = 0; i < mutations(); ++i) {
    SCOPED_TRACE(testing::Message() << "mutation " << i << " of " << name);
    write_bytes(path, Mutator(first_seed + static_cast<uint32_t>(i), hot_bytes).mutate(whole));
    const Result<Model> model = open_model(path);
    if (model.is_ok()) {
      read_all(*model->source);
      continue;
    }
    ++errors;
    ASSERT_FALSE(model.error().message.empty());
    ASSERT_EQ(model.error().file, path);
    ASSERT_NE(model.error().kind, ErrorKind::kInternal);
  }
  EXPECT_GT(errors, mutations() / 2);  // or the mutations missed the header
}

TEST(Mutations, of_safetensors) {
  check_mutations("tiny.safetensors", 616, 1000);
}
TEST(Mutations, of_gguf) {
  check_mutations("tiny.gguf", 960, 2'000'000);
}

}  // namespace
}  // namespace llmcodec
