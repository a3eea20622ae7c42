// SPDX-License-Identifier: BSD-3-Clause
#include "coding/tensor_recipe.h"

#include "../tensor/tensor_test_files.h"
#include "base/limits.h"

namespace llmcodec {
namespace {

using nlohmann::json;

TensorRecord record_with(const char* stages) {
  TensorRecord record;
  record.dtype = "F16";
  record.shape = {96, 64};
  record.rows = 96;
  record.cols = 64;
  for (const json& stage : json::parse(stages)) record.stages.push_back(stage);
  uint64_t bytes = 0;
  for (const json& segment : record.stages.back()["segments"]) bytes += segment.get<uint64_t>();
  record.parts["bitstream"] = {bytes, "00"};
  return record;
}

TensorRecord spatial() {
  return record_with(R"([
    {"stage": "scales", "kind": "dual", "row": [0.25, 16], "col": [1.5, 8], "order": "col_scale"},
    {"stage": "affine", "step": 0.1, "zero": 512, "bit_depth": 10},
    {"stage": "layout", "kind": "spatial", "picture": [32, 64], "cuts": [3, 1]},
    {"stage": "codec", "name": "raw", "options": "raw", "codec_version": "1", "stream": "raw", "quality": 3.5,
     "pictures": 2, "segments": [5120, 2560]}])");
}

TensorRecord spectral() {
  return record_with(R"([
    {"stage": "scales", "kind": "row", "row": [0.25, 16], "zero": true},
    {"stage": "layout", "kind": "spectral", "step": 0.31, "coefficients": 512, "blocks": [6, 2], "cuts": [1, 1]},
    {"stage": "codec", "name": "vvc", "options": "vvc", "codec_version": "1", "stream": "h266", "quality": 20,
     "pictures": 1, "segments": [30]}])");
}

// 96 x 64 by rows: two pieces in each line, so a folded matrix of 2 x 3072.
TensorRecord folded() {
  return record_with(R"([
    {"stage": "scales", "kind": "row", "row": [0.25, 16]},
    {"stage": "layout", "kind": "spectral", "step": 0.31, "coefficients": 64, "blocks": [1, 96], "cuts": [1, 1],
     "lines": "rows"},
    {"stage": "codec", "name": "vvc", "options": "vvc", "codec_version": "1", "stream": "h266", "quality": 20,
     "pictures": 1, "segments": [30]}])");
}

TEST(Stages, come_back_as_they_were) {
  for (const TensorRecord& record : {spatial(), spectral(), folded()}) {
    const auto tensor = recipe_from_record(record);
    ASSERT_OK(tensor);
    EXPECT_EQ(json(recipe_to_json(*tensor)), json(record.stages));
  }
}

TEST(Stages, numbers_are_binary32_written_shortest) {
  auto tensor = recipe_from_record(spatial());
  ASSERT_OK(tensor);
  EXPECT_EQ(tensor->spatial().affine.step_lsb, 0.1f);
  EXPECT_NE(recipe_to_json(*tensor)[1].dump().find("\"step\":0.1,"), std::string::npos);
}

// A field left out, or of another type, must never be taken for a default that changes the tensor.
TEST(Stages, every_field_is_needed_and_typed) {
  for (const TensorRecord& whole : {spatial(), spectral()}) {
    for (size_t s = 0; s < whole.stages.size(); ++s) {
      for (const auto& [key, value] : whole.stages[s].items()) {
        if (key == "order" || key == "zero") continue;  // absent: their default
        TensorRecord absent = whole, other = whole;
        absent.stages[s].erase(key);
        EXPECT_FALSE(recipe_from_record(absent).is_ok()) << key << " absent";
        if (key == "zero") continue;
        other.stages[s][key] = json::object();
        EXPECT_FALSE(recipe_from_record(other).is_ok()) << key << " of another type";
      }
    }
  }
}

// One scale for each line, no other order of columns, no more lines than a picture has strips.
TEST(Stages, what_cannot_be_folded_is_refused) {
  const auto with = [](size_t stage, const char* key, json value) {
    TensorRecord record = folded();
    record.stages[stage][key] = std::move(value);
    return recipe_from_record(record);
  };
  ASSERT_OK(recipe_from_record(folded()));
  EXPECT_FALSE(recipe_from_record(folded())->has_whole_rows());
  expect_error(with(1, "lines", "diagonals"), ErrorKind::kUnsupported, "diagonals");
  expect_error(with(1, "lines", "columns"), ErrorKind::kCorrupt, "lines");
  expect_error(with(1, "lines", 1), ErrorKind::kCorrupt, "lines");
  expect_error(with(0, "kind", "column"), ErrorKind::kCorrupt, "col");
  expect_error(with(1, "blocks", {1, 2}), ErrorKind::kCorrupt, "blocks");
  TensorRecord many = folded();
  many.shape = {1024, 64};
  many.rows = 1024;
  expect_error(recipe_from_record(many), ErrorKind::kCorrupt, "lines");
  for (const std::vector<uint64_t>& shape : {std::vector<uint64_t>{1, 0}, {0, 1}, {1, UINT64_MAX}}) {
    TensorRecord odd = folded();
    odd.shape = shape;
    odd.rows = shape[0];
    odd.cols = shape[1];
    expect_error(recipe_from_record(odd), ErrorKind::kCorrupt, "lines");
  }
  TensorRecord cut = folded();  // two pictures side by side
  cut.stages[1]["cuts"] = {1u, 2u};
  cut.stages[1]["blocks"] = {1u, 48u};
  cut.stages[2]["segments"] = {15u, 15u};
  expect_error(recipe_from_record(cut), ErrorKind::kCorrupt, "cuts");
  TensorRecord ordered = folded();
  ordered.stages[0] = {{"stage", "scales"},
                       {"kind", "dual"},
                       {"row", {0.25, 16u}},
                       {"col", {0.25, 16u}},
                       {"order", "col_scale"}};
  expect_error(recipe_from_record(ordered), ErrorKind::kCorrupt, "lines");
}

TEST(Stages, a_spectral_segment_is_one_picture) {
  TensorRecord record = spectral();
  record.stages.back()["pictures"] = 2u;
  EXPECT_FALSE(recipe_from_record(record).is_ok());
}

TEST(Stages, unknown_ones_are_unsupported) {
  TensorRecord record = spatial();
  record.stages[0]["stage"] = "magic";
  expect_error(recipe_from_record(record), ErrorKind::kUnsupported, "magic");
  record = spatial();
  record.stages[1]["version"] = 2;
  expect_error(recipe_from_record(record), ErrorKind::kUnsupported, "version 2");
  record = spectral();
  record.stages.insert(record.stages.begin() + 1, json{{"stage", "affine"}});
  EXPECT_FALSE(recipe_from_record(record).is_ok());
}

TEST(Stages, segments_must_add_up_to_the_stream_and_the_pictures) {
  for (const char* segments :
       {"[5120, 2561]", "[7680]", "[5120, 2560, 0]", "[]", "[5120, -2560]", "[4294967296, 2560]"}) {
    TensorRecord record = spatial();
    record.stages[3]["segments"] = json::parse(segments);
    EXPECT_FALSE(recipe_from_record(record).is_ok()) << segments;
  }
}

TEST(Stages, a_segment_shorter_than_its_codec_can_make_is_corrupt) {
  TensorRecord raw = spatial();  // pictures of 32 x 64 samples of 10 bits
  raw.stages[3]["segments"] = {5119u, 2561u};
  expect_error(recipe_from_record(raw), ErrorKind::kCorrupt,
               "segment 0 has 5119 bytes, its 2 pictures take 5120");

  static constexpr uint64_t kSide = 1 << 14;  // one picture of a compressed format
  const auto large = [](uint64_t bytes) {
    TensorRecord record = spatial();
    record.shape = {kSide, kSide / 2};
    record.rows = kSide;
    record.cols = kSide / 2;
    record.stages[2].update({{"picture", {kSide, kSide / 2}}, {"cuts", {1u, 1u}}});
    record.stages[3].update({{"stream", "hevc"}, {"segments", {bytes}}});
    record.parts["bitstream"].bytes = bytes;
    return record;
  };
  constexpr uint64_t kLeast = kSide * kSide / 2 / kMaxSamplesPerStreamByte;
  ASSERT_OK(recipe_from_record(large(kLeast)));
  expect_error(recipe_from_record(large(kLeast - 1)), ErrorKind::kCorrupt, "at least");
}

// Padding counts: it is decoded as well. Here every picture has one weight in 2^26 samples.
TEST(Stages, pictures_that_are_mostly_padding_take_bytes_too) {
  TensorRecord record = spatial();
  constexpr uint64_t kPictures = 1 << 20;
  record.shape = {kPictures, 1};
  record.rows = kPictures;
  record.cols = 1;
  record.stages[0] = {{"stage", "scales"}, {"kind", "tensor"}, {"scale", {1.0}}};
  record.stages[2].update({{"picture", {1u, 1u << 26}}, {"cuts", {kPictures, 1u}}});
  record.stages[3].update({{"stream", "hevc"}, {"pictures", kPictures}, {"segments", {kPictures}}});
  record.parts["bitstream"].bytes = kPictures;
  expect_error(recipe_from_record(record), ErrorKind::kCorrupt, "at least");
}

TEST(Stages, pictures_must_cover_the_matrix_and_none_lie_outside) {
  for (const char* change :
       {R"({"picture": [32, 63]})", R"({"picture": [16, 64]})", R"({"cuts": [4, 1]})", R"({"cuts": [3, 2]})",
        R"({"picture": [0, 64]})", R"({"picture": [4294967295, 4294967295], "cuts": [1, 1]})"}) {
    TensorRecord record = spatial();
    record.stages[2].update(json::parse(change));
    EXPECT_FALSE(recipe_from_record(record).is_ok()) << change;
  }
}

TEST(Stages, a_number_is_not_cut_to_the_width_of_its_field) {
  for (const char* field : {"row", "col", "codes"}) {
    for (const TensorRecord& whole : {spatial(), spectral()}) {
      if (!whole.stages[0].contains(field)) continue;
      TensorRecord record = whole;
      json& codes = record.stages[0][field];
      (codes[0].is_array() ? codes[0] : codes)[1] = (1ull << 32) + 8;
      expect_error(recipe_from_record(record), ErrorKind::kCorrupt, field);
    }
  }
}

TEST(Stages, zero_is_true_or_false) {
  for (const json& other : {json(1), json("true"), json(nullptr), json::array()}) {
    TensorRecord record = spatial();
    record.stages[0]["zero"] = other;
    expect_error(recipe_from_record(record), ErrorKind::kCorrupt, "zero");
  }
}

}  // namespace
}  // namespace llmcodec
