// SPDX-License-Identifier: BSD-3-Clause
// The text of --codec: parsed, written again, judged as a plan's, and opened where it names a codec of our own.
#include "codec/codec_spec.h"
#include "codec/ffmpeg_option_check.h"
#include "fuzz_target.h"
#include "llmcodec/codec.h"

namespace llmcodec {
namespace {

uint64_t run(std::string_view input) {
  const std::string text(input);
  const auto spec = parse_codec_spec(text);
  if (!fuzz_accepts(spec)) return 0;
  const auto again = parse_codec_spec(format_codec_spec(*spec));
  fuzz_check(again.is_ok() && again->name == spec->name && again->options == spec->options,
             "a spec is itself when it was written and read");
  fuzz_accepts(check_planned_codec(text));
  for (const auto& [key, value] : spec->options) merge_parameter_lists(value, key, ':');
  if (spec->name != "vvc" && spec->name != "raw") return 0;
  const auto codec = open_codec(text, {});
  if (!fuzz_accepts(codec)) return 0;
  fuzz_check(open_codec((*codec)->spec(), {}).is_ok(), "what a codec calls itself can be opened");
  return 0;
}

std::vector<std::string> seeds() {
  return {"vvc", "raw", "vvc:lambda=2", "libx265:preset=slow,x265-params=rd=4:rdoq-level=2,q:v=3",
          "libx264:a=b\\,c\\\\d"};
}

}  // namespace

const FuzzTarget kCodecSpecTarget = {"codec_spec", run, seeds, nullptr};

}  // namespace llmcodec
