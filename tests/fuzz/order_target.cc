// SPDX-License-Identifier: BSD-3-Clause
// An order of work for many machines, as a store may give it back: read, and where it is accepted, each of its pieces is
// coded, and the archive put together from them.
#include "fuzz_target.h"
#include "llmcodec/pieces.h"
#include "small_plan.h"

namespace llmcodec {
namespace {

constexpr char kOrderName[] = "llmcodec.order";

// Codes the pieces, and puts the archive together.
Result<CompressReport> carry_out(std::string_view order) {
  const CompressOptions options = small_order_options("ordered");
  LLMC_ASSIGN_OR_RETURN(const OrderedPieces ordered, OrderedPieces::parse(exact_copy(order)));
  const PieceReader code = [&](uint64_t piece) {
    PieceOptions one;
    one.input = options.input;
    one.control = options.control;
    return code_piece(ordered.order_of(piece), one);
  };
  return assemble(options, ordered, code);
}

uint64_t run(std::string_view input) {
  fuzz_accepts(carry_out(input));
  return 0;
}

std::vector<std::string> seeds() {
  std::vector<std::string> seeds;
  for (const uint64_t piece_weights : {uint64_t{1}, uint64_t{1} << 20}) {
    const auto work = order_work(small_order_options("ordered"), piece_weights);
    fuzz_check(work.is_ok(), "work on a small model can be ordered");
    seeds.emplace_back(reinterpret_cast<const char*>(work->order.data()), work->order.size());
    fuzz_check(carry_out(seeds.back()).is_ok(), "and carried out");
  }
  return seeds;
}

// The text of the order, or one of the two JSON texts in it.
std::string mutate_text(const std::string& text, uint32_t seed) {
  auto root = nlohmann::ordered_json::parse(text, nullptr, /*allow_exceptions=*/false);
  const char* inner = seed % 3 == 0 ? "plan" : "description";
  if (seed % 3 == 2 || !root.is_object() || !root.contains(inner) || !root[inner].is_string())
    return mutate_json_text(text, seed / 3);
  root[inner] = mutate_json_text(root[inner].get<std::string>(), seed / 3);
  return root.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

// The order's text, in a file whose lengths are right; sometimes the file itself.
std::string mutate(const std::string& input, uint32_t seed) {
  auto file = split_safetensors(input);
  if (!file || seed % 8 == 0 || !file->header.contains(kOrderName))
    return mutate_safetensors(input, seed / 8);
  const auto offsets = file->header[kOrderName].value("data_offsets", std::vector<uint64_t>());
  if (offsets.size() != 2 || offsets[0] != 0 || offsets[1] > file->data.size())
    return mutate_safetensors(input, seed / 8);
  const std::string text = mutate_text(file->data.substr(0, offsets[1]), seed / 8);
  const auto moved = static_cast<int64_t>(text.size()) - static_cast<int64_t>(offsets[1]);
  for (auto& [name, entry] : file->header.items()) {
    if (!entry.is_object() || !entry.contains("data_offsets")) continue;
    const auto old = entry["data_offsets"].get<std::vector<int64_t>>();
    const int64_t begin = name == kOrderName ? 0 : old.at(0) + moved;
    entry["data_offsets"] = {begin, old.at(1) + moved};
    if (name == kOrderName) entry["shape"] = {text.size()};
  }
  file->data = text + file->data.substr(offsets[1]);
  return file->joined();
}

}  // namespace

const FuzzTarget kOrderTarget = {"order", run, seeds, mutate};

}  // namespace llmcodec
