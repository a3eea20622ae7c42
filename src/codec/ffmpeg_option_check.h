// SPDX-License-Identifier: BSD-3-Clause
// What may stand in FFmpeg's command line. FFmpeg reads "-KEY VALUE", and it is KEY that says what becomes of
// VALUE: after an option that takes none ("y") it is the name of another output, after "i" another input.
#pragma once

#include <set>
#include <span>
#include <string>

#include "llmcodec/status.h"

namespace llmcodec {

// Of encoder_arguments(): every key is the name of an encoder's option, and none of those of the ffmpeg
// program
// (`program_options`, see ffmpeg_probe.h), but for the few that set quality. FFmpeg then takes the value
// literally, whatever it begins with, or fails because it does not know the option. InvalidArgument.
Status check_encoder_arguments(const std::string& encoder, std::span<const std::string> arguments,
                               const std::set<std::string>& program_options);

// Of a codec that a plan file names: plans are passed on between people, and libraries have options that
// write files ("csv" of x265). Only what our own table sets, and a few more of each encoder
// (EncoderRule::in_plans), with values that are no paths. InvalidArgument, also for a spec that cannot be
// parsed. Options of our own codecs ("raw", "vvc") are left to them.
Status check_planned_codec(const std::string& spec);

}  // namespace llmcodec
