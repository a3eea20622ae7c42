// SPDX-License-Identifier: BSD-3-Clause
// The JSON text of an archive's description (docs/format.md, section 2): what is read and written again is the same, and
// every recipe in it is read.
#include "../robustness/archive_cases.h"
#include "../robustness/archive_text.h"
#include "archive/description.h"
#include "coding/tensor_recipe.h"
#include "fuzz_target.h"

namespace llmcodec {
namespace {

uint64_t run(std::string_view input) {
  const auto description = parse_description(std::string(input));
  if (!fuzz_accepts(description)) return 0;
  if (description->format_version == kFormatVersion) {  // older ones are read and never written
    const std::string text = to_text(*description);
    const auto again = parse_description(text);
    fuzz_check(again.is_ok() && to_text(*again) == text,
               "a description is itself when it was written and read");
  }
  for (const auto& [name, record] : description->tensors) fuzz_accepts(recipe_from_record(record));
  return 0;
}

std::vector<std::string> seeds() {
  const FastFolder folder;
  std::vector<std::string> seeds;
  for (const std::string& name : archive_case_names()) {
    const auto made = make_archive_case(name, folder);
    fuzz_check(made.is_ok(), "a small archive can be made");
    for (const std::string& file : made->files) {
      if (file.ends_with(".safetensors"))
        seeds.push_back(ArchiveText::parse(read_bytes(file)).description.dump());
    }
  }
  return seeds;
}

}  // namespace

const FuzzTarget kDescriptionTarget = {"description", run, seeds, mutate_json_text};

}  // namespace llmcodec
