// SPDX-License-Identifier: BSD-3-Clause
#include "coding/tensor_parts.h"

#include <map>
#include <random>

#include "../tensor/tensor_test_files.h"
#include "archive/packing.h"
#include "archive/part_names.h"
#include "base/error.h"
#include "quant/memory_row_reader.h"

namespace llmcodec {
namespace {

// Parts as an archive gives them back.
class Store {
 public:
  explicit Store(const std::vector<Part>& parts) {
    for (const Part& part : parts) parts_[part.name] = part.bytes;
  }
  PartContent content() const {
    return [this](const std::string& name, uint64_t max_bytes) -> Result<std::vector<std::byte>> {
      const auto found = parts_.find(name);
      if (found == parts_.end()) return error(ErrorKind::kCorrupt, "part '{}' is absent", name);
      return unpack(found->second, max_bytes);
    };
  }

 private:
  std::map<std::string, std::vector<std::byte>> parts_;
};

constexpr MatrixShape kShape{2, 24, 40};

std::vector<MatrixScales> some_scales(const ScaleSpec& spec, bool asymmetric) {
  std::mt19937 random(3);
  std::vector<float> weights(kShape.rows * kShape.cols);
  std::vector<MatrixScales> matrices;
  for (uint64_t m = 0; m < kShape.matrices; ++m) {
    for (float& weight : weights) weight = static_cast<float>(random() % 1000) / 500 - 0.9f;
    MemoryRowReader reader({weights.data(), kShape.rows, kShape.cols});
    ScaleOptions options;
    options.spec = spec;
    options.asymmetric = asymmetric;
    matrices.push_back(std::move(fit_scales(reader, options)).value());
  }
  return matrices;
}

TEST(TensorParts, scales_of_every_kind_come_back) {
  for (const char* kind : {"tensor", "row", "column", "dual", "group:16"}) {
    for (const bool asymmetric : {false, true}) {
      const auto scales = some_scales(*parse_scale_spec(kind), asymmetric);
      const Store store(scales_to_parts(scales));
      const ScalesStage stage = scales_stage(scales, ColumnOrder::kNone);
      const auto back = scales_from_parts(stage, kShape, store.content());
      ASSERT_OK(back);
      for (uint64_t m = 0; m < kShape.matrices; ++m) {
        EXPECT_EQ((*back)[m].tensor_scale, scales[m].tensor_scale) << kind;
        EXPECT_EQ((*back)[m].row_codes, scales[m].row_codes) << kind;
        EXPECT_EQ((*back)[m].col_codes, scales[m].col_codes) << kind;
        EXPECT_EQ((*back)[m].group_codes, scales[m].group_codes) << kind;
        EXPECT_EQ((*back)[m].zeros, scales[m].zeros) << kind;
      }
    }
  }
}

TEST(TensorParts, a_part_of_another_size_is_corrupt_and_an_absent_one_too) {
  const auto scales = some_scales(*parse_scale_spec("dual"), false);
  const ScalesStage stage = scales_stage(scales, ColumnOrder::kNone);
  std::vector<Part> parts = scales_to_parts(scales);
  expect_error(scales_from_parts(stage, {2, 25, 40}, Store(parts).content()), ErrorKind::kCorrupt,
               "row_scale");
  parts.pop_back();
  expect_error(scales_from_parts(stage, kShape, Store(parts).content()), ErrorKind::kCorrupt, "col_scale");
  expect_error(scales_from_parts(stage, {0, 24, 40}, Store({}).content()), ErrorKind::kCorrupt,
               "no matrices");
}

OutlierList some_outliers() {
  OutlierList outliers;
  outliers.add(3, 1.5f);
  outliers.add(1919, -2.25f);
  return outliers;
}

TEST(TensorParts, outliers_come_back_in_the_tensors_own_dtype) {
  for (const Dtype dtype : {Dtype::kF32, Dtype::kF16, Dtype::kBF16}) {
    const TensorInfo info{"w", dtype, {2, 24, 40}};
    const auto part = outliers_to_part(some_outliers(), info);
    ASSERT_OK(part);
    EXPECT_EQ(outlier_bytes(info), dtype == Dtype::kF32 ? 8u : 6u);
    const Store store({*part});
    const auto back = outliers_from_part(2, info, store.content());
    ASSERT_OK(back);
    EXPECT_EQ(back->indices, some_outliers().indices);
    EXPECT_EQ(back->values, some_outliers().values);
  }
}

TEST(TensorParts, block_types_keep_outliers_as_floats) {
  EXPECT_EQ(outlier_bytes({"w", Dtype::kQ4_0, {64, 64}}), 8u);
}

TEST(TensorParts, tensors_of_more_than_four_billion_weights_have_wide_indices) {
  const TensorInfo info{"w", Dtype::kF32, {uint64_t{1} << 20, uint64_t{1} << 13}};
  OutlierList outliers;
  outliers.add((uint64_t{1} << 32) + 5, 1.0f);
  const auto part = outliers_to_part(outliers, info);
  ASSERT_OK(part);
  EXPECT_EQ(outlier_bytes(info), 12u);
  const Store store({*part});
  const auto back = outliers_from_part(1, info, store.content());
  ASSERT_OK(back);
  EXPECT_EQ(back->indices, outliers.indices);
}

TEST(TensorParts, impossible_outliers_are_corrupt) {
  const TensorInfo info{"w", Dtype::kF32, {24, 40}};
  const auto part = outliers_to_part(some_outliers(), info);
  ASSERT_OK(part);
  const Store store({*part});
  expect_error(outliers_from_part(2, info, store.content()), ErrorKind::kCorrupt, "");  // index 1919 of 960
  expect_error(outliers_from_part(961, info, store.content()), ErrorKind::kCorrupt, "961 outliers");
  expect_error(outliers_from_part(1, {"w", Dtype::kF32, {2, 24, 40}}, store.content()), ErrorKind::kLimit,
               "");
  EXPECT_TRUE(outliers_from_part(0, info, store.content())->empty()) << "no part is looked for";
}

TEST(TensorParts, a_part_that_no_stage_takes_is_corrupt) {
  ScalesStage scales;
  scales.spec = {ScaleKind::kRow, 0};
  scales.row_code = {LogCode{1, 8}};
  TensorRecord record;
  record.parts = {{part_name::kBitstream, {}}, {part_name::kRowScale, {}}};
  ASSERT_OK(check_parts(record, scales));
  for (const char* name : {part_name::kColScale, part_name::kGroupScale, part_name::kZero,
                           part_name::kOutliers, part_name::kData, "unknown"}) {
    TensorRecord more = record;
    more.parts[name] = {};
    expect_error(check_parts(more, scales), ErrorKind::kCorrupt, name);
  }
  scales.asymmetric = true;
  record.outliers = 1;
  record.parts[part_name::kZero] = {};
  record.parts[part_name::kOutliers] = {};
  ASSERT_OK(check_parts(record, scales));
}

}  // namespace
}  // namespace llmcodec
