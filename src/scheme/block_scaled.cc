// SPDX-License-Identifier: BSD-3-Clause
#include "scheme/block_scaled.h"

#include <numeric>

namespace llmcodec {
namespace {

// Rows of codes, unpacked.
class CodeRows {
 public:
  static Result<CodeRows> read(const BlockScaled& layout, const Rect& rect) {
    CodeRows rows(layout.book, rect);
    rows.row_bytes_ = rows.last_byte_of(rect.col + rect.cols - 1) - rows.byte_of(rect.col) + 1;
    rows.bytes_.resize(rows.row_bytes_ * rect.rows);
    const auto read = [&](uint64_t row, std::span<uint8_t> out) {
      return layout.source->read(layout.codes, row * layout.row_bytes + rows.byte_of(rect.col),
                                 std::as_writable_bytes(out));
    };
    if (rows.row_bytes_ == layout.row_bytes) {
      LLMC_RETURN_IF_ERROR(read(rect.row, rows.bytes_));
      return rows;
    }
    for (uint64_t i = 0; i < rect.rows; ++i)
      LLMC_RETURN_IF_ERROR(
          read(rect.row + i, std::span(rows.bytes_).subspan(i * rows.row_bytes_, rows.row_bytes_)));
    return rows;
  }

  // The codes of row `i` of the rectangle.
  void unpack(uint64_t i, std::span<uint8_t> codes) const {
    const uint8_t* bytes = bytes_.data() + i * row_bytes_;
    if (bits_ == 8) {
      std::copy(bytes, bytes + codes.size(), codes.begin());
      return;
    }
    const uint32_t mask = (1u << bits_) - 1;
    const uint64_t first_byte = byte_of(first_col_);
    for (size_t c = 0; c < codes.size(); ++c) {
      const uint64_t bit = bit_of(first_col_ + c);
      const uint32_t shift = static_cast<uint32_t>(bit % 8);
      const uint8_t* at = bytes + (bit / 8 - first_byte);
      uint32_t both = at[0];
      if (shift + bits_ > 8) both |= static_cast<uint32_t>(at[1]) << 8;
      codes[c] = static_cast<uint8_t>((both >> shift) & mask);
    }
  }

 private:
  CodeRows(const CodeBook& book, const Rect& rect)
      : bits_(book.bits), per_word_(book.per_word), high_first_(book.high_first), first_col_(rect.col) {}
  // The lowest bit of a code, counted from the row's begin.
  uint64_t bit_of(uint64_t col) const {
    if (high_first_) return (col * bits_) ^ 4;
    return per_word_ == 0 ? col * bits_ : col / per_word_ * 32 + col % per_word_ * bits_;
  }
  uint64_t byte_of(uint64_t col) const { return bit_of(col) / 8; }
  uint64_t last_byte_of(uint64_t col) const { return (bit_of(col) + bits_ - 1) / 8; }

  uint32_t bits_, per_word_;
  bool high_first_;
  uint64_t first_col_, row_bytes_ = 0;
  std::vector<uint8_t> bytes_;
};

class BlockScaledMatrix final : public StoredMatrix {
 public:
  explicit BlockScaledMatrix(BlockScaled layout)
      : StoredMatrix(layout.rows, layout.cols), layout_(std::move(layout)) {}

  Status read(const Rect& rect, std::span<float> out) const override {
    LLMC_ASSIGN_OR_RETURN(const CodeRows rows, CodeRows::read(layout_, rect));
    LLMC_ASSIGN_OR_RETURN(const std::vector<float> book, book_values());
    // Columns in no order need the whole width of the grid.
    const Rect of_grid = layout_.groups ? Rect{rect.row, rect.rows, 0, layout_.cols} : rect;
    LLMC_ASSIGN_OR_RETURN(const GridPart scales, GridPart::read(layout_.scales, of_grid));
    LLMC_ASSIGN_OR_RETURN(const std::optional<GridPart> zeros, part_of(layout_.zeros, of_grid));
    LLMC_ASSIGN_OR_RETURN(const std::optional<GridPart> biases, part_of(layout_.biases, of_grid));
    LLMC_ASSIGN_OR_RETURN(const std::vector<uint32_t> groups, grid_columns(rect, scales.first_col()));
    std::vector<uint8_t> codes(rect.cols);
    for (uint64_t i = 0; i < rect.rows; ++i) {
      rows.unpack(i, codes);
      const std::span<const float> scale = scales.row(rect.row + i);
      const std::span<float> values = out.subspan(i * rect.cols, rect.cols);
      if (zeros) {
        const std::span<const float> zero = zeros->row(rect.row + i);
        for (size_t c = 0; c < codes.size(); ++c)
          values[c] = (book[codes[c]] - zero[groups[c]]) * scale[groups[c]];
      } else {
        for (size_t c = 0; c < codes.size(); ++c) values[c] = book[codes[c]] * scale[groups[c]];
      }
      if (!biases) continue;
      const std::span<const float> bias = biases->row(rect.row + i);
      for (size_t c = 0; c < codes.size(); ++c) values[c] += bias[groups[c]];
    }
    return Status::ok();
  }

 private:
  static Result<std::optional<GridPart>> part_of(const std::optional<Grid>& grid, const Rect& rect) {
    if (!grid) return std::optional<GridPart>();
    LLMC_ASSIGN_OR_RETURN(GridPart part, GridPart::read(*grid, rect));
    return std::optional(std::move(part));
  }

  Result<std::vector<float>> book_values() const {
    if (!layout_.book_values) return layout_.book.values;
    std::vector<float> values(size_t{1} << layout_.book.bits);
    LLMC_RETURN_IF_ERROR(layout_.book_values(0, values));
    return values;
  }

  // The column of the grids' parts for each column of `rect`.
  Result<std::vector<uint32_t>> grid_columns(const Rect& rect, uint64_t first) const {
    if (layout_.groups)
      return read_groups(*layout_.source, *layout_.groups, rect.col, rect.cols, layout_.scales.cols);
    std::vector<uint32_t> groups(rect.cols);
    for (size_t c = 0; c < groups.size(); ++c)
      groups[c] = static_cast<uint32_t>((rect.col + c) / layout_.scales.col_block - first);
    return groups;
  }

  BlockScaled layout_;
};

}  // namespace

CodeBook float_codes(Dtype dtype) {
  CodeBook book;
  book.values.resize(256);
  std::vector<uint8_t> codes(256);
  std::iota(codes.begin(), codes.end(), uint8_t{0});
  if (dtype == Dtype::kI8) {
    for (size_t i = 0; i < 256; ++i) book.values[i] = static_cast<float>(static_cast<int8_t>(codes[i]));
  } else if (!to_f32(dtype, std::as_bytes(std::span(codes)), book.values).is_ok()) {
    book.values.clear();  // of no caller: the claims look at the dtype
  }
  return book;
}

CodeBook offset_codes(uint32_t bits) {
  CodeBook book{.values = std::vector<float>(size_t{1} << bits), .bits = bits};
  std::iota(book.values.begin(), book.values.end(), -static_cast<float>(1u << (bits - 1)));
  return book;
}

CodeBook unsigned_codes(uint32_t bits) {
  CodeBook book{.values = std::vector<float>(size_t{1} << bits), .bits = bits};
  std::iota(book.values.begin(), book.values.end(), 0.0f);
  return book;
}

CodeBook e2m1_codes() {
  return {.values = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6, -0.0f, -0.5f, -1, -1.5f, -2, -3, -4, -6}, .bits = 4};
}

std::unique_ptr<StoredMatrix> block_scaled(BlockScaled layout) {
  return std::make_unique<BlockScaledMatrix>(std::move(layout));
}

}  // namespace llmcodec
