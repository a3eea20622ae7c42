// SPDX-License-Identifier: BSD-3-Clause
// Whole models: include/llmcodec/model.h for C.
#include "llmcodec/model.h"

#include "capi/c_error.h"

namespace llmcodec::c {
namespace {

Result<Target> target_of(llmcodec_target kind, double value) {
  switch (kind) {
    case LLMCODEC_TARGET_DEFAULT:
      return Target{TargetKind::kDefault, 0};
    case LLMCODEC_TARGET_BPW:
      return Target{TargetKind::kBpw, value};
    case LLMCODEC_TARGET_SIZE:
      return Target{TargetKind::kSize, value};
    case LLMCODEC_TARGET_SNR:
      return Target{TargetKind::kSnr, value};
    case LLMCODEC_TARGET_STEP:
      return Target{TargetKind::kStep, value};
  }
  return error(ErrorKind::kInvalidArgument, "target {} is not known", static_cast<int>(kind));
}

Result<std::vector<std::string>> texts_of(const char* const* texts, size_t count, const char* name) {
  std::vector<std::string> own;
  if (count > 0) LLMC_RETURN_IF_ERROR(check_given(texts, name));
  for (size_t i = 0; i < count; ++i) {
    LLMC_RETURN_IF_ERROR(check_given(texts[i], name));
    own.emplace_back(texts[i]);
  }
  return own;
}

Result<CompressReport> run_compress(const char* input, const char* output,
                                    const llmcodec_compress_options* given) {
  LLMC_RETURN_IF_ERROR(check_given(input, "input"));
  LLMC_RETURN_IF_ERROR(check_given(output, "output"));
  LLMC_ASSIGN_OR_RETURN(CompressOptions options, compress_options_of(given));
  options.input = input;
  options.output = output;
  return compress(options);
}

Result<DecompressReport> run_decompress(const char* input, const char* output,
                                        const llmcodec_decompress_options* given) {
  LLMC_RETURN_IF_ERROR(check_given(input, "input"));
  LLMC_RETURN_IF_ERROR(check_given(output, "output"));
  LLMC_ASSIGN_OR_RETURN(const llmcodec_decompress_options asked, options_of(given));
  DecompressOptions options;
  options.input = input;
  options.output = output;
  options.dtype = text_or(asked.dtype);
  options.format = text_or(asked.format);
  options.shard_bytes = asked.shard_bytes;
  options.as_source = asked.as_source != 0;
  options.saturate = asked.saturate != 0;
  LLMC_ASSIGN_OR_RETURN(options.control, control_of(asked.control));
  return decompress(options);
}

Result<VerifyReport> run_verify(const char* input, const llmcodec_verify_options* given) {
  LLMC_RETURN_IF_ERROR(check_given(input, "input"));
  LLMC_ASSIGN_OR_RETURN(const llmcodec_verify_options asked, options_of(given));
  VerifyOptions options;
  options.input = input;
  options.against = text_or(asked.against);
  LLMC_ASSIGN_OR_RETURN(options.control, control_of(asked.control));
  return verify(options);
}

}  // namespace

Result<Control> control_of(const llmcodec_control* given) {
  LLMC_ASSIGN_OR_RETURN(const llmcodec_control asked, options_of(given));
  Control control;
  control.threads = asked.threads;
  control.environment.ffmpeg = text_or(asked.ffmpeg);
  if (asked.timeout_seconds != 0) control.environment.timeout_seconds = asked.timeout_seconds;
  if (asked.progress != nullptr)
    control.progress = [report = asked.progress, user = asked.user](const Progress& progress) {
      report(user, progress.phase, progress.done, progress.total, progress.tensor.c_str());
    };
  control.cancelled = cancelled_of(asked.cancelled, asked.user);
  return control;
}

Result<CompressOptions> compress_options_of(const llmcodec_compress_options* given) {
  LLMC_ASSIGN_OR_RETURN(const llmcodec_compress_options asked, options_of(given));
  CompressOptions options;
  LLMC_ASSIGN_OR_RETURN(options.target, target_of(asked.target, asked.target_value));
  options.codec = text_or(asked.codec, "vvc");
  options.layout = text_or(asked.layout, "auto");
  options.scales = text_or(asked.scales, "auto");
  options.asymmetric = asked.asymmetric != 0;
  options.bit_depth = asked.bit_depth;
  LLMC_ASSIGN_OR_RETURN(options.set, texts_of(asked.set, asked.set_count, "set"));
  LLMC_ASSIGN_OR_RETURN(options.code, texts_of(asked.code, asked.code_count, "code"));
  LLMC_ASSIGN_OR_RETURN(options.carry, texts_of(asked.carry, asked.carry_count, "carry"));
  LLMC_ASSIGN_OR_RETURN(options.keep, texts_of(asked.keep, asked.keep_count, "keep"));
  options.plan = text_or(asked.plan);
  options.importance = text_or(asked.importance);
  options.hessian = text_or(asked.hessian);
  options.shard_bytes = asked.shard_bytes;
  options.restart = asked.restart != 0;
  options.command = text_or(asked.command);
  LLMC_ASSIGN_OR_RETURN(options.control, control_of(asked.control));
  return options;
}

}  // namespace llmcodec::c

extern "C" {

llmcodec_status llmcodec_compress(const char* input, const char* output,
                                  const llmcodec_compress_options* options, char** report,
                                  llmcodec_error** error) {
  return llmcodec::c::reported(report, error,
                               [&] { return llmcodec::c::run_compress(input, output, options); });
}

llmcodec_status llmcodec_decompress(const char* input, const char* output,
                                    const llmcodec_decompress_options* options, char** report,
                                    llmcodec_error** error) {
  return llmcodec::c::reported(report, error,
                               [&] { return llmcodec::c::run_decompress(input, output, options); });
}

llmcodec_status llmcodec_verify(const char* input, const llmcodec_verify_options* options, char** report,
                                llmcodec_error** error) {
  return llmcodec::c::reported(report, error, [&] { return llmcodec::c::run_verify(input, options); });
}
}
