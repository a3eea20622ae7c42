// SPDX-License-Identifier: BSD-3-Clause
// compress(), decompress() and verify() cut into pieces that several machines work on (docs/cluster.md). What is put together
// in the end has the bytes that one machine would have written.
//
// Example (const CompressOptions& options, std::map<uint64_t, std::vector<std::byte>> pieces):
//
//   LLMC_ASSIGN_OR_RETURN(const OrderedWork work, order_work(options, 32 << 20));   // plan and rate search
//   LLMC_ASSIGN_OR_RETURN(const OrderedPieces ordered, OrderedPieces::parse(work.order));
//   for (size_t i = 0; i < ordered.pieces().size(); ++i) {
//     // Anywhere, in any order:
//     LLMC_ASSIGN_OR_RETURN(pieces[i], code_piece(ordered.order_of(i), {.input = options.input, .hessian = options.hessian}));
//   }
//   const PieceReader read = [&](uint64_t piece) -> Result<std::vector<std::byte>> { return pieces.at(piece); };
//   LLMC_ASSIGN_OR_RETURN(const CompressReport report, assemble(options, ordered, read));
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "llmcodec/model.h"
#include "llmcodec/status.h"

namespace llmcodec {

struct OrderedWork {
  std::vector<std::byte> order;
  PlanReport report;
};
// All that compress() does before it codes the first segment. Pieces have about `piece_weights` weights each, at least one
// segment; where the quantisation loop is closed, at least one matrix. Errors as compress().
Result<OrderedWork> order_work(const CompressOptions& options, uint64_t piece_weights);

struct PieceInfo {
  std::string name;        // of its tensors, for people
  uint64_t weights = 0;    // about
  uint64_t loops = 0;      // matrices whose quantisation loop is closed,
  uint64_t loop_cols = 0;  // and the side of the largest matrix of second moments that these need
};

struct WorkOrder;

// An order of work that was read back. Thread-safe; copies share it.
class OrderedPieces {
 public:
  // Corrupt for what is no order, Unsupported for that of another version of this program.
  static Result<OrderedPieces> parse(std::span<const std::byte> order);
  const std::vector<PieceInfo>& pieces() const { return pieces_; }
  // All that code_piece() needs to know of it.
  std::vector<std::byte> order_of(size_t piece) const;
  const WorkOrder& content() const { return *order_; }

 private:
  explicit OrderedPieces(std::shared_ptr<const WorkOrder> order) : order_(std::move(order)) {}
  std::shared_ptr<const WorkOrder> order_;
  std::vector<PieceInfo> pieces_;
};

struct PieceOptions {
  std::string input;         // the model, as it was when the work was ordered
  std::string hessian = {};  // the file of second moments, where the order was made with one
  Control control = {};
};
// Codes the piece of such an order. Unsupported where this machine has other versions of this program or of a codec than
// the one that ordered the work: it might write other bytes.
Result<std::vector<std::byte>> code_piece(std::span<const std::byte> order, const PieceOptions& options);

using PieceReader = std::function<Result<std::vector<std::byte>>(uint64_t piece)>;
// What compress() does from then on, with the options for which the work was ordered. `read` is asked for each piece once,
// in their order. Corrupt for one that was cut or changed or is of another order, Io for a source that is another one now;
// an error of `read` goes on.
Result<CompressReport> assemble(const CompressOptions& options, const OrderedPieces& ordered,
                                const PieceReader& read);

// How a model that decompress() would restore is divided: into the files of its weights, or, where these cannot be written
// alone (one file, a GGUF model, --as-source), not at all: `files` is empty then.
struct RestoredFiles {
  struct File {
    std::string name;  // relative to the model's folder
    uint64_t bytes = 0;
    uint64_t parameters = 0;
  };
  std::vector<File> files;
};
Result<RestoredFiles> restored_files(const DecompressOptions& options);
// Writes the weights of one of these files to options.output, a file.
Status restore_file(const DecompressOptions& options, size_t file);
// Writes what is in the restored folder besides them, the index and carried files, into the folder options.output.
Status restore_rest(const DecompressOptions& options);

// The tensors of an archive in the order in which verify() looks at them.
struct VerifyTensor {
  std::string name;
  uint64_t elements = 0;
  bool coded = false;
};
// Checks all but the tensors, as verify() does, and tells which these are.
Result<std::vector<VerifyTensor>> verify_rest(const VerifyOptions& options);
// Checks tensors [first, first + count). options.against must be empty.
Status verify_tensors(const VerifyOptions& options, size_t first, size_t count);

}  // namespace llmcodec
