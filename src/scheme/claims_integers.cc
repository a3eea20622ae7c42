// SPDX-License-Identifier: BSD-3-Clause
// Integers of a few bits: compressed-tensors, GPTQ, AWQ and bitsandbytes.
#include <algorithm>
#include <array>
#include <cstring>
#include <set>

#include "base/checked_math.h"
#include "scheme/block_scaled.h"
#include "scheme/claims.h"
#include "scheme/packed_columns.h"
#include "tensor/json_text.h"

namespace llmcodec {
namespace {

bool is_matrix(const TensorInfo& info, Dtype dtype) {
  return info.dtype == dtype && info.shape.size() == 2;
}

// The true shape of a packed tensor, which may be padded: two I64 or I32.
Result<std::vector<uint64_t>> read_shape(const StoredNames& names, size_t tensor) {
  const TensorInfo& info = names.info(tensor);
  const bool wide = info.dtype == Dtype::kI64;
  std::array<std::byte, 16> bytes{};
  const uint64_t size = wide ? 16 : 8;
  if (info.shape != std::vector<uint64_t>{2} || (!wide && info.dtype != Dtype::kI32))
    return names.misfit(tensor, "is no shape of a matrix");
  LLMC_RETURN_IF_ERROR(names.source().read(tensor, 0, std::span(bytes).first(size)));
  std::array<uint64_t, 2> shape{};
  std::array<uint32_t, 2> narrow{};
  std::memcpy(wide ? static_cast<void*>(shape.data()) : static_cast<void*>(narrow.data()), bytes.data(),
              size);
  return wide ? std::vector<uint64_t>(shape.begin(), shape.end())
              : std::vector<uint64_t>(narrow.begin(), narrow.end());
}

// How integers lie in 32-bit words: one after the other over the ends of words, or so many in each.
struct Packing {
  uint32_t bits = 4, per_word = 0;  // per_word 0: over the ends

  uint64_t words(uint64_t count) const {
    return per_word == 0 ? ceil_div(count * bits, 32) : ceil_div(count, per_word);
  }
  uint64_t first_bit(uint64_t i) const {
    return per_word == 0 ? i * bits : i / per_word * 32 + i % per_word * bits;
  }
};

// Bits that compressed-tensors declares for weights, of all groups of layers; empty where it declares none.
std::set<uint64_t> declared_bits(const DeclaredScheme& declared) {
  std::set<uint64_t> bits;
  const auto groups = declared.config.find("config_groups");
  if (groups == declared.config.end() || !groups->is_object()) return bits;
  for (const auto& [name, group] : groups->items()) {
    if (!group.is_object() || !group.contains("weights") || !group["weights"].is_object()) continue;
    const auto number = group["weights"].find("num_bits");
    if (number != group["weights"].end() && number->is_number_unsigned())
      bits.insert(number->get<uint64_t>());
  }
  return bits;
}

// Until version 0.15 or so compressed-tensors filled no word over its end: 3 bits ten times, 7 bits four times, as 8 bits
// are. nullopt where no packing has so many words, or several have and no config says which.
std::optional<Packing> packing_of(uint64_t words, uint64_t count, const std::set<uint64_t>& declared) {
  std::optional<Packing> found;
  for (const uint32_t per_word : {0u, 10u, 6u, 5u, 4u}) {
    for (uint32_t bits = 2; bits <= 8; ++bits) {
      if (per_word != 0 && (32 / bits != per_word || 32 % bits == 0)) continue;
      const Packing packing{bits, per_word};
      const bool asked = declared.empty() ? bits != 7 || per_word == 0 : declared.contains(bits);
      if (!asked || count > words * 32 || packing.words(count) != words) continue;
      if (found) return std::nullopt;
      found = packing;
    }
  }
  return found;
}

// Whether no word has one of its highest four bits: seven bits, four to a word, and not eight.
Result<bool> may_be_seven_bits(const StoredNames& names, size_t codes) {
  std::vector<uint32_t> words(std::min<uint64_t>(names.info(codes).elements(), 1024));
  LLMC_RETURN_IF_ERROR(read_words(names.source(), codes, 0, words));
  return std::ranges::all_of(words, [](uint32_t word) { return word >> 28 == 0; });
}

// Zeros packed down the rows, as offset codes.
ValueReader packed_zeros(const TensorSource& source, size_t tensor, uint64_t cols, Packing packing) {
  return [&source, tensor, cols, packing](uint64_t first, std::span<float> out) -> Status {
    std::vector<uint32_t> words, next;
    while (!out.empty()) {
      const uint64_t row = first / cols, col = first % cols;
      const auto piece = out.first(std::min<uint64_t>(out.size(), cols - col));
      const uint64_t bit = packing.first_bit(row);
      const uint32_t shift = static_cast<uint32_t>(bit % 32);
      words.resize(piece.size());
      next.assign(piece.size(), 0);
      LLMC_RETURN_IF_ERROR(read_words(source, tensor, bit / 32 * cols + col, words));
      if (shift + packing.bits > 32)
        LLMC_RETURN_IF_ERROR(read_words(source, tensor, (bit / 32 + 1) * cols + col, next));
      for (size_t i = 0; i < piece.size(); ++i) {
        const uint64_t both = words[i] | static_cast<uint64_t>(next[i]) << 32;
        const auto code = static_cast<uint32_t>(both >> shift) & ((1u << packing.bits) - 1);
        piece[i] = static_cast<float>(code) - static_cast<float>(1u << (packing.bits - 1));
      }
      first += piece.size();
      out = out.subspan(piece.size());
    }
    return Status::ok();
  };
}

// Bits of GPTQ's codes such that `count` of them fill `words`: as declared, or else 4, 8, 2 or 3; 0 for no such number.
uint32_t bits_of(uint64_t words, uint64_t count, uint64_t declared) {
  if (count > words * 32) return 0;
  for (const uint32_t bits : {4u, 8u, 2u, 3u}) {
    if ((declared == 0 || declared == bits) && ceil_div(count * bits, 32) == words) return bits;
  }
  return 0;
}

// The JSON that bitsandbytes keeps as U8 beside the codes.
Result<nlohmann::json> read_quant_state(const StoredNames& names, size_t tensor) {
  constexpr uint64_t kMaxStateBytes = 1 << 16;
  if (names.info(tensor).elements() > kMaxStateBytes)
    return names.misfit(tensor, "is no state of bitsandbytes");
  std::vector<std::byte> bytes(names.source().byte_size(tensor));
  LLMC_RETURN_IF_ERROR(names.source().read(tensor, 0, bytes));
  const std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  auto state = parse_json_value<nlohmann::json>(text);
  if (!state.is_ok()) return std::move(state).error().in_tensor(names.info(tensor).name);
  if (!state->is_object()) return names.misfit(tensor, "is no state of bitsandbytes");
  return state;
}

// The state's fields, which are a stranger's.
struct QuantState {
  std::vector<uint64_t> shape;
  uint64_t block = 0, nested_block = 0;
  double nested_offset = 0;

  static QuantState of(const nlohmann::json& state) {
    QuantState found;
    const auto number = [&](const char* field) {
      const auto at = state.find(field);
      return at != state.end() && at->is_number() ? at->get<double>() : 0.0;
    };
    const auto count = [&](const char* field) {
      const double value = number(field);
      return value >= 1 && value <= 1 << 20 ? static_cast<uint64_t>(value) : 0;
    };
    found.block = count("blocksize");
    found.nested_block = count("nested_blocksize");
    found.nested_offset = number("nested_offset");
    const auto shape = state.find("shape");
    if (shape == state.end() || !shape->is_array()) return found;
    for (const nlohmann::json& side : *shape) {
      if (!side.is_number_unsigned()) return found;
      found.shape.push_back(side);
    }
    return found;
  }
};

// absmax, which is quantised itself where there is a nested one: book[code] * scale of its block + offset.
ValueReader nested_values(const StoredNames& names, size_t codes, size_t book, size_t scales,
                          const QuantState& state) {
  const TensorSource& source = names.source();
  return [&source, codes, book = plain_values(source, book), scales = plain_values(source, scales),
          block = state.nested_block,
          offset = static_cast<float>(state.nested_offset)](uint64_t first, std::span<float> out) -> Status {
    std::vector<uint8_t> bytes(out.size());
    LLMC_RETURN_IF_ERROR(source.read(codes, first, std::as_writable_bytes(std::span(bytes))));
    std::vector<float> values(256);
    LLMC_RETURN_IF_ERROR(book(0, values));
    const uint64_t from = first / block;
    std::vector<float> scale((first + out.size() - 1) / block - from + 1);
    LLMC_RETURN_IF_ERROR(scales(from, scale));
    for (size_t i = 0; i < out.size(); ++i)
      out[i] = values[bytes[i]] * scale[(first + i) / block - from] + offset;
    return Status::ok();
  };
}

Claim claim_of(TensorInfo info, std::vector<size_t> parts, std::unique_ptr<StoredMatrix> values,
               SourceScheme scheme, std::string words) {
  Claim claim;
  claim.tensor.info = std::move(info);
  claim.tensor.parts = std::move(parts);
  claim.tensor.values = std::move(values);
  claim.tensor.format.scheme = scheme;
  claim.scheme = std::move(words);
  return claim;
}

}  // namespace

MaybeClaim claim_packed_integers(const StoredNames& names, size_t codes, const DeclaredScheme& declared) {
  const TensorInfo& info = names.info(codes);
  if (!info.name.ends_with(".weight_packed") || !is_matrix(info, Dtype::kI32)) return std::optional<Claim>();
  const std::string module = module_of(info.name);
  const auto scale = names.find(module + ".weight_scale"), shape_of = names.find(module + ".weight_shape");
  if (!scale || !shape_of || !dtype_info(names.info(*scale).dtype).floating) return std::optional<Claim>();
  LLMC_ASSIGN_OR_RETURN(const std::vector<uint64_t> shape, read_shape(names, *shape_of));
  const std::set<uint64_t> known_bits = declared_bits(declared);
  const auto packing = packing_of(info.shape[1], shape[1], known_bits);
  if (shape[0] != info.shape[0] || !packing) return std::optional<Claim>();
  if (packing->bits == 8 && known_bits.empty()) {
    LLMC_ASSIGN_OR_RETURN(const bool seven, may_be_seven_bits(names, codes));
    if (seven)
      return names.misfit(codes,
                          "compressed-tensors' integers of 7 or of 8 bits, which only a config.json "
                          "tells apart, and there is none; give the folder, or keep all (--keep .)");
  }
  auto grid = fit_grid(names.info(*scale).shape, shape);
  if (!grid) return std::optional<Claim>();
  grid->values = plain_values(names.source(), *scale);
  std::vector<size_t> parts = {codes, *scale, *shape_of};
  BlockScaled layout{.source = &names.source(),
                     .codes = codes,
                     .rows = shape[0],
                     .cols = shape[1],
                     .row_bytes = info.shape[1] * 4,
                     .book = offset_codes(packing->bits),
                     .scales = *grid};
  layout.book.per_word = packing->per_word;
  if (const auto zero = names.find(module + ".weight_zero_point")) {
    const std::vector<uint64_t> packed = {packing->words(grid->rows), grid->cols};
    if (!is_matrix(names.info(*zero), Dtype::kI32) || names.info(*zero).shape != packed)
      return std::optional<Claim>();
    layout.zeros = *grid;
    layout.zeros->values = packed_zeros(names.source(), *zero, grid->cols, *packing);
    parts.push_back(*zero);
  }
  if (const auto groups = names.find(module + ".weight_g_idx")) {
    if (names.info(*groups).dtype != Dtype::kI32 ||
        names.info(*groups).shape != std::vector<uint64_t>{shape[1]})
      return std::optional<Claim>();
    layout.groups = *groups;
    parts.push_back(*groups);
  }
  add_companions(names, module, &parts);
  return std::optional(claim_of({module + ".weight", Dtype::kBF16, shape}, std::move(parts),
                                block_scaled(std::move(layout)), SourceScheme::kPackedIntegers,
                                fmt::format("compressed-tensors' {}-bit integers", packing->bits)));
}

MaybeClaim claim_gptq_or_awq(const StoredNames& names, size_t codes, const DeclaredScheme& declared) {
  const TensorInfo& info = names.info(codes);
  if (!info.name.ends_with(".qweight") || !is_matrix(info, Dtype::kI32)) return std::optional<Claim>();
  const std::string module = module_of(info.name);
  const auto zeros = names.find(module + ".qzeros"), scales = names.find(module + ".scales");
  if (!zeros || !scales || !is_matrix(names.info(*zeros), Dtype::kI32)) return std::optional<Claim>();
  const std::vector<uint64_t>& grid = names.info(*scales).shape;
  if (grid.size() != 2 || !dtype_info(names.info(*scales).dtype).floating) return std::optional<Claim>();
  PackedColumns layout{.source = &names.source(),
                       .codes = codes,
                       .zeros = *zeros,
                       .scales = *scales,
                       .outputs = grid[1],
                       .groups = grid[0]};
  if (layout.outputs == 0 || layout.groups == 0 || names.info(*zeros).shape[0] != layout.groups)
    return std::optional<Claim>();
  layout.bits = bits_of(names.info(*zeros).shape[1], layout.outputs, declared.count("bits"));
  if (layout.bits == 0) return std::optional<Claim>();
  const bool gptq = info.shape[1] == layout.outputs;
  layout.packing = gptq ? ColumnPacking::kGptq : ColumnPacking::kAwq;
  layout.inputs = gptq ? info.shape[0] * 32 / layout.bits : info.shape[0];
  if (!gptq && (layout.bits != 4 || info.shape[1] * 8 != layout.outputs)) return std::optional<Claim>();
  layout.group_size = ceil_div(layout.inputs, layout.groups);
  layout.zero_minus_one = gptq && declared.text("checkpoint_format", "gptq") != "gptq_v2";
  std::vector<size_t> parts = {codes, *zeros, *scales};
  if (const auto groups = names.find(module + ".g_idx")) {
    if (names.info(*groups).dtype != Dtype::kI32 ||
        names.info(*groups).shape != std::vector<uint64_t>{layout.inputs})
      return std::optional<Claim>();
    layout.group_of_input = *groups;
    parts.push_back(*groups);
  }
  Claim claim =
      claim_of({module + ".weight", Dtype::kBF16, {layout.outputs, layout.inputs}}, std::move(parts),
               packed_columns(layout), gptq ? SourceScheme::kGptq : SourceScheme::kAwq,
               fmt::format("{} of {} bits", gptq ? "GPTQ" : "AWQ", layout.bits));
  claim.tensor.transposed = true;
  return std::optional(std::move(claim));
}

MaybeClaim claim_bitsandbytes(const StoredNames& names, size_t codes) {
  const TensorInfo& info = names.info(codes);
  if (info.dtype != Dtype::kU8) return std::optional<Claim>();
  const auto state_of = names.first(
      {info.name + ".quant_state.bitsandbytes__nf4", info.name + ".quant_state.bitsandbytes__fp4"});
  const auto absmax = names.find(info.name + ".absmax"), book = names.find(info.name + ".quant_map");
  if (!state_of || !absmax || !book || names.info(*book).elements() != 16) return std::optional<Claim>();
  LLMC_ASSIGN_OR_RETURN(const nlohmann::json json, read_quant_state(names, *state_of));
  const QuantState state = QuantState::of(json);
  const uint64_t weights = checked_product(state.shape).value_or(0);
  if (state.shape.size() < 2 || state.block == 0 || ceil_div(weights, 2) != info.elements() ||
      ceil_div(weights, state.block) != names.info(*absmax).elements())
    return std::optional<Claim>();
  std::vector<size_t> parts = {codes, *absmax, *book, *state_of};
  ValueReader scales = plain_values(names.source(), *absmax);
  const auto nested = names.find(info.name + ".nested_absmax"),
             nested_book = names.find(info.name + ".nested_quant_map");
  if (names.info(*absmax).dtype == Dtype::kU8) {
    if (!nested || !nested_book || state.nested_block == 0 || names.info(*nested_book).elements() != 256 ||
        names.info(*nested).elements() != ceil_div(names.info(*absmax).elements(), state.nested_block))
      return std::optional<Claim>();
    scales = nested_values(names, *absmax, *nested_book, *nested, state);
    parts.insert(parts.end(), {*nested, *nested_book});
  }
  // Blocks run over the ends of rows, so that all weights are one row.
  Grid grid{.values = std::move(scales), .cols = names.info(*absmax).elements(), .col_block = state.block};
  CodeBook halves;
  halves.bits = 4;
  halves.high_first = true;
  BlockScaled layout{.source = &names.source(),
                     .codes = codes,
                     .rows = 1,
                     .cols = weights,
                     .row_bytes = info.elements(),
                     .book = std::move(halves),
                     .book_values = plain_values(names.source(), *book),
                     .scales = std::move(grid)};
  const char* const scheme =
      names.info(*state_of).name.ends_with("nf4") ? "bitsandbytes NF4" : "bitsandbytes FP4";
  return std::optional(claim_of({info.name, Dtype::kBF16, state.shape}, std::move(parts),
                                block_scaled(std::move(layout)), SourceScheme::kBitsandbytes, scheme));
}

}  // namespace llmcodec
