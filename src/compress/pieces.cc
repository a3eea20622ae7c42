// SPDX-License-Identifier: BSD-3-Clause
#include "llmcodec/pieces.h"

#include <algorithm>
#include <optional>
#include <unordered_map>

#include "archive/carry_over.h"
#include "base/error.h"
#include "base/output_guard.h"
#include "base/stopwatch.h"
#include "compress/archive_run.h"
#include "compress/compress_report.h"
#include "compress/piece_file.h"
#include "compress/work_order.h"

namespace llmcodec {
namespace {

uint64_t segments_of(const PieceSpans& piece) {
  uint64_t segments = 0;
  for (const SegmentSpan& span : piece) segments += span.count;
  return segments;
}

Result<PieceInfo> info_of(const WorkOrder& order, const PieceSpans& piece) {
  PieceInfo info;
  for (const SegmentSpan& span : piece) {
    const TensorRecord& record = order.description.tensors.at(span.tensor);
    LLMC_ASSIGN_OR_RETURN(const TensorRecipe recipe, recipe_before_coding(record));
    const uint64_t segments = recipe.segments_per_matrix() * record.matrices;
    const double part = static_cast<double>(span.count) / static_cast<double>(segments);
    info.weights +=
        static_cast<uint64_t>(part * static_cast<double>(record.matrices * record.rows * record.cols));
    if (recipe.scales.order != ColumnOrder::kColClass) continue;
    info.loops += span.count / recipe.segments_per_matrix();
    info.loop_cols = std::max(info.loop_cols, record.cols);
  }
  const SegmentSpan& first = piece[0];
  info.name = first.tensor;
  if (piece.size() > 1)
    info.name += fmt::format(" and {} more", piece.size() - 1);
  else
    info.name += fmt::format(" [{}, {})", first.first, first.first + first.count);
  return info;
}

// What coding a piece works on.
struct PieceWork {
  explicit PieceWork(const CodecEnvironment& environment) : codecs(environment) {}

  Model model;
  std::optional<QuantisedModel> quantised;
  InputMoments moments;
  CodecSet codecs;
  std::vector<TensorPlan> plans;  // by span, as the others
  std::vector<FittedTensor> tensors;
  std::vector<SegmentTask> tasks;
};

TensorPlan plan_of(const std::string& name, const TensorRecipe& recipe) {
  TensorPlan plan;
  plan.name = name;
  plan.code = true;
  plan.scales = recipe.scales.spec;
  plan.codec = recipe.codec.spec;
  plan.layout = recipe.is_spectral() ? Layout::kSpectral : Layout::kSpatial;
  return plan;
}

Result<const Codec*> same_codec(CodecSet& codecs, const CodecStage& ordered) {
  LLMC_ASSIGN_OR_RETURN(const Codec* codec, codecs.get(ordered.spec));
  if (codec->info().version != ordered.version)
    return error(ErrorKind::kUnsupported, "the work was ordered for {} {}, and this machine has {}",
                 ordered.name, ordered.version, codec->info().version);
  return codec;
}

Status add_span(const WorkOrder& order, size_t i, PieceWork& work) {
  const SegmentSpan& span = order.pieces[0][i];
  LLMC_ASSIGN_OR_RETURN(TensorRecipe ordered,
                        recipe_before_coding(order.description.tensors.at(span.tensor)));
  work.plans[i] = plan_of(span.tensor, ordered);
  LLMC_ASSIGN_OR_RETURN(const Codec* codec, same_codec(work.codecs, ordered.codec));
  LLMC_ASSIGN_OR_RETURN(const size_t index, work.model.source->find(span.tensor));
  LLMC_ASSIGN_OR_RETURN(work.tensors[i], ordered_tensor(order, work.model.source->tensors()[index], index,
                                                        work.plans[i], work.moments));
  const auto recipe = std::make_shared<const TensorRecipe>(std::move(ordered));
  const uint64_t per_matrix = recipe->segments_per_matrix(), end = span.first + span.count;
  for (uint64_t at = span.first; at < end;) {
    const uint64_t matrix = at / per_matrix, last = std::min(end, (matrix + 1) * per_matrix);
    std::vector<SegmentTask> all = segments_of(work.tensors[i], codec, recipe, matrix, 0);
    for (; at < last; ++at) work.tasks.push_back(std::move(all[at - matrix * per_matrix]));
  }
  return Status::ok();
}

Result<std::unique_ptr<PieceWork>> open_piece(const WorkOrder& order, const PieceOptions& options) {
  if (order.pieces.size() != 1) return error(ErrorKind::kInvalidArgument, "this is no order of one piece");
  auto work = std::make_unique<PieceWork>(options.control.environment);
  LLMC_ASSIGN_OR_RETURN(work->model, open_model(options.input));
  LLMC_ASSIGN_OR_RETURN(work->quantised, QuantisedModel::open(&work->model));
  CompressOptions moments;
  moments.hessian = options.hessian;
  LLMC_ASSIGN_OR_RETURN(work->moments, open_moments(moments, work->model));
  work->plans.resize(order.pieces[0].size());
  work->tensors.resize(order.pieces[0].size());
  for (size_t i = 0; i < order.pieces[0].size(); ++i) LLMC_RETURN_IF_ERROR(add_span(order, i, *work));
  return work;
}

// Coded segments by tensor and number, one piece in memory.
class Pieces {
 public:
  Pieces(const WorkOrder& order, const PieceReader& read) : order_(order), read_(read) {
    for (size_t i = 0; i < order.pieces.size(); ++i) {
      uint64_t before = 0;
      for (const SegmentSpan& span : order.pieces[i]) {
        places_[span.tensor].push_back({span.first, span.count, i, before});
        before += span.count;
      }
    }
  }

  Result<CodedPictures> take(const SegmentTask& task) {
    const std::string& name = task.tensor->plan->name;
    const uint64_t number = task.matrix * task.recipe->segments_per_matrix() +
                            task.range.first / task.recipe->codec.pictures_per_segment;
    for (const Place& place : places_[name]) {
      if (number < place.first || number - place.first >= place.count) continue;
      LLMC_RETURN_IF_ERROR(load(place.piece));
      return std::move(held_[place.before + number - place.first]);
    }
    return error(ErrorKind::kCorrupt, "the work order has no piece for segment {}", number).in_tensor(name);
  }

 private:
  struct Place {
    uint64_t first = 0, count = 0;  // segments of the tensor
    size_t piece = 0;
    uint64_t before = 0;  // segments of the piece
  };

  Status load(size_t piece) {
    if (held_piece_ == piece) return Status::ok();
    LLMC_ASSIGN_OR_RETURN(const std::vector<std::byte> bytes, read_(piece));
    auto segments = piece_from_bytes({order_.key, piece}, segments_of(order_.pieces[piece]), bytes);
    if (!segments.is_ok()) return std::move(segments).error().in_file(fmt::format("piece {}", piece));
    held_ = std::move(*segments);
    held_piece_ = piece;
    return Status::ok();
  }

  const WorkOrder& order_;
  const PieceReader& read_;
  std::unordered_map<std::string, std::vector<Place>> places_;
  std::optional<size_t> held_piece_;
  std::vector<CodedPictures> held_;
};

}  // namespace

Result<OrderedWork> order_work(const CompressOptions& options, uint64_t piece_weights) {
  LLMC_RETURN_IF_ERROR(check_output_name(options.output));
  LLMC_ASSIGN_OR_RETURN(Model model, open_model(options.input));
  LLMC_ASSIGN_OR_RETURN(const std::unique_ptr<CompressState> state, prepare(std::move(model), options));
  LLMC_ASSIGN_OR_RETURN(const RateFound found, find_settings(*state));
  // Before hours of work.
  LLMC_ASSIGN_OR_RETURN(const ArchivePlan plan, plan_archive(state->content(), found.settings));
  LLMC_RETURN_IF_ERROR(check_output(state->model, state->inputs(), options.output, plan.layout));
  LLMC_ASSIGN_OR_RETURN(const WorkOrder order, make_order(*state, found.settings, piece_weights));
  return OrderedWork{order.to_bytes(), report_plan(*state, found)};
}

Result<OrderedPieces> OrderedPieces::parse(std::span<const std::byte> bytes) {
  LLMC_ASSIGN_OR_RETURN(WorkOrder order, WorkOrder::parse(bytes));
  OrderedPieces ordered(std::make_shared<const WorkOrder>(std::move(order)));
  for (const PieceSpans& piece : ordered.order_->pieces) {
    LLMC_ASSIGN_OR_RETURN(PieceInfo info, info_of(*ordered.order_, piece));
    ordered.pieces_.push_back(std::move(info));
  }
  return ordered;
}

std::vector<std::byte> OrderedPieces::order_of(size_t piece) const {
  return order_->of_piece(piece).to_bytes();
}

Result<std::vector<std::byte>> code_piece(std::span<const std::byte> bytes, const PieceOptions& options) {
  LLMC_ASSIGN_OR_RETURN(const WorkOrder order, WorkOrder::parse(bytes));
  LLMC_ASSIGN_OR_RETURN(const std::unique_ptr<PieceWork> work, open_piece(order, options));
  FeedbackCache feedback(work->moments, 0);
  uint64_t weights = 0;
  for (const SegmentTask& task : work->tasks) weights += task.weights();
  PhaseProgress progress(options.control, weights);
  std::vector<CodedPictures> coded;
  size_t next = 0;
  SegmentRun run{*work->model.source, &feedback, options.control};
  run.next = [&]() -> Result<std::optional<SegmentTask>> {
    return next < work->tasks.size() ? std::optional(std::move(work->tasks[next++])) : std::nullopt;
  };
  run.take = [&](SegmentTask& task) {
    progress.add("encode", task.coded.metrics.count(), task.tensor->plan->name);
    coded.push_back(std::move(task.coded));
    return Status::ok();
  };
  LLMC_RETURN_IF_ERROR(run.run(weights));
  return piece_to_bytes({order.key, order.first_piece}, coded);
}

Result<CompressReport> assemble(const CompressOptions& options, const OrderedPieces& ordered,
                                const PieceReader& read) {
  const Stopwatch wall;
  LLMC_RETURN_IF_ERROR(check_output_name(options.output));
  LLMC_ASSIGN_OR_RETURN(Model model, open_model(options.input));
  std::vector<TensorSettings> settings;
  LLMC_ASSIGN_OR_RETURN(const std::unique_ptr<CompressState> state,
                        state_of_order(std::move(model), options, ordered.content(), &settings));
  LLMC_ASSIGN_OR_RETURN(const std::unique_ptr<ArchiveRun> run, ArchiveRun::open(*state, std::move(settings)));
  Pieces pieces(ordered.content(), read);
  Status status = run->take(state->tensors, [&](const SegmentTask& task) { return pieces.take(task); });
  if (status.is_ok()) status = run->write_rest();
  if (!status.is_ok()) {
    run->give_up(status.error());
    return std::move(status).error();
  }
  LLMC_ASSIGN_OR_RETURN(CompressReport report, run->finish());
  report.wall_seconds = wall.seconds();
  return report;
}

}  // namespace llmcodec
