// SPDX-License-Identifier: BSD-3-Clause
#include "compress/work_order.h"

#include <algorithm>
#include <array>
#include <set>

#include "archive/packing.h"
#include "archive/part_names.h"
#include "base/checked_math.h"
#include "base/error.h"
#include "llmcodec/version.h"
#include "plan/plan_file.h"
#include "tensor/json_text.h"
#include "tensor/tensor_role.h"

namespace llmcodec {
namespace {

using nlohmann::json;

constexpr char kOrderName[] = "llmcodec.order";  // no tensor of a model begins so
constexpr int kVersion = 1;

Error bad(const char* what) {
  return error(ErrorKind::kCorrupt, "the work order lacks a valid {}", what);
}

json pieces_to_json(const std::vector<PieceSpans>& pieces) {
  json all = json::array();
  for (const PieceSpans& piece : pieces) {
    json spans = json::array();
    for (const SegmentSpan& span : piece) spans.push_back({span.tensor, span.first, span.count});
    all.push_back(std::move(spans));
  }
  return all;
}

Result<SegmentSpan> span_from_json(const json& value) {
  if (!value.is_array() || value.size() != 3 || !value[0].is_string() || !value[1].is_number_unsigned() ||
      !value[2].is_number_unsigned())
    return bad("list of pieces");
  return SegmentSpan{value[0].get<std::string>(), value[1].get<uint64_t>(), value[2].get<uint64_t>()};
}

Result<std::vector<PieceSpans>> pieces_from_json(const json& value) {
  if (!value.is_array()) return bad("list of pieces");
  std::vector<PieceSpans> pieces;
  for (const json& given : value) {
    if (!given.is_array() || given.empty()) return bad("list of pieces");
    PieceSpans piece;
    for (const json& span : given) {
      LLMC_ASSIGN_OR_RETURN(SegmentSpan parsed, span_from_json(span));
      piece.push_back(std::move(parsed));
    }
    pieces.push_back(std::move(piece));
  }
  return pieces;
}

struct NamedBytes {
  std::string name;
  std::span<const std::byte> bytes;
};

// One safetensors file in memory: the JSON text, and a tensor of bytes for each part of scales.
std::vector<std::byte> container_of(const std::vector<NamedBytes>& content) {
  std::vector<SafetensorsEntry> entries;
  uint64_t end = 0;
  for (const NamedBytes& item : content) {
    entries.push_back({{item.name, Dtype::kU8, {item.bytes.size()}}, end, end + item.bytes.size()});
    end += item.bytes.size();
  }
  const auto header = safetensors_header(entries, {});  // names were a model's, or are ours
  std::vector<std::byte> bytes;
  if (!header.is_ok()) return bytes;
  const auto head = std::as_bytes(std::span(*header));
  bytes.reserve(head.size() + end);
  bytes.insert(bytes.end(), head.begin(), head.end());
  for (const NamedBytes& item : content) bytes.insert(bytes.end(), item.bytes.begin(), item.bytes.end());
  return bytes;
}

using Content = std::map<std::string, std::span<const std::byte>>;

Result<Content> content_of(std::span<const std::byte> bytes) {
  LLMC_ASSIGN_OR_RETURN(const SafetensorsHeader header, parse_safetensors_header(bytes, bytes.size()));
  Content content;
  for (const SafetensorsEntry& entry : header.entries)
    content[entry.info.name] = bytes.subspan(header.data_start + entry.begin, entry.end - entry.begin);
  return content;
}

Result<std::string> text_of(const json& root, const char* name) {
  if (!root.contains(name) || !root[name].is_string()) return bad(name);
  return root[name].get<std::string>();
}

Status read_text(std::string_view text, WorkOrder* order) {
  LLMC_ASSIGN_OR_RETURN(const json root, parse_json_value<json>(text, RepeatedKeys::kRefuse));
  if (!root.is_object() || !root.contains("llmcodec_order")) return bad("version");
  LLMC_ASSIGN_OR_RETURN(const std::string description, text_of(root, "description"));
  LLMC_ASSIGN_OR_RETURN(order->description, parse_description(description));
  const std::string own = std::string("llmcodec ") + LLMCODEC_VERSION;
  if (root["llmcodec_order"] != kVersion || order->description.writer != own)
    return error(ErrorKind::kUnsupported,
                 "the work was ordered by {}, and this is {}: use one version on all machines",
                 order->description.writer, own);
  LLMC_ASSIGN_OR_RETURN(order->plan, text_of(root, "plan"));
  LLMC_ASSIGN_OR_RETURN(order->key, text_of(root, "key"));
  if (!root.contains("notes") || !root["notes"].is_array()) return bad("list of notes");
  for (const json& note : root["notes"]) {
    if (!note.is_string()) return bad("list of notes");
    order->notes.push_back(note.get<std::string>());
  }
  if (!root.contains("first_piece") || !root["first_piece"].is_number_unsigned()) return bad("first piece");
  order->first_piece = root["first_piece"].get<uint64_t>();
  if (!root.contains("pieces")) return bad("list of pieces");
  LLMC_ASSIGN_OR_RETURN(order->pieces, pieces_from_json(root["pieces"]));
  return Status::ok();
}

Status read_scales(const Content& content, WorkOrder* order) {
  for (const auto& [name, record] : order->description.tensors) {
    for (const auto& [part, said] : record.parts) {
      const auto found = content.find(name + "." + part);
      if (found == content.end() || found->second.size() != said.bytes ||
          xxh3_128(found->second) != said.xxh3_128)
        return error(ErrorKind::kCorrupt, "the work order has no sound part '{}'", part).in_tensor(name);
      order->scales[name].push_back({part, {found->second.begin(), found->second.end()}});
    }
    // The writing order is that of scales_to_parts(), which a map does not keep.
    const auto rank = [](const Part& part) {
      constexpr std::array kOrder = {part_name::kRowScale, part_name::kColScale, part_name::kGroupScale,
                                     part_name::kZero};
      return std::ranges::find(kOrder, part.name, [](const char* known) { return std::string_view(known); }) -
             kOrder.begin();
    };
    std::ranges::sort(order->scales[name], {}, rank);
  }
  return Status::ok();
}

// Every span is of a tensor that is there, and inside it.
Status check_pieces(const WorkOrder& order) {
  for (const PieceSpans& piece : order.pieces) {
    for (const SegmentSpan& span : piece) {
      const auto record = order.description.tensors.find(span.tensor);
      if (record == order.description.tensors.end()) return bad("list of pieces");
      LLMC_ASSIGN_OR_RETURN(const TensorRecipe recipe, recipe_before_coding(record->second));
      const auto all = checked_mul(recipe.segments_per_matrix(), record->second.matrices);
      if (!all || span.count == 0 || span.first > *all || span.count > *all - span.first)
        return error(ErrorKind::kCorrupt, "the work order asks for segments that are not there")
            .in_tensor(span.tensor);
    }
  }
  return Status::ok();
}

}  // namespace

WorkOrder WorkOrder::of_piece(size_t piece) const {
  WorkOrder one;
  one.description.writer = description.writer;
  one.description.source_kind = description.source_kind;
  for (const SegmentSpan& span : pieces[piece]) {
    one.description.tensors[span.tensor] = description.tensors.at(span.tensor);
    one.scales[span.tensor] = scales.at(span.tensor);
  }
  one.pieces = {pieces[piece]};
  one.first_piece = first_piece + piece;
  one.key = key;
  return one;
}

std::vector<std::byte> WorkOrder::to_bytes() const {
  const json root = {{"llmcodec_order", kVersion},
                     {"description", to_text(description)},
                     {"plan", plan},
                     {"notes", notes},
                     {"pieces", pieces_to_json(pieces)},
                     {"first_piece", first_piece},
                     {"key", key}};
  const std::string text = root.dump(-1, ' ', false, json::error_handler_t::replace);
  std::vector<NamedBytes> content = {{kOrderName, std::as_bytes(std::span(text))}};
  for (const auto& [name, parts] : scales) {
    for (const Part& part : parts) content.push_back({name + "." + part.name, part.bytes});
  }
  return container_of(content);
}

Result<WorkOrder> WorkOrder::parse(std::span<const std::byte> bytes) {
  LLMC_ASSIGN_OR_RETURN(const Content content, content_of(bytes));
  const auto text = content.find(kOrderName);
  if (text == content.end()) return error(ErrorKind::kCorrupt, "is no work order of llmcodec cluster");
  WorkOrder order;
  LLMC_RETURN_IF_ERROR(
      read_text({reinterpret_cast<const char*>(text->second.data()), text->second.size()}, &order));
  LLMC_RETURN_IF_ERROR(read_scales(content, &order));
  LLMC_RETURN_IF_ERROR(check_pieces(order));
  if (order.key.empty()) order.key = xxh3_128(bytes);
  return order;
}

namespace {

// The units of a tensor into which pieces may be cut.
struct Units {
  uint64_t count = 0, segments = 0;  // of each
  double weights = 0;                // of each, about
};

Units units_of(const FittedTensor& tensor, const TensorRecipe& recipe) {
  const uint64_t per_matrix = recipe.segments_per_matrix();
  const auto matrix = static_cast<double>(tensor.shape.rows * tensor.shape.cols);
  if (tensor.hessian_group) return {tensor.shape.matrices, per_matrix, matrix};
  return {tensor.shape.matrices * per_matrix, 1, matrix / static_cast<double>(per_matrix)};
}

class Cutter {
 public:
  explicit Cutter(uint64_t most) : most_(static_cast<double>(most)) {}
  void add(const std::string& tensor, const Units& units) {
    for (uint64_t unit = 0; unit < units.count;) {
      const double room = most_ - weights_;
      const auto fits = static_cast<uint64_t>(std::max(0.0, room / units.weights));
      if (fits == 0 && !piece_.empty()) {
        end_piece();
        continue;
      }
      const uint64_t taken = std::clamp<uint64_t>(fits, 1, units.count - unit);
      piece_.push_back({tensor, unit * units.segments, taken * units.segments});
      weights_ += static_cast<double>(taken) * units.weights;
      unit += taken;
    }
  }
  std::vector<PieceSpans> take() {
    if (!piece_.empty()) end_piece();
    return std::move(pieces_);
  }

 private:
  void end_piece() {
    pieces_.push_back(std::move(piece_));
    piece_.clear();
    weights_ = 0;
  }
  const double most_;
  double weights_ = 0;
  PieceSpans piece_;
  std::vector<PieceSpans> pieces_;
};

}  // namespace

Result<WorkOrder> make_order(CompressState& state, const std::vector<TensorSettings>& settings,
                             uint64_t piece_weights) {
  WorkOrder order;
  order.description = state.description;
  order.plan = plan_to_text(state.plan, settings);
  order.notes = state.notes;
  Cutter cutter(piece_weights);
  std::set<size_t> coded;
  for (const FittedTensor& tensor : state.tensors) {
    const TensorInfo& info = state.model.source->tensors()[tensor.index];
    LLMC_ASSIGN_OR_RETURN(const Codec* codec, state.codecs.get(tensor.plan->codec));
    LLMC_ASSIGN_OR_RETURN(const TensorRecipe recipe,
                          tensor.recipe(tensor.shape.rows, settings[tensor.index].pictures, *codec));
    TensorRecord record = coded_record(info, tensor.shape, recipe);
    for (const Part& part : tensor.scale_parts)
      record.parts[part.name] = {part.bytes.size(), xxh3_128(part.bytes)};
    order.description.tensors[info.name] = std::move(record);
    order.scales[info.name] = tensor.scale_parts;
    cutter.add(info.name, units_of(tensor, recipe));
    coded.insert(tensor.index);
  }
  const std::vector<TensorInfo>& tensors = state.model.source->tensors();
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (coded.contains(i) || state.description.same_as.contains(tensors[i].name)) continue;
    order.description.exact[tensors[i].name] = {dtype_info(tensors[i].dtype).name, tensors[i].shape, ""};
  }
  order.pieces = cutter.take();
  return order;
}

Result<FittedTensor> ordered_tensor(const WorkOrder& order, const TensorInfo& info, size_t index,
                                    const TensorPlan& plan, const InputMoments& moments) {
  const auto found = order.description.tensors.find(info.name);
  const auto shape = tensor_matrices(info);
  if (found == order.description.tensors.end() || !shape || found->second.shape != info.shape ||
      found->second.dtype != dtype_info(info.dtype).name)
    return error(ErrorKind::kCorrupt, "is another tensor in the work order").in_tensor(info.name);
  LLMC_ASSIGN_OR_RETURN(const TensorRecipe recipe, recipe_before_coding(found->second));
  LLMC_ASSIGN_OR_RETURN(FittedTensor tensor, unscaled_tensor(info, index, plan, moments));
  tensor.column_order = recipe.scales.order;
  if (tensor.hessian_group.has_value() != (tensor.column_order == ColumnOrder::kColClass))
    return error(ErrorKind::kInvalidArgument, "the work order and the second moments do not go together")
        .in_tensor(info.name);
  tensor.scale_parts = order.scales.at(info.name);
  const PartContent read = [&](const std::string& name,
                               uint64_t max_bytes) -> Result<std::vector<std::byte>> {
    const auto part = std::ranges::find(tensor.scale_parts, name, &Part::name);
    if (part == tensor.scale_parts.end()) return error(ErrorKind::kCorrupt, "part '{}' is absent", name);
    return unpack(part->bytes, max_bytes);
  };
  auto scales = scales_from_parts(recipe.scales, tensor.shape, read);
  if (!scales.is_ok()) return std::move(scales).error().in_tensor(info.name);
  tensor.scales = std::move(*scales);
  for (const MatrixScales& matrix : tensor.scales)
    tensor.order.push_back(coding_order(tensor.column_order, matrix.col_codes));
  return tensor;
}

namespace {

Status check_source(const CompressState& state, const Description& ordered) {
  const std::vector<std::string> names = state.model.weight_names();
  const auto other = [](const std::string& file) {
    return error(ErrorKind::kIo, "is no longer what the work was ordered for; --restart begins anew")
        .in_file(file);
  };
  if (names.size() != ordered.source_files.size() || model_kind_name(state.model.kind) != ordered.source_kind)
    return other(state.model.path);
  for (size_t i = 0; i < names.size(); ++i) {
    LLMC_ASSIGN_OR_RETURN(const ByteSourcePtr file, open_byte_source(state.model.weight_files[i]));
    if (names[i] != ordered.source_files[i].name || file->size() != ordered.source_files[i].bytes)
      return other(state.model.weight_files[i]);
  }
  return state.description.carried == ordered.carried ? Status::ok() : Status(other(state.model.path));
}

}  // namespace

Result<std::unique_ptr<CompressState>> state_of_order(Model model, const CompressOptions& options,
                                                      const WorkOrder& order,
                                                      std::vector<TensorSettings>* settings) {
  if (order.plan.empty()) return bad("plan");  // that of one piece has none
  LLMC_ASSIGN_OR_RETURN(std::unique_ptr<CompressState> state, decide(std::move(model), options, order.plan));
  LLMC_RETURN_IF_ERROR(check_source(*state, order.description));
  state->description = order.description;
  state->description.tensors.clear();
  state->description.exact.clear();
  state->notes = order.notes;
  if (state->model.gguf != nullptr) state->gguf_header = pack(state->model.gguf->bytes());
  const std::vector<TensorInfo>& tensors = state->model.source->tensors();
  for (size_t i = 0; i < tensors.size(); ++i) {
    TensorPlan& plan = state->plan.tensors[i];
    if (!plan.code || state->description.same_as.contains(plan.name)) continue;
    LLMC_ASSIGN_OR_RETURN(FittedTensor tensor, ordered_tensor(order, tensors[i], i, plan, state->moments));
    LLMC_ASSIGN_OR_RETURN(const TensorRecipe recipe,
                          recipe_before_coding(order.description.tensors.at(plan.name)));
    // Of factors of low-rank updates a plan does not say it.
    if (recipe.is_spectral())
      plan.lines = recipe.spectral().fold ? recipe.spectral().fold->lines : Lines::kNone;
    state->tensors.push_back(std::move(tensor));
  }
  LLMC_ASSIGN_OR_RETURN(*settings, given_settings(*state));
  return state;
}

}  // namespace llmcodec
