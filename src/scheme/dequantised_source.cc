// SPDX-License-Identifier: BSD-3-Clause
#include "scheme/dequantised_source.h"

#include <algorithm>
#include <cstring>
#include <unordered_map>

#include "tensor/dtype.h"

namespace llmcodec {
namespace {

constexpr uint64_t kPieceWeights = 1 << 18;  // dequantised at once: 1 MB of floats
constexpr uint64_t kBytesPerWeight = 2;      // BF16

// Weights [first, first + out.size()) of a tensor whose rows are those of the checkpoint, or cut elsewhere.
Status read_in_order(const StoredMatrix& values, uint64_t first, std::span<float> out) {
  while (!out.empty()) {
    const uint64_t row = first / values.cols(), col = first % values.cols();
    Rect rect{row, 1, col, std::min<uint64_t>(out.size(), values.cols() - col)};
    if (col == 0 && out.size() >= values.cols()) rect.rows = out.size() / values.cols();
    const auto piece = out.first(rect.rows * rect.cols);
    LLMC_RETURN_IF_ERROR(values.read(rect, piece));
    first += piece.size();
    out = out.subspan(piece.size());
  }
  return Status::ok();
}

// The same where rows of the checkpoint are columns of the tensor.
Status read_transposed(const LogicalTensor& tensor, uint64_t first, std::span<float> out) {
  const uint64_t row_weights = tensor.values->rows() / tensor.matrices;  // of the tensor
  const uint64_t matrix_rows = tensor.values->cols();
  std::vector<float> stored;
  while (!out.empty()) {
    const uint64_t row = first / row_weights, col = first % row_weights;
    const uint64_t matrix = row / matrix_rows, row_in_matrix = row % matrix_rows;
    uint64_t rows = 1, cols = std::min<uint64_t>(out.size(), row_weights - col);
    if (col == 0 && out.size() >= row_weights)
      rows = std::min(out.size() / row_weights, matrix_rows - row_in_matrix);
    stored.resize(rows * cols);
    LLMC_RETURN_IF_ERROR(
        tensor.values->read({matrix * row_weights + col, cols, row_in_matrix, rows}, stored));
    for (uint64_t r = 0; r < rows; ++r) {
      for (uint64_t c = 0; c < cols; ++c) out[r * cols + c] = stored[c * rows + r];
    }
    first += rows * cols;
    out = out.subspan(rows * cols);
  }
  return Status::ok();
}

}  // namespace

DequantisedSource::DequantisedSource(std::shared_ptr<const TensorSource> stored,
                                     std::vector<LogicalTensor> logical)
    : stored_(std::move(stored)), logical_(std::move(logical)) {
  std::unordered_map<size_t, const LogicalTensor*> owner;
  for (const LogicalTensor& tensor : logical_) {
    for (const size_t part : tensor.parts) owner[part] = &tensor;
  }
  for (size_t i = 0; i < stored_->tensors().size(); ++i) {
    const auto found = owner.find(i);
    if (found == owner.end()) {
      tensors_.push_back(stored_->tensors()[i]);
      origin_.push_back({i, nullptr});
    } else if (found->second->parts[0] == i) {
      tensors_.push_back(found->second->info);
      origin_.push_back({i, found->second});
    }
  }
}

uint64_t DequantisedSource::stored_bytes(size_t index) const {
  const auto [stored, logical] = origin_[index];
  if (logical == nullptr) return stored_->byte_size(stored);
  uint64_t bytes = 0;
  for (const size_t part : logical->parts) bytes += stored_->byte_size(part);
  return bytes;
}

Status DequantisedSource::read(size_t index, uint64_t first, std::span<std::byte> out) const {
  const auto [stored, logical] = origin_[index];
  if (logical == nullptr) return stored_->read(stored, first, out);
  std::vector<float> weights;
  std::vector<std::byte> bytes;
  while (!out.empty()) {
    // Whole weights around the bytes that are asked for.
    const uint64_t begin = first / kBytesPerWeight, skip = first % kBytesPerWeight;
    weights.resize(std::min(kPieceWeights, (skip + out.size() + 1) / kBytesPerWeight));
    bytes.resize(weights.size() * kBytesPerWeight);
    LLMC_RETURN_IF_ERROR(logical->transposed ? read_transposed(*logical, begin, weights)
                                             : read_in_order(*logical->values, begin, weights));
    LLMC_RETURN_IF_ERROR(from_f32(Dtype::kBF16, weights, bytes));
    const uint64_t count = std::min<uint64_t>(out.size(), bytes.size() - skip);
    std::memcpy(out.data(), bytes.data() + skip, count);
    first += count;
    out = out.subspan(count);
  }
  return Status::ok();
}

}  // namespace llmcodec
