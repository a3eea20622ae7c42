// SPDX-License-Identifier: BSD-3-Clause
#include "plan/codec_settings.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace llmcodec {
namespace {

constexpr MatrixShape kShape = {1, 64, 64};

CodecInfo with_qp() {
  CodecInfo info;
  info.quality = {.min = 0, .max = 51, .step = 1};
  return info;
}

TensorPlan spatial(uint32_t bit_depth) {
  TensorPlan plan;
  plan.layout = Layout::kSpatial;
  plan.bit_depth = bit_depth;
  return plan;
}

// Quantiser step in units of u: the plane's step times 2^((QP - 4) / 6).
double effective_log2_step(const PictureSettings& settings) {
  return std::log2(settings.step) + (settings.quality - 4) / 6;
}

TEST(CodecSettings, quality_and_plane_scale_together_give_the_step) {
  for (const double log2_step : {-3.0, -1.37, 0.0, 0.8}) {
    const PictureSettings settings = settings_for({log2_step, 0.25, {}}, spatial(10), kShape, with_qp());
    EXPECT_NEAR(effective_log2_step(settings), log2_step + 0.25, 1e-6);
    EXPECT_EQ(settings.quality, std::round(settings.quality));
    EXPECT_NEAR(std::log2(settings.step), std::log2(nominal_step(10)), 0.5 / 6 + 1e-6);
  }
}

TEST(CodecSettings, a_base_keeps_the_quality_where_it_is) {
  const CodecInfo codec = with_qp();
  const double base = -1.0;
  const double quality = settings_for({base, 0, base}, spatial(10), kShape, codec).quality;
  for (const double log2_step : {-2.0, -1.3, -0.2}) {
    const PictureSettings settings = settings_for({log2_step, 0, base}, spatial(10), kShape, codec);
    EXPECT_EQ(settings.quality, quality);
    EXPECT_NEAR(effective_log2_step(settings), log2_step, 1e-6);
  }
}

TEST(CodecSettings, quality_stays_in_the_codecs_range) {
  const PictureSettings coarse = settings_for({20, 0, {}}, spatial(8), kShape, with_qp());
  EXPECT_EQ(coarse.quality, 51);
  const PictureSettings fine = settings_for({-20, 0, {}}, spatial(8), kShape, with_qp());
  EXPECT_EQ(fine.quality, 0);
  const StepRange range = step_range(with_qp(), spatial(8));
  EXPECT_LT(range.min, range.max);
  EXPECT_FALSE(range.continuous) << "the rate jumps with the QP";
}

TEST(CodecSettings, lossless_codecs_have_only_the_plane) {
  CodecInfo codec;
  codec.quality.lossless_only = true;
  const PictureSettings settings = settings_for({-4, 0.5, {}}, spatial(10), kShape, codec);
  EXPECT_EQ(settings.quality, 0);
  EXPECT_NEAR(std::log2(settings.step), -3.5, 1e-6);
  EXPECT_TRUE(step_range(codec, spatial(10)).continuous);
}

TEST(CodecSettings, spectral_blocks_hold_more_outputs_at_fewer_bits) {
  const TensorPlan plan;
  const PictureSettings fine = settings_for({-3, 0, {}}, plan, {1, 4096, 4096}, with_qp());
  const PictureSettings coarse = settings_for({1, 0, {}}, plan, {1, 4096, 4096}, with_qp());
  EXPECT_LT(fine.outputs_per_block, coarse.outputs_per_block);
  EXPECT_NEAR(std::log2(coarse.step), 1, 1e-6);
}

TEST(CodecSettings, steps_that_archives_cannot_carry_are_refused) {
  for (const double good : {1e-12, 0.3, 1e12}) EXPECT_TRUE(check_step(good).is_ok()) << good;
  const double infinity = std::numeric_limits<double>::infinity();
  for (const double bad : {0.0, -1.0, 1e-13, 1e13, 1e-46, 1e39, 1e308, infinity, std::nan("")}) {
    const Status status = check_step(bad);
    ASSERT_FALSE(status.is_ok()) << bad;
    EXPECT_EQ(status.error().kind, ErrorKind::kInvalidArgument);
  }
}

TEST(CodecSettings, qualities_are_those_that_the_codec_takes) {
  CodecInfo codec;
  codec.name = "x";
  codec.quality = {.min = 0, .max = 51, .step = 0.5};
  PictureSettings settings{.layout = Layout::kSpatial};
  const auto accepts = [&](double quality) {
    settings.quality = quality;
    return check_quality(settings, codec).is_ok();
  };
  EXPECT_TRUE(accepts(0) && accepts(51) && accepts(12.5));
  EXPECT_FALSE(accepts(-0.5) || accepts(51.5) || accepts(12.25) || accepts(std::nan("")));
  codec.quality.lossless_only = true;
  EXPECT_TRUE(accepts(1000));
  settings.layout = Layout::kSpectral;
  settings.bit_depth = 10;
  EXPECT_TRUE(accepts(-12) && accepts(63));
  EXPECT_FALSE(accepts(-13) || accepts(64) || accepts(0.5));
}

TEST(CodecSettings, planes_hold_five_and_a_half_deviations_either_way) {
  EXPECT_NEAR(nominal_step(10) * 1024, 11, 1e-6);
}

}  // namespace
}  // namespace llmcodec
