// SPDX-License-Identifier: BSD-3-Clause
// Options of compress() for a model of two small matrices and a norm, with our own codecs and one thread.
#pragma once

#include "fuzz_target.h"
#include "llmcodec/model.h"

namespace llmcodec {

// No program but this one is started.
inline const CodecEnvironment kNoPrograms = {.ffmpeg = "/nowhere/ffmpeg"};

inline CompressOptions small_plan_options() {
  static const FuzzTensor kTensors[] = {{"a.weight", {8, 40}}, {"b.weight", {2, 8, 32}}, {"norm", {8}}};
  static const std::string path = fuzz_file("small.safetensors", fuzz_safetensors(kTensors));
  CompressOptions options;
  options.input = path;
  options.command = "fuzz";
  options.importance = "none";
  options.target = {TargetKind::kStep, 0.5};
  options.set = {"weight=action:code"};
  options.control.threads = 1;
  options.control.environment = kNoPrograms;
  return options;
}

// The same, for an archive of this name in the fuzz targets' folder, each time anew.
inline CompressOptions small_order_options(const std::string& name) {
  CompressOptions options = small_plan_options();
  options.output = fuzz_folder() + name + ".safetensors";
  options.restart = true;
  return options;
}

}  // namespace llmcodec
