// SPDX-License-Identifier: BSD-3-Clause
#include "bench/bench_search.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace llmcodec {
namespace {

// Spends the bits of an entropy-coded quantiser whose step is far from the exponential that `per_octave`
// promises: flat at one end of the range, steep at the other, as libaom's crf is.
class CrookedCodec final : public Codec {
 public:
  explicit CrookedCodec(double bend) : bend_(bend) {
    info_.name = "crooked";
    info_.bit_depths = {10};
    info_.quality = {.min = 1, .max = 63, .step = 1, .per_octave = 8};
  }
  const CodecInfo& info() const override { return info_; }
  const std::string& spec() const override { return info_.name; }

  double octaves(double quality) const { return 9 * std::pow((quality - 1) / 62, bend_); }

  Result<std::vector<std::byte>> encode(std::span<const PlaneView> pictures, const PictureFormat& format,
                                        double quality) const override {
    double energy = 0, count = 0;
    for (const PlaneView& view : pictures) {
      for (size_t y = 0; y < view.rows; ++y) {
        for (size_t x = 0; x < view.cols; ++x) {
          const double sample = view.at(y, x) - std::exp2(format.bit_depth - 1);
          energy += sample * sample;
          ++count;
        }
      }
    }
    const double bits = std::max(0.01, 2.05 + std::log2(energy / count) / 2 - octaves(quality));
    return std::vector<std::byte>(static_cast<size_t>(bits * count / 8));
  }
  Status decode(std::span<const std::byte>, const PictureFormat&,
                std::span<const MutablePlaneView>) const override {
    return Status::ok();
  }

 private:
  CodecInfo info_;
  double bend_;
};

TEST(FindPoint, meets_the_rate_at_the_coarsest_quality_that_can) {
  std::mt19937 generator(1);
  std::normal_distribution<float> normal;
  std::vector<float> weights(512 * 256);
  for (float& w : weights) w = normal(generator);
  const BenchPlanes planes(MatrixView<const float>(weights.data(), 512, 256));
  for (const double bend : {0.25, 1.0, 4.0}) {
    for (const double target : {1.5, 2.3, 4.0, 6.0}) {
      const CrookedCodec codec(bend);
      const auto point = find_point(codec, planes, 10, target, 0.002);
      ASSERT_TRUE(point.is_ok()) << point.error().to_string();
      EXPECT_NEAR(point->bpw, target, 0.002 * target) << "bend " << bend;
      // One step of quality coarser, the largest scale would not have been enough.
      const auto coarser = encode_point(codec, planes, 10, point->quality + 1, planes.largest_scale(10));
      ASSERT_TRUE(coarser.is_ok());
      EXPECT_LT(coarser->bpw, target + 0.05) << "bend " << bend << " quality " << point->quality;
    }
  }
}

}  // namespace
}  // namespace llmcodec
