// SPDX-License-Identifier: BSD-3-Clause
// llama.cpp is the judge of what a GGUF file is: it must load what we write and score it as it scores
// the original. Needs LLMCODEC_LLAMA_DIR (folder of llama-perplexity) and LLMCODEC_TEST_GGUF (a model
// of any readable type).
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

#include "base/subprocess.h"
#include "tensor/gguf.h"
#include "tensor_test_files.h"

namespace llmcodec {
namespace {

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

// Writes the model with its matrices as `dtype` (where rows are whole blocks), row by row; vectors as F32.
Status convert(const GgufFile& source, Dtype dtype, const std::string& path) {
  std::vector<TensorInfo> infos = source.tensors();
  for (TensorInfo& info : infos) {
    const bool fits = info.shape.size() > 1 && info.shape.back() % dtype_info(dtype).block_elements == 0;
    info.dtype = fits ? dtype : Dtype::kF32;
  }
  // From the header's bytes alone, as a restored archive does it.
  LLMC_ASSIGN_OR_RETURN(const GgufHeader header, GgufHeader::parse(source.header().bytes()));
  LLMC_ASSIGN_OR_RETURN(const std::unique_ptr<TensorSink> sink, create_gguf(path, header, infos));
  for (size_t i = 0; i < infos.size(); ++i) {
    const uint64_t cols = infos[i].shape.back();
    std::vector<float> row(cols);
    std::vector<std::byte> bytes(*dtype_bytes(infos[i].dtype, cols));
    for (uint64_t first = 0; first < infos[i].elements(); first += cols) {
      LLMC_RETURN_IF_ERROR(source.read_f32(i, first, row));
      LLMC_RETURN_IF_ERROR(from_f32(infos[i].dtype, row, bytes));
      LLMC_RETURN_IF_ERROR(sink->write(i, bytes));
    }
  }
  return sink->finish();
}

// Perplexity by llama-perplexity; NaN if it did not say.
double perplexity(const std::string& model, const std::string& text_file) {
  const Result<ProcessResult> run = run_process({
      .arguments = {environment("LLMCODEC_LLAMA_DIR") + "/llama-perplexity", "-m", model, "-f", text_file,
                    "-c", "128", "--chunks", "2", "-t", "2"},
      .timeout_seconds = 300,
  });
  EXPECT_TRUE(run.is_ok()) << message_of(run);
  if (!run) return std::nan("");
  const std::string output(reinterpret_cast<const char*>(run->output.data()), run->output.size());
  const std::string all = output + run->error_text;
  EXPECT_EQ(run->exit_code, 0) << all;
  const std::string label = "Final estimate: PPL = ";
  const size_t at = all.find(label);
  return at == std::string::npos ? std::nan("") : std::strtod(all.c_str() + at + label.size(), nullptr);
}

TEST(GgufInLlama, written_files_load_and_score_as_the_original) {
  const std::string tools = environment("LLMCODEC_LLAMA_DIR"), model = environment("LLMCODEC_TEST_GGUF");
  if (tools.empty() || model.empty()) GTEST_SKIP() << "LLMCODEC_LLAMA_DIR or LLMCODEC_TEST_GGUF is not set";
  const auto source = GgufFile::open(model);
  ASSERT_OK(source);
  TempFolder folder;
  std::string text;
  for (int i = 0; i < 120; ++i)
    text += "The river runs from the hills to the sea, and on its way it passes the old town. ";
  write_bytes(folder.file("text"), text);
  const double original = perplexity(model, folder.file("text"));
  ASSERT_GT(original, 1);
  for (const Dtype dtype : {Dtype::kF32, Dtype::kF16, Dtype::kBF16, Dtype::kQ8_0}) {
    SCOPED_TRACE(dtype_info(dtype).name);
    ASSERT_OK(convert(**source, dtype, folder.file("copy.gguf")));
    EXPECT_NEAR(perplexity(folder.file("copy.gguf"), folder.file("text")), original, 0.03 * original);
  }
}

}  // namespace
}  // namespace llmcodec
