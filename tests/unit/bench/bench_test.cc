// SPDX-License-Identifier: BSD-3-Clause
#include "llmcodec/bench.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace llmcodec {
namespace {

TEST(BenchSource, moments_and_repeatability) {
  for (const auto& [name, kurtosis] : {std::pair{"gaussian", 3.0}, {"laplacian", 6.0}}) {
    const auto source = make_bench_source(name, 300, 700);
    ASSERT_TRUE(source.is_ok()) << source.error().to_string();
    double sum = 0, square = 0, fourth = 0;
    for (const double w : source->weights) sum += w, square += w * w, fourth += w * w * w * w;
    const double n = 300 * 700;
    EXPECT_NEAR(sum / n, 0, 0.01);
    EXPECT_NEAR(square / n, 1, 0.02);
    EXPECT_NEAR(fourth / n, kurtosis, 0.3);
    EXPECT_EQ(make_bench_source(name, 300, 700)->weights, source->weights);
    EXPECT_NE(make_bench_source(name, 300, 700, 2)->weights, source->weights);
  }
  EXPECT_FALSE(make_bench_source("cauchy", 3, 3).is_ok());
  EXPECT_FALSE(make_bench_source("gaussian", 0, 3).is_ok());
}

TEST(Bench, vvc_hits_its_targets_and_stays_above_the_bound) {
  const BenchSource source = make_bench_source("gaussian", 256, 320).value();
  const auto rows = run_bench(
      {.sources = {source.view()}, .codecs = {"vvc", "vvc:layout=spectral"}, .target_bpw = {1.5, 2.3, 4}});
  ASSERT_TRUE(rows.is_ok()) << rows.error().to_string();
  ASSERT_EQ(rows->size(), 6u);
  for (const BenchRow& row : *rows) {
    EXPECT_EQ(row.note, "");
    EXPECT_NEAR(row.bpw, row.target_bpw, 0.005 * row.target_bpw);
    EXPECT_NEAR(row.gap_db, 6.0206 * row.bpw - row.snr_db, 1e-3);
    EXPECT_GT(row.gap_db, 0.5);
    EXPECT_LT(row.gap_db, 3.0);
    EXPECT_GT(row.encode_mws, 0);
    EXPECT_GT(row.decode_mws, 0);
    EXPECT_EQ(row.weights, 256u * 320u);
  }
}

// A uniform quantiser of 4 bits reaches 20.22 dB on Gaussian weights at best; ours has no level at +8 steps.
TEST(Bench, raw_finds_the_best_scale_of_its_depth) {
  const BenchSource source = make_bench_source("gaussian", 400, 300).value();
  const auto rows = run_bench({.sources = {source.view()}, .codecs = {"raw"}, .target_bpw = {4, 2.3}});
  ASSERT_TRUE(rows.is_ok());
  EXPECT_NEAR((*rows)[0].snr_db, 19.5, 0.75);
  EXPECT_EQ((*rows)[0].bpw, 4);
  EXPECT_EQ((*rows)[0].note, "");
  EXPECT_EQ((*rows)[1].bpw, 2);
  EXPECT_EQ((*rows)[1].note, "off target");
}

TEST(Bench, an_absent_codec_is_a_note_and_a_wrong_request_an_error) {
  const BenchSource source = make_bench_source("laplacian", 64, 64).value();
  CodecEnvironment nowhere;
  nowhere.ffmpeg = "/no/such/ffmpeg";
  const auto rows = run_bench(
      {.sources = {source.view()}, .codecs = {"libx265", "raw"}, .target_bpw = {3}, .environment = nowhere});
  ASSERT_TRUE(rows.is_ok());
  EXPECT_NE((*rows)[0].note.find("/no/such/ffmpeg"), std::string::npos);
  EXPECT_EQ((*rows)[1].note, "");

  std::vector<float> bad(64, 1.0f);
  bad[5] = std::numeric_limits<float>::quiet_NaN();
  const BenchSourceView view{"bad", {bad.data(), 8, 8}};
  const auto nan = run_bench({.sources = {view}, .codecs = {"raw"}, .target_bpw = {3}});
  ASSERT_FALSE(nan.is_ok());
  EXPECT_EQ(nan.error().kind, ErrorKind::kInvalidArgument);
  EXPECT_FALSE(run_bench({.sources = {source.view()}, .codecs = {"raw"}, .target_bpw = {0}}).is_ok());
  const auto wrong =
      run_bench({.sources = {source.view()}, .codecs = {"vvc:layout=spectral,mu=1"}, .target_bpw = {2}});
  ASSERT_TRUE(wrong.is_ok());
  EXPECT_NE((*wrong)[0].note.find("mu=1"), std::string::npos);
}

TEST(Bench, stops_between_rows) {
  const BenchSource source = make_bench_source("gaussian", 64, 64).value();
  size_t rows = 0;
  const auto stopped = run_bench({.sources = {source.view()},
                                  .codecs = {"raw"},
                                  .target_bpw = {2, 3, 4},
                                  .on_row = [&](const BenchRow&) { ++rows; },
                                  .cancelled = [&] { return rows == 2; }});
  ASSERT_FALSE(stopped.is_ok());
  EXPECT_EQ(stopped.error().kind, ErrorKind::kInterrupted);
  EXPECT_EQ(rows, 2u);
}

TEST(Bench, large_matrices_become_several_pictures) {
  const BenchSource source = make_bench_source("gaussian", 3001, 700).value();
  const auto rows = run_bench({.sources = {source.view()}, .codecs = {"raw"}, .target_bpw = {3}});
  ASSERT_TRUE(rows.is_ok());
  EXPECT_EQ((*rows)[0].weights, 3u * 1000 * 700);  // the last of 3001 rows is left out
}

// What an error means is the product's error: rows that stand for larger weights count for more.
TEST(Bench, scales_weigh_the_errors) {
  BenchSource source = make_bench_source("gaussian", 128, 96).value();
  const std::vector<float> equal(128, 3.0f), cols(96, 0.5f);
  std::vector<float> first(128, 1e-4f);
  first[0] = 1;
  const auto snr = [&](std::span<const float> row_scales, std::span<const float> col_scales) {
    BenchSourceView view = source.view();
    view.row_scales = row_scales;
    view.col_scales = col_scales;
    const auto rows =
        run_bench({.sources = {view}, .codecs = {"vvc", "vvc:layout=spectral"}, .target_bpw = {3}});
    EXPECT_TRUE(rows.is_ok());
    return std::pair((*rows)[0].snr_db, (*rows)[1].snr_db);
  };
  const auto plain = snr({}, {}), scaled = snr(equal, cols), one_row = snr(first, {});
  EXPECT_NEAR(plain.first, scaled.first, 1e-3);
  EXPECT_NEAR(plain.second, scaled.second, 1e-3);
  EXPECT_NE(plain.first, one_row.first);
  EXPECT_NE(plain.second, one_row.second);

  BenchSourceView view = source.view();
  view.row_scales = cols;  // as many as columns
  EXPECT_FALSE(run_bench({.sources = {view}, .codecs = {"raw"}, .target_bpw = {3}}).is_ok());
  first[1] = 0;
  view.row_scales = first;
  EXPECT_FALSE(run_bench({.sources = {view}, .codecs = {"raw"}, .target_bpw = {3}}).is_ok());
}

TEST(Bench, pictures_may_be_asked_for) {
  const BenchSource source = make_bench_source("gaussian", 130, 64).value();
  BenchSourceView view = source.view();
  view.pictures = 4;
  const auto rows = run_bench({.sources = {view}, .codecs = {"vvc"}, .target_bpw = {3}});
  ASSERT_TRUE(rows.is_ok());
  EXPECT_EQ((*rows)[0].weights, 4u * 32 * 64);
  EXPECT_EQ((*rows)[0].note, "");
  EXPECT_GT((*rows)[0].encode_seconds, 0);
  EXPECT_NE((*rows)[0].version, "");
  view.pictures = 131;
  EXPECT_FALSE(run_bench({.sources = {view}, .codecs = {"vvc"}, .target_bpw = {3}}).is_ok());
}

TEST(BenchReport, table_and_json) {
  BenchRow good{.codec = "vvc", .source = "gaussian", .note = {}};
  good.bpw = 2.3;
  good.snr_db = 12.5;
  good.gap_db = 1.35;
  BenchRow bad{.codec = "libx265:preset=slow", .source = "gaussian", .note = "broken \xff"};
  const std::string table = format_bench_table({good, bad});
  EXPECT_EQ(std::count(table.begin(), table.end(), '\n'), 3);
  EXPECT_NE(table.find("2.300   12.50    1.35"), std::string::npos) << table;
  const std::string json = format_bench_json({good, bad});
  EXPECT_NE(json.find("\"gap_db\": 1.35"), std::string::npos) << json;
  EXPECT_NE(json.find("broken"), std::string::npos);
}

}  // namespace
}  // namespace llmcodec
