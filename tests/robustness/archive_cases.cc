// SPDX-License-Identifier: BSD-3-Clause
#include "archive_cases.h"

#include <algorithm>
#include <random>

#include "llmcodec/model.h"
#include "tensor/safetensors.h"

namespace llmcodec {
namespace {

namespace fs = std::filesystem;

// Deterministic weights with a heavy tail: one in 40 is large, so that every layout has outliers.
std::vector<float> weights(uint32_t seed, size_t count) {
  std::mt19937 random(seed);
  std::vector<float> values(count);
  for (float& value : values) {
    float sum = 0;
    for (int i = 0; i < 4; ++i) sum += static_cast<float>(random() % 2001) - 1000;
    value = sum * 1e-5f * (random() % 40 == 0 ? 30.0f : 1.0f);
  }
  values[count / 3] = 1000;
  return values;
}

std::vector<std::byte> bytes_of(const TensorInfo& info, uint32_t seed) {
  std::vector<std::byte> bytes(*dtype_bytes(info.dtype, info.elements()));
  if (!dtype_info(info.dtype).floating) {
    std::mt19937 random(seed);
    for (std::byte& b : bytes) b = static_cast<std::byte>(random());
  } else if (!bytes.empty()) {
    EXPECT_TRUE(from_f32(info.dtype, weights(seed, info.elements()), bytes).is_ok());
  }
  return bytes;
}

// `copies`: with tensors that are equal to others of them.
Status write_source(const std::string& path, bool copies) {
  std::vector<TensorInfo> infos = {
      {"a.weight", Dtype::kF16, {72, 64}}, {"b.experts", Dtype::kBF16, {2, 48, 45}},
      {"empty", Dtype::kF32, {0, 64}},     {"ids", Dtype::kI64, {5}},
      {"mask", Dtype::kU8, {3, 3}},        {"norm.weight", Dtype::kF32, {40}}};
  const size_t different = infos.size();
  if (copies)
    infos.insert(infos.end(), {{"a.copy", Dtype::kF16, {72, 64}},
                               {"b.copy", Dtype::kBF16, {2, 48, 45}},
                               {"empty.copy", Dtype::kF32, {0, 64}},
                               {"ids.copy", Dtype::kI64, {5}}});
  LLMC_ASSIGN_OR_RETURN(std::unique_ptr<TensorSink> sink,
                        create_safetensors(path, infos, {{"format", "pt"}}));
  for (size_t i = 0; i < infos.size(); ++i)
    LLMC_RETURN_IF_ERROR(sink->write(i, bytes_of(infos[i], static_cast<uint32_t>(i % different))));
  return sink->finish();
}

// A sentence-transformer with a layer in a folder of its own.
Status write_pipeline(const std::string& folder) {
  write_bytes(folder + "/modules.json", "[]");
  LLMC_RETURN_IF_ERROR(write_source(folder + "/model.safetensors", false));
  fs::create_directories(folder + "/2_Dense");
  const TensorInfo linear{"linear.weight", Dtype::kF32, {64, 48}};
  LLMC_ASSIGN_OR_RETURN(
      std::unique_ptr<TensorSink> sink,
      create_safetensors(folder + "/2_Dense/model.safetensors", {linear}, {{"format", "tf"}}));
  LLMC_RETURN_IF_ERROR(sink->write(0, bytes_of(linear, 9)));
  return sink->finish();
}

std::string counted(std::string_view text) {
  return little_endian(text.size(), 8) + std::string(text);
}

// A GGUF file: F16 matrix, Q8_0 blocks stored as bytes, F32 norm.
void write_gguf(const std::string& path) {
  const std::vector<TensorInfo> infos = {{"blk.0.ffn_up.weight", Dtype::kF16, {72, 64}},
                                         {"blk.0.small.weight", Dtype::kQ8_0, {2, 64}},
                                         {"norm.weight", Dtype::kF32, {40}}};
  const uint32_t types[] = {1, 8, 0};
  std::string header = "GGUF" + little_endian(3, 4) + little_endian(infos.size(), 8) + little_endian(2, 8);
  header += counted("general.architecture") + little_endian(8, 4) + counted("llama");
  header += counted("tokenizer.list") + little_endian(9, 4) + little_endian(8, 4) + little_endian(3, 8) +
            counted("one") + counted("two") + counted("three");
  std::string data;
  for (size_t i = 0; i < infos.size(); ++i) {
    header += counted(infos[i].name) + little_endian(infos[i].shape.size(), 4);
    for (size_t d = infos[i].shape.size(); d > 0; --d) header += little_endian(infos[i].shape[d - 1], 8);
    header += little_endian(types[i], 4) + little_endian(data.size(), 8);
    std::vector<std::byte> bytes(*dtype_bytes(infos[i].dtype, infos[i].elements()));
    EXPECT_TRUE(
        from_f32(infos[i].dtype, weights(7 + static_cast<uint32_t>(i), infos[i].elements()), bytes).is_ok());
    data.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    data.resize((data.size() + 31) / 32 * 32);
  }
  header.resize((header.size() + 31) / 32 * 32);
  write_bytes(path, header + data);
}

CompressOptions options_for(const std::string& name) {
  CompressOptions options;
  options.control.threads = 1;
  options.command = "test";
  options.target = {TargetKind::kStep, 0.5};
  if (name == "spatial") options.layout = "spatial";
  if (name == "raw_group") {
    options.codec = "raw";
    options.scales = "group:16";
    options.asymmetric = true;
    options.target = {TargetKind::kStep, 0.01};
  }
  if (name == "sharded") options.shard_bytes = 1500;
  return options;
}

}  // namespace

FastFolder::FastFolder() {
  const bool memory = ::access("/dev/shm", W_OK) == 0;
  std::string pattern =
      (memory ? fs::path("/dev/shm") : fs::temp_directory_path()) / "llmcodec_robust_XXXXXX";
  path_ = ::mkdtemp(pattern.data());
}

FastFolder::~FastFolder() {
  std::error_code code;
  fs::remove_all(path_, code);
}

std::vector<std::string> archive_case_names() {
  return {"spectral", "spatial", "raw_group", "gguf", "sharded", "copies", "pipeline"};
}

Result<ArchiveCase> make_archive_case(const std::string& name, const FastFolder& folder) {
  CompressOptions options = options_for(name);
  const bool pipeline = name == "pipeline", is_folder = pipeline || name == "sharded";
  const std::string end = name == "gguf" ? ".gguf" : pipeline ? "" : ".safetensors";
  options.input = folder.file(name + ".source" + end);
  options.output = folder.file(name + (is_folder ? "" : ".safetensors"));
  if (name == "gguf") {
    write_gguf(options.input);
  } else if (pipeline) {
    LLMC_RETURN_IF_ERROR(write_pipeline(options.input));
  } else {
    LLMC_RETURN_IF_ERROR(write_source(options.input, name == "copies"));
  }
  LLMC_RETURN_IF_ERROR(compress(options));
  ArchiveCase made{name, options.output, {}, folder.file(name + ".restored" + end), {}};
  if (!is_folder) made.files = {options.output};
  if (pipeline) made.files = {options.output + "/model.safetensors"};
  if (name == "sharded") {
    for (const auto& entry : fs::directory_iterator(options.output)) made.files.push_back(entry.path());
    std::ranges::sort(made.files);
  }
  LLMC_ASSIGN_OR_RETURN(made.expected, restored(made));
  return made;
}

Result<std::string> restored(const ArchiveCase& archive) {
  DecompressOptions options;
  options.input = archive.archive;
  options.output = archive.output;
  options.control.threads = 1;
  LLMC_RETURN_IF_ERROR(decompress(options));
  std::string bytes;
  if (fs::is_directory(archive.output)) {
    std::vector<std::string> files;
    for (const auto& entry : fs::recursive_directory_iterator(archive.output)) {
      if (entry.is_regular_file()) files.push_back(entry.path());
    }
    std::ranges::sort(files);
    for (const std::string& file : files) bytes += file + read_bytes(file);
  } else {
    bytes = read_bytes(archive.output);
  }
  fs::remove_all(archive.output);
  return bytes;
}

}  // namespace llmcodec
