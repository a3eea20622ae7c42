// SPDX-License-Identifier: BSD-3-Clause
#include "llmcodec/pieces.h"

#include <gtest/gtest.h>

#include "compress/piece_file.h"
#include "small_model.h"

namespace llmcodec {
namespace {

using Bytes = std::vector<std::byte>;

class PiecesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto options = small_options(folder_);
    ASSERT_OK(options);
    options_ = *std::move(options);
    options_.target = {TargetKind::kStep, 0.5};
    options_.set = {"weight=action:code"};
  }

  OrderedPieces ordered(uint64_t piece_weights) {
    const auto work = order_work(options_, piece_weights);
    EXPECT_TRUE(work.is_ok()) << message_of(work);
    auto pieces = OrderedPieces::parse(work->order);
    EXPECT_TRUE(pieces.is_ok()) << message_of(pieces);
    return *std::move(pieces);
  }

  // All pieces, the last one first.
  std::vector<Bytes> coded(const OrderedPieces& ordered) {
    std::vector<Bytes> pieces(ordered.pieces().size());
    for (size_t i = pieces.size(); i-- > 0;) {
      const PieceOptions one{.input = options_.input, .control = options_.control};
      auto piece = code_piece(ordered.order_of(i), one);
      EXPECT_TRUE(piece.is_ok()) << message_of(piece);
      pieces[i] = *std::move(piece);
    }
    return pieces;
  }

  Result<CompressReport> put_together(const OrderedPieces& ordered, const std::vector<Bytes>& pieces) {
    return assemble(options_, ordered, [&](uint64_t piece) -> Result<Bytes> { return pieces.at(piece); });
  }

  // What assemble() says of these pieces; it leaves no archive.
  std::string refusal(const OrderedPieces& ordered, const std::vector<Bytes>& pieces) {
    const auto report = put_together(ordered, pieces);
    EXPECT_FALSE(report.is_ok());
    EXPECT_EQ(report.error().kind, ErrorKind::kCorrupt);
    EXPECT_FALSE(std::filesystem::exists(options_.output));
    return report.error().to_string();
  }

  TempFolder folder_;
  CompressOptions options_;
};

TEST_F(PiecesTest, put_together_are_what_compress_writes) {
  ASSERT_OK(compress(options_));
  const std::string expected = read_bytes(options_.output);
  for (const uint64_t weights : {uint64_t{1}, uint64_t{5000}, uint64_t{1} << 20}) {
    std::filesystem::remove(options_.output);
    const OrderedPieces ordered = this->ordered(weights);
    uint64_t all = 0;
    for (const PieceInfo& piece : ordered.pieces()) all += piece.weights;
    EXPECT_EQ(all, 96 * 64 + 2 * 64 * 80) << weights;
    ASSERT_OK(put_together(ordered, coded(ordered)));
    EXPECT_TRUE(read_bytes(options_.output) == expected) << ordered.pieces().size() << " pieces";
  }
}

TEST_F(PiecesTest, smaller_pieces_are_more_and_one_that_holds_all_is_one) {
  EXPECT_EQ(ordered(uint64_t{1} << 20).pieces().size(), 1u);
  EXPECT_GE(ordered(1).pieces().size(), 3u);  // a matrix and two
}

TEST_F(PiecesTest, cut_changed_and_foreign_pieces_are_refused) {
  const OrderedPieces ordered = this->ordered(1);
  const std::vector<Bytes> pieces = coded(ordered);
  const auto with = [&](size_t i, Bytes piece) {
    std::vector<Bytes> changed = pieces;
    changed[i] = std::move(piece);
    return refusal(ordered, changed);
  };
  Bytes cut(pieces[0].begin(), pieces[0].end() - 1), changed = pieces[0];
  changed.back() ^= std::byte{1};
  EXPECT_EQ(with(0, cut), "piece 0: the piece fails its checksum");
  EXPECT_EQ(with(0, changed), "piece 0: the piece fails its checksum");
  EXPECT_EQ(with(0, {}), "piece 0: the piece is none, or was cut");
  EXPECT_EQ(with(0, pieces[1]), "piece 0: the piece is of another run, or another one of this run");
  options_.target.value = 0.25;
  const std::vector<Bytes> finer = coded(this->ordered(1));
  options_.target.value = 0.5;
  EXPECT_EQ(with(1, finer[1]), "piece 1: the piece is of another run, or another one of this run");
}

TEST_F(PiecesTest, another_source_than_the_order_was_made_for_is_refused) {
  const OrderedPieces ordered = this->ordered(1);
  const std::vector<Bytes> pieces = coded(ordered);
  std::vector<TensorInfo> tensors = small_tensors();
  tensors[2].shape = {65};
  ASSERT_OK(write_small_model(options_.input, tensors));
  const auto report = put_together(ordered, pieces);
  ASSERT_FALSE(report.is_ok());
  EXPECT_EQ(report.error().kind, ErrorKind::kIo) << message_of(report);
  EXPECT_FALSE(std::filesystem::exists(options_.output));
}

TEST_F(PiecesTest, what_is_no_order_or_of_many_pieces_is_refused) {
  const auto work = order_work(options_, 1);
  ASSERT_OK(work);
  for (const size_t size : {size_t{0}, size_t{8}, work->order.size() / 2, work->order.size() - 1}) {
    const auto cut = OrderedPieces::parse(std::span(work->order).first(size));
    ASSERT_FALSE(cut.is_ok()) << size;
    EXPECT_EQ(cut.error().kind, ErrorKind::kCorrupt) << size << ": " << message_of(cut);
  }
  const auto all = code_piece(work->order, {.input = options_.input});
  ASSERT_FALSE(all.is_ok());
  EXPECT_EQ(message_of(all), "this is no order of one piece");
}

TEST(PieceFile, gives_back_streams_errors_and_outliers) {
  CodedPictures coded;
  coded.stream = {std::byte{1}, std::byte{0}, std::byte{255}};
  coded.samples_xxh3_128 = "0123456789abcdef0123456789abcdef";
  coded.outliers.add(7, 1.5f);
  coded.outliers.add(uint64_t{1} << 40, -2.0f);
  const std::vector<float> original = {1, 2, 3}, restored = {1, 2.5f, 3};
  coded.metrics.add(original, restored);
  const std::vector<CodedPictures> segments = {coded, CodedPictures()};
  const Bytes bytes = piece_to_bytes({"key", 5}, segments);
  const auto back = piece_from_bytes({"key", 5}, 2, bytes);
  ASSERT_OK(back);
  EXPECT_EQ((*back)[0].stream, coded.stream);
  EXPECT_EQ((*back)[0].samples_xxh3_128, coded.samples_xxh3_128);
  EXPECT_EQ((*back)[0].outliers.indices, coded.outliers.indices);
  EXPECT_EQ((*back)[0].outliers.values, coded.outliers.values);
  EXPECT_EQ((*back)[0].metrics.sums(), coded.metrics.sums());
  EXPECT_TRUE((*back)[1].stream.empty());
  EXPECT_FALSE(piece_from_bytes({"key", 6}, 2, bytes).is_ok());
  EXPECT_FALSE(piece_from_bytes({"other", 5}, 2, bytes).is_ok());
  EXPECT_FALSE(piece_from_bytes({"key", 5}, 1, bytes).is_ok());
}

}  // namespace
}  // namespace llmcodec
