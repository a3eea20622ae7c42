// SPDX-License-Identifier: BSD-3-Clause
#include "tensor/null_sink.h"

#include "tensor/piece_tracker.h"

namespace llmcodec {
namespace {

class NullSink final : public TensorSink {
 public:
  explicit NullSink(const std::vector<TensorInfo>& tensors) : tracker_(tensors) {}
  Status write(size_t index, std::span<const std::byte> bytes) override {
    LLMC_RETURN_IF_ERROR(tracker_.accept(index, bytes.size()));
    return Status::ok();
  }
  Status finish() override { return tracker_.check_complete(); }

 private:
  PieceTracker tracker_;
};

}  // namespace

std::unique_ptr<TensorSink> create_null_sink(const std::vector<TensorInfo>& tensors) {
  return std::make_unique<NullSink>(tensors);
}

}  // namespace llmcodec
