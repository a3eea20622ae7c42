// SPDX-License-Identifier: BSD-3-Clause
#include <filesystem>
#include <optional>

#include "archive/archive_reader.h"
#include "archive/carry_over.h"
#include "base/error.h"
#include "base/output_guard.h"
#include "base/stopwatch.h"
#include "llmcodec/model.h"
#include "restore/restored_model.h"
#include "restore/source_format_sink.h"
#include "tensor/gguf_parts.h"
#include "tensor/shard_name.h"
#include "tensor/shards.h"

namespace llmcodec {
namespace {

namespace fs = std::filesystem;

class Decompression {
 public:
  explicit Decompression(const DecompressOptions& options)
      : options_(options), codecs_(CodecSet::for_decoding(options.control.environment)) {}

  Result<DecompressReport> run() {
    const Stopwatch wall;
    LLMC_RETURN_IF_ERROR(check_output_name(options_.output));
    LLMC_ASSIGN_OR_RETURN(archive_, ArchiveReader::open(options_.input));
    const RestoreChoice choice{options_.format, options_.dtype, options_.saturate, options_.shard_bytes};
    LLMC_ASSIGN_OR_RETURN(const RestoredModel model, RestoredModel::plan(*archive_, choice));
    LLMC_RETURN_IF_ERROR(model.check_headers());
    LLMC_RETURN_IF_ERROR(plan_tensors(model));
    report_.parameters = model.parameters();
    report_.bytes = tensor_bytes();
    const bool carries = model.carries_files(options_.input);
    // Before the weights are decoded, and again on the way, for files may change.
    if (carries) LLMC_RETURN_IF_ERROR(check_carried_files(archive_->description(), options_.input));
    LLMC_RETURN_IF_ERROR(check_space(options_.output, report_.bytes));
    LLMC_RETURN_IF_ERROR(create_sink(model));
    if (source_format_) sink_ = create_source_format_sink(*source_format_, std::move(sink_));
    const Stopwatch decoding;
    LLMC_RETURN_IF_ERROR(model.write(*sink_, codecs_, options_.control));
    report_.decode_seconds = decoding.seconds();
    if (carries)
      LLMC_RETURN_IF_ERROR(
          carry_over_from_archive(archive_->description(), options_.input, *output_folder_, config_of()));
    LLMC_RETURN_IF_ERROR(sink_->finish());
    report_.wall_seconds = wall.seconds();
    return report_;
  }

 private:
  // What the files will hold.
  Status plan_tensors(const RestoredModel& model) {
    infos_ = model.infos();
    if (!options_.as_source) return Status::ok();
    if (!options_.dtype.empty())
      return error(
          ErrorKind::kInvalidArgument,
          "--as-source gives each tensor the dtype that it had, so that --dtype has no say: leave one "
          "of the two out");
    auto planned = plan_source_format(infos_, archive_->description());
    if (!planned.is_ok()) return std::move(planned).error().in_file(options_.input);
    source_format_ = std::move(*planned);
    infos_ = source_format_->written;
    return check_sharded_safetensors(infos_, archive_->description().parts(), model.shard_bytes());
  }

  uint64_t tensor_bytes() const {
    uint64_t bytes = 0;
    for (const TensorInfo& info : infos_) bytes += dtype_bytes(info.dtype, info.elements()).value_or(0);
    return bytes;
  }

  Status create_sink(const RestoredModel& model) {
    std::error_code code;
    if (fs::equivalent(options_.input, options_.output, code))
      return error(ErrorKind::kInvalidArgument, "output is the input").in_file(options_.output);
    if (model.is_folder()) return create_folder_sink(model);
    LLMC_ASSIGN_OR_RETURN(const std::vector<std::string> inputs, files_of(*archive_, options_.input));
    LLMC_RETURN_IF_ERROR(check_output_file(options_.output, inputs));
    report_.output = options_.output;
    report_.files = 1;
    if (model.is_gguf()) return create_gguf_sink(model, inputs);
    LLMC_ASSIGN_OR_RETURN(sink_, create_safetensors(options_.output, infos_, model.metadata()));
    return Status::ok();
  }

  Status create_gguf_sink(const RestoredModel& model, const std::vector<std::string>& inputs) {
    std::vector<TensorInfo> infos = infos_;
    LLMC_ASSIGN_OR_RETURN(const std::string stem, stem_of_parts());
    LLMC_ASSIGN_OR_RETURN(std::vector<Shard> parts, plan_gguf_parts(infos, model.shard_bytes(), stem));
    if (parts.size() == 1) {
      LLMC_ASSIGN_OR_RETURN(sink_, create_gguf(options_.output, model.gguf_header(), std::move(infos)));
      return Status::ok();
    }
    const fs::path parent = fs::path(options_.output).parent_path();
    const fs::path folder = parent.empty() ? "." : parent;
    for (const Shard& part : parts)
      LLMC_RETURN_IF_ERROR(check_output_file((parent / part.file_name).string(), inputs));
    LLMC_ASSIGN_OR_RETURN(ModelFolder opened, ModelFolder::open_shared(folder.string()));
    output_folder_.emplace(std::move(opened));
    report_.output = (parent / parts[0].file_name).string();
    report_.files = parts.size();
    LLMC_ASSIGN_OR_RETURN(
        sink_, create_gguf_parts(*output_folder_, model.gguf_header(), std::move(infos), std::move(parts)));
    return Status::ok();
  }

  // "dir/OUT.gguf" becomes "dir/OUT-00001-of-0000N.gguf".
  Result<std::string> stem_of_parts() const {
    constexpr std::string_view kSuffix = ".gguf";
    std::string name = fs::path(options_.output).filename().string();
    if (const auto part = parse_shard_name(name, kSuffix); part && options_.shard_bytes != 0)
      return error(
                 ErrorKind::kInvalidArgument,
                 "is the name of one part, and parts are numbered as they are written: name the whole, {}{}",
                 part->stem, kSuffix)
          .in_file(options_.output);
    if (name.ends_with(kSuffix)) name.resize(name.size() - kSuffix.size());
    return name;
  }

  Status create_folder_sink(const RestoredModel& model) {
    const ModelParts parts = archive_->description().parts();
    LLMC_ASSIGN_OR_RETURN(const std::vector<Shard> shards,
                          plan_part_shards(infos_, parts, model.shard_bytes()));
    LLMC_ASSIGN_OR_RETURN(const std::vector<std::string> inputs, files_of(*archive_, options_.input));
    std::vector<std::string> names;
    for (const ModelPart& part : parts)
      names.push_back(part_prefix(part.folder) + index_file_name(part.stem));
    for (const Shard& shard : shards) names.push_back(shard.file_name);
    for (const std::string& name : names)
      LLMC_RETURN_IF_ERROR(check_output_file((fs::path(options_.output) / name).string(), inputs));
    LLMC_ASSIGN_OR_RETURN(const std::vector<std::string> carried, carried_outputs(model));
    LLMC_RETURN_IF_ERROR(check_others(carried, inputs));
    LLMC_ASSIGN_OR_RETURN(ModelFolder folder, ModelFolder::open(options_.output, {parts, carried}));
    // Once more: a run that was stopped in the folder has been taken back.
    LLMC_RETURN_IF_ERROR(check_others(carried, inputs));
    output_folder_.emplace(std::move(folder));
    LLMC_ASSIGN_OR_RETURN(sink_,
                          create_sharded_safetensors(*output_folder_, infos_, parts, model.shard_bytes()));
    report_.output = options_.output;
    report_.files = shards.size();
    return Status::ok();
  }

  ConfigOf config_of() const { return options_.as_source ? ConfigOf::kSource : ConfigOf::kRestored; }

  // Whoever gave a file of the archive sees to the others.
  Result<std::vector<std::string>> carried_outputs(const RestoredModel& model) const {
    if (!model.carries_files(options_.input)) return std::vector<std::string>();
    return carried_names(archive_->description(), options_.input, config_of());
  }

  Status check_others(const std::vector<std::string>& carried, const std::vector<std::string>& inputs) const {
    LLMC_RETURN_IF_ERROR(check_carried_outputs(carried, inputs, options_.output));
    // What the archive lists belongs to this model, also where the user brings it.
    std::vector<std::string> own = carried;
    for (const auto& [name, file] : archive_->description().carried) own.push_back(name);
    return check_marks(options_.output, own);
  }

  DecompressOptions options_;
  CodecSet codecs_;
  std::unique_ptr<ArchiveReader> archive_;
  std::vector<TensorInfo> infos_;  // of the files
  std::optional<SourceFormatPlan> source_format_;
  std::optional<ModelFolder> output_folder_;  // before the sink, which uses it
  std::unique_ptr<TensorSink> sink_;
  DecompressReport report_;
};

}  // namespace

Result<DecompressReport> decompress(const DecompressOptions& options) {
  return Decompression(options).run();
}

}  // namespace llmcodec
