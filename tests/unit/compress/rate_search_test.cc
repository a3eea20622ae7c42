// SPDX-License-Identifier: BSD-3-Clause
// The size asked for is the size that comes out, and the plan says it in advance: on shapes that are awkward
// to sample, and on a model large enough that only parts of it are coded in the search.
#include <cmath>
#include <random>

#include "../tensor/tensor_test_files.h"
#include "llmcodec/model.h"
#include "tensor/safetensors.h"

namespace llmcodec {
namespace {

// Laplacian weights, heavier in some rows than in others.
Status write_model(const std::string& path, const std::vector<std::vector<uint64_t>>& shapes) {
  std::vector<TensorInfo> infos;
  for (const auto& shape : shapes)
    infos.push_back({std::to_string(infos.size()) + ".weight", Dtype::kF32, shape});
  LLMC_ASSIGN_OR_RETURN(const std::unique_ptr<TensorSink> sink, create_safetensors(path, infos, {}));
  std::mt19937 random(7);
  for (size_t t = 0; t < infos.size(); ++t) {
    std::vector<float> values(infos[t].elements());
    for (size_t i = 0; i < values.size(); ++i) {
      const float u = (static_cast<float>(random() >> 8) + 1) / static_cast<float>(1 << 24);
      const float sign = random() % 2 != 0 ? 1.0f : -1.0f;
      values[i] = sign * std::log(u) * (1 + static_cast<float>(i / shapes[t][1] % 5));
    }
    LLMC_RETURN_IF_ERROR(sink->write(t, std::as_bytes(std::span(values))));
  }
  return sink->finish();
}

struct Case {
  std::string name;
  std::vector<std::vector<uint64_t>> shapes;
  std::string layout;
  double bpw;
};

class RateTarget : public testing::TestWithParam<Case> {};

TEST_P(RateTarget, is_hit_and_planned) {
  TempFolder folder;
  CompressOptions options;
  options.input = folder.file("model.safetensors");
  options.output = folder.file("archive.safetensors");
  options.layout = GetParam().layout;
  options.target = {TargetKind::kBpw, GetParam().bpw};
  options.command = "test";
  ASSERT_OK(write_model(options.input, GetParam().shapes));
  uint64_t last = 0, total = 0;
  options.control.progress = [&](const Progress& progress) {
    if (std::string(progress.phase) != "rate") return;
    EXPECT_GE(progress.done, last);
    EXPECT_LE(progress.done, progress.total);
    last = progress.done;
    total = progress.total;
  };
  const auto planned = plan(options);
  ASSERT_OK(planned);
  EXPECT_GT(total, 0u) << "the search says how far it is";
  options.control.progress = {};
  const auto made = compress(options);
  ASSERT_OK(made);
  EXPECT_NEAR(made->bpw / GetParam().bpw, 1, 0.01);
  EXPECT_NEAR(static_cast<double>(planned->predicted_bytes) / static_cast<double>(made->bytes), 1, 0.01);
  EXPECT_NEAR(planned->predicted_snr_db, made->snr_db, 0.25);
  EXPECT_GT(planned->predicted_seconds, 0);
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, RateTarget,
    testing::Values(Case{"tall", {{6000, 16}}, "spectral", 2},
                    Case{"tall_spatial", {{4000, 16}}, "spatial", 2},
                    Case{"thin", {{16, 6000}}, "spectral", 3},
                    Case{"odd", {{99, 77}, {331, 45}}, "spectral", 2.5},
                    Case{"odd_spatial", {{199, 177}}, "spatial", 3},
                    Case{"sampled", {{900, 1300}, {3000, 600}, {640, 2300}}, "spectral", 2}),
    [](const auto& instance) { return instance.param.name; });

TEST(RateTarget, out_of_reach_says_what_can_be_reached) {
  TempFolder folder;
  CompressOptions options;
  options.input = folder.file("model.safetensors");
  options.output = folder.file("archive.safetensors");
  ASSERT_OK(write_model(options.input, {{64, 80}}));
  for (const double bpw : {0.05, 300.0}) {
    options.target = {TargetKind::kBpw, bpw};
    expect_error(compress(options), ErrorKind::kInvalidArgument, "reach from");
  }
  EXPECT_FALSE(std::filesystem::exists(options.output));
}

}  // namespace
}  // namespace llmcodec
