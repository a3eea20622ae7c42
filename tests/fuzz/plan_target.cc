// SPDX-License-Identifier: BSD-3-Clause
// A plan file for a small model: read, and where it is accepted, the model is compressed by it and restored.
#include "fuzz_target.h"
#include "llmcodec/archive.h"
#include "llmcodec/model.h"
#include "plan/plan_file.h"
#include "small_plan.h"
#include "tensor/model_source.h"

namespace llmcodec {
namespace {

uint64_t run(std::string_view input) {
  static const Result<Model> model = open_model(small_plan_options().input);
  if (!fuzz_accepts(plan_from_text(std::string(input), model->source->tensors()))) return 0;
  CompressOptions with_plan = small_plan_options();
  with_plan.set.clear();
  with_plan.plan = fuzz_file("plan.json", input);
  with_plan.output = fuzz_folder() + "planned.safetensors";
  with_plan.restart = true;
  if (!fuzz_accepts(compress(with_plan))) return 0;
  const auto archive = Archive::open(with_plan.output, kNoPrograms);
  fuzz_check(archive.is_ok(), "what was written can be opened");
  for (size_t i = 0; i < archive->tensors().size(); ++i) {
    std::vector<std::byte> out(archive->byte_size(i).value());
    const Status decoded = archive->decode(i, out, {.threads = 1});
    fuzz_check(decoded.is_ok(), "and decoded: " + (decoded.is_ok() ? "" : decoded.error().to_string()));
  }
  return 0;
}

std::vector<std::string> seeds() {
  std::vector<std::string> seeds;
  for (const char* layout : {"spectral", "spatial", "raw"}) {
    CompressOptions planned = small_plan_options();
    if (std::string(layout) == "raw") planned.codec = "raw";
    if (planned.codec != "raw") planned.layout = layout;
    if (planned.codec == "raw") planned.scales = "group:16";
    const auto report = plan(planned);
    fuzz_check(report.is_ok(), "a small model has a plan");
    seeds.push_back(report->plan);
  }
  return seeds;
}

}  // namespace

const FuzzTarget kPlanTarget = {"plan", run, seeds, mutate_json_text};

}  // namespace llmcodec
