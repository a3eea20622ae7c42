// SPDX-License-Identifier: BSD-3-Clause
// What compress() has decided before it codes the first segment, as bytes: a description of the archive whose coded
// tensors have no streams yet, their scales, the plan, and how the segments are cut into pieces. Whoever has it and the
// source can code a piece; the order of one piece holds its own tensors only.
//
// Example (CompressState& state, const std::vector<TensorSettings>& settings):
//
//   LLMC_ASSIGN_OR_RETURN(const WorkOrder order, make_order(state, settings, 32 << 20));
//   const std::vector<std::byte> bytes = order.to_bytes();
//   LLMC_ASSIGN_OR_RETURN(const WorkOrder same, WorkOrder::parse(bytes));
//   const std::vector<std::byte> first = same.of_piece(0).to_bytes();
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "archive/description.h"
#include "coding/tensor_parts.h"
#include "compress/compress_state.h"

namespace llmcodec {

// Segments [first, first + count) of a tensor, in the order of its matrices and their pictures.
struct SegmentSpan {
  std::string tensor;
  uint64_t first = 0, count = 0;
  bool operator==(const SegmentSpan&) const = default;
};
using PieceSpans = std::vector<SegmentSpan>;

struct WorkOrder {
  // Tensors stored exactly have no checksum yet, coded ones only the parts of their scales.
  Description description;
  std::string plan;  // text; empty in the order of one piece
  std::vector<std::string> notes;
  std::map<std::string, std::vector<Part>> scales;  // by coded tensor
  std::vector<PieceSpans> pieces;
  uint64_t first_piece = 0;  // number of pieces[0]
  std::string key;           // checksum of the whole order; known once it is parsed

  // Precondition of of_piece(): the order is parsed.
  WorkOrder of_piece(size_t piece) const;
  std::vector<std::byte> to_bytes() const;
  // Corrupt for what is no order, or one whose parts do not agree with each other; Unsupported for that of another version of
  // this program, which may code otherwise.
  static Result<WorkOrder> parse(std::span<const std::byte> bytes);
};

// Of a state whose tensors are fitted. Pieces have consecutive segments of about so many weights; a matrix with a closed
// loop is not cut, for every piece of it would compute the loop anew.
Result<WorkOrder> make_order(CompressState& state, const std::vector<TensorSettings>& settings,
                             uint64_t piece_weights);

// A coded tensor of an order, as fit_tensor() left it, but for what only the rate search asks for. Corrupt where the order
// does not fit the tensor.
Result<FittedTensor> ordered_tensor(const WorkOrder& order, const TensorInfo& info, size_t index,
                                    const TensorPlan& plan, const InputMoments& moments);

// What compress() works on, of the source for which the order was made, with the settings of every tensor. Io where the
// source is another one now.
Result<std::unique_ptr<CompressState>> state_of_order(Model model, const CompressOptions& options,
                                                      const WorkOrder& order,
                                                      std::vector<TensorSettings>* settings);

}  // namespace llmcodec
