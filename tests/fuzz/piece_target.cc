// SPDX-License-Identifier: BSD-3-Clause
// A piece of ordered work as a store may give it back: the archive is put together from it.
#include "archive/checksum.h"
#include "fuzz_target.h"
#include "llmcodec/pieces.h"
#include "small_plan.h"

namespace llmcodec {
namespace {

// All of the model is one piece.
const OrderedPieces& ordered() {
  static const OrderedPieces one = [] {
    const auto work = order_work(small_order_options("pieces"), uint64_t{1} << 20);
    fuzz_check(work.is_ok(), "work on a small model can be ordered");
    auto pieces = OrderedPieces::parse(work->order);
    fuzz_check(pieces.is_ok() && pieces->pieces().size() == 1, "and is one piece");
    return std::move(pieces).value();
  }();
  return one;
}

bool assembles(std::string_view piece) {
  const PieceReader read = [&](uint64_t) -> Result<std::vector<std::byte>> { return exact_copy(piece); };
  return fuzz_accepts(assemble(small_order_options("pieces"), ordered(), read));
}

uint64_t run(std::string_view input) {
  assembles(input);
  return 0;
}

std::vector<std::string> seeds() {
  const CompressOptions options = small_order_options("pieces");
  const PieceOptions one{.input = options.input, .control = options.control};
  const auto piece = code_piece(ordered().order_of(0), one);
  fuzz_check(piece.is_ok(), "a piece can be coded");
  const std::string seed(reinterpret_cast<const char*>(piece->data()), piece->size());
  fuzz_check(assembles(seed), "and put together");
  return {seed};
}

// The list of segments or what is behind it, with the checksum made right; sometimes the whole file.
std::string mutate(const std::string& input, uint32_t seed) {
  constexpr size_t kDigits = 32;
  const size_t first = input.find('\n');
  const size_t second = first == input.npos ? first : input.find('\n', first + 1);
  if (second == input.npos || first < kDigits || seed % 8 == 0) return mutate_bytes(input, seed / 8);
  std::string list = input.substr(first + 1, second - first - 1), content = input.substr(second + 1);
  (seed % 2 == 0 ? list : content) =
      seed % 2 == 0 ? mutate_json_text(list, seed / 8) : mutate_bytes(content, seed / 8);
  const std::string checked = list + "\n" + content;
  return input.substr(0, first - kDigits) + xxh3_128(std::as_bytes(std::span(checked))) + "\n" + checked;
}

}  // namespace

const FuzzTarget kPieceTarget = {"piece", run, seeds, mutate};

}  // namespace llmcodec
