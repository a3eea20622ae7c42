// SPDX-License-Identifier: BSD-3-Clause
#include "quant/row_reader.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/error.h"
#include "quant/memory_row_reader.h"
#include "random_matrix.h"

namespace llmcodec {
namespace {

class FailingReader final : public RowReader {
 public:
  size_t rows() const override { return 100; }
  size_t cols() const override { return 4; }
  Status read_rows(size_t first, MatrixView<float>) override {
    if (first >= 50) return error(ErrorKind::kIo, "row {} is gone", first);
    return Status::ok();
  }
};

TEST(RowReader, blocks_cover_the_matrix_in_order_for_any_block_size) {
  const testing::OwnedMatrix matrix = testing::gaussian(37, 11, 1);
  for (size_t block_weights : {1u, 11u, 40u, 400u, 100000u}) {
    MemoryRowReader reader(matrix.view());
    std::vector<float> seen;
    const Status status = for_each_row_block(
        reader,
        [&](size_t first_row, MatrixView<const float> block) {
          EXPECT_EQ(first_row * 11, seen.size());
          for (size_t r = 0; r < block.rows; ++r)
            seen.insert(seen.end(), block.row(r).begin(), block.row(r).end());
          return Status::ok();
        },
        block_weights);
    EXPECT_TRUE(status.is_ok());
    EXPECT_EQ(seen, matrix.values);
  }
}

TEST(RowReader, first_error_stops_the_walk) {
  FailingReader reader;
  size_t visits = 0;
  const Status status = for_each_row_block(
      reader,
      [&](size_t, MatrixView<const float>) {
        ++visits;
        return Status::ok();
      },
      4 * 10);
  ASSERT_FALSE(status.is_ok());
  EXPECT_EQ(status.error().kind, ErrorKind::kIo);
  EXPECT_EQ(visits, 5u);
}

TEST(RowReader, empty_matrices_have_no_blocks) {
  MemoryRowReader reader(MatrixView<const float>(nullptr, 0, 5));
  EXPECT_TRUE(for_each_row_block(reader, [](size_t, MatrixView<const float>) -> Status {
                return error(ErrorKind::kInternal, "called");
              }).is_ok());
}

}  // namespace
}  // namespace llmcodec
