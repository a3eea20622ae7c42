// SPDX-License-Identifier: BSD-3-Clause
#include "scheme/packed_columns.h"

#include <algorithm>
#include <array>

#include "base/checked_math.h"

namespace llmcodec {
namespace {

// Where AWQ puts each of eight outputs in a word.
constexpr std::array<uint32_t, 8> kAwqPlace = {0, 4, 1, 5, 2, 6, 3, 7};

// The code at bit `bit` of a stream of words, each `stride` words after the one before; codes of three bits cross words.
uint32_t code_at(const uint32_t* words, uint64_t stride, uint64_t bit, uint32_t bits) {
  const uint32_t shift = static_cast<uint32_t>(bit % 32);
  uint64_t both = words[bit / 32 * stride];
  if (shift + bits > 32) both |= static_cast<uint64_t>(words[(bit / 32 + 1) * stride]) << 32;
  return static_cast<uint32_t>(both >> shift) & ((1u << bits) - 1);
}

class PackedColumnsMatrix final : public StoredMatrix {
 public:
  explicit PackedColumnsMatrix(PackedColumns layout)
      : StoredMatrix(layout.inputs, layout.outputs), layout_(layout) {}

  Status read(const Rect& rect, std::span<float> out) const override {
    LLMC_ASSIGN_OR_RETURN(const std::vector<uint32_t> groups, groups_of(rect));
    const auto [least, most] = std::ranges::minmax(groups);
    std::vector<float> scales, zeros;
    LLMC_RETURN_IF_ERROR(read_grid(rect, least, most, &scales, &zeros));
    std::vector<uint32_t> codes(rect.rows * rect.cols);
    LLMC_RETURN_IF_ERROR(layout_.packing == ColumnPacking::kGptq ? read_along_inputs(rect, codes)
                                                                 : read_along_outputs(rect, codes));
    for (uint64_t i = 0; i < rect.rows; ++i) {
      const uint64_t at = (groups[i] - least) * rect.cols;
      for (uint64_t c = 0; c < rect.cols; ++c) {
        const uint64_t k = i * rect.cols + c;
        out[k] = (static_cast<float>(codes[k]) - zeros[at + c]) * scales[at + c];
      }
    }
    return Status::ok();
  }

 private:
  Result<std::vector<uint32_t>> groups_of(const Rect& rect) const {
    if (layout_.group_of_input)
      return read_groups(*layout_.source, *layout_.group_of_input, rect.row, rect.rows, layout_.groups);
    std::vector<uint32_t> groups(rect.rows);
    for (size_t i = 0; i < groups.size(); ++i)
      groups[i] = static_cast<uint32_t>((rect.row + i) / layout_.group_size);
    return groups;
  }

  // Columns `rect` of the groups least to most.
  Status read_grid(const Rect& rect, uint32_t least, uint32_t most, std::vector<float>* scales,
                   std::vector<float>* zeros) const {
    scales->resize((most - least + 1) * rect.cols);
    zeros->resize(scales->size());
    std::vector<uint32_t> codes(rect.cols);
    for (uint32_t g = least; g <= most; ++g) {
      const uint64_t at = (g - least) * rect.cols;
      LLMC_RETURN_IF_ERROR(layout_.source->read_f32(layout_.scales, g * layout_.outputs + rect.col,
                                                    std::span(*scales).subspan(at, rect.cols)));
      LLMC_RETURN_IF_ERROR(read_row(layout_.zeros, g, rect, codes));
      const uint32_t plus = layout_.zero_minus_one ? 1 : 0;
      for (uint64_t c = 0; c < rect.cols; ++c) (*zeros)[at + c] = static_cast<float>(codes[c] + plus);
    }
    return Status::ok();
  }

  Status read_along_inputs(const Rect& rect, std::span<uint32_t> codes) const {
    const uint64_t first = rect.row * layout_.bits / 32;
    const uint64_t end = ceil_div((rect.row + rect.rows) * layout_.bits, 32);
    std::vector<uint32_t> words((end - first) * rect.cols);
    for (uint64_t w = first; w < end; ++w)
      LLMC_RETURN_IF_ERROR(read_words(*layout_.source, layout_.codes, w * layout_.outputs + rect.col,
                                      std::span(words).subspan((w - first) * rect.cols, rect.cols)));
    for (uint64_t i = 0; i < rect.rows; ++i) {
      const uint64_t bit = (rect.row + i) * layout_.bits - first * 32;
      for (uint64_t c = 0; c < rect.cols; ++c)
        codes[i * rect.cols + c] = code_at(words.data() + c, rect.cols, bit, layout_.bits);
    }
    return Status::ok();
  }

  Status read_along_outputs(const Rect& rect, std::span<uint32_t> codes) const {
    for (uint64_t i = 0; i < rect.rows; ++i)
      LLMC_RETURN_IF_ERROR(
          read_row(layout_.codes, rect.row + i, rect, codes.subspan(i * rect.cols, rect.cols)));
    return Status::ok();
  }

  // Columns `rect` of a row that is packed along the outputs.
  Status read_row(size_t tensor, uint64_t row, const Rect& rect, std::span<uint32_t> codes) const {
    const uint64_t row_words = ceil_div(layout_.outputs * layout_.bits, 32);
    const uint64_t first = rect.col * layout_.bits / 32;
    const uint64_t end = ceil_div((rect.col + rect.cols) * layout_.bits, 32);
    std::vector<uint32_t> words(end - first);
    LLMC_RETURN_IF_ERROR(read_words(*layout_.source, tensor, row * row_words + first, words));
    for (uint64_t c = 0; c < rect.cols; ++c) {
      const uint64_t col = rect.col + c;
      codes[c] = layout_.packing == ColumnPacking::kGptq
                     ? code_at(words.data(), 1, col * layout_.bits - first * 32, layout_.bits)
                     : (words[col / 8 - first] >> (4 * kAwqPlace[col % 8])) & 15;
    }
    return Status::ok();
  }

  PackedColumns layout_;
};

}  // namespace

std::unique_ptr<StoredMatrix> packed_columns(PackedColumns layout) {
  return std::make_unique<PackedColumnsMatrix>(layout);
}

}  // namespace llmcodec
