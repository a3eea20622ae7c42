// SPDX-License-Identifier: BSD-3-Clause
// Damaged archives, whatever the damage: a named error or the very model that the undamaged one gives, never
// a crash, a hang, another tensor, or memory without limit. Run under the sanitizers for what this is worth.
//
// LLMCODEC_MUTATIONS=10000 (per kind of archive and of damage) and LLMCODEC_TRUNCATION_STEP=1 (every byte)
// are the full run; the default is a quick sample of it.
#include <cstdlib>

#include "allocation_guard.h"
#include "archive_cases.h"
#include "archive_text.h"
#include "base/stopwatch.h"
#include "json_mutation.h"
#include "llmcodec/model.h"
#include "mutator.h"

namespace llmcodec {
namespace {

constexpr size_t kMostMemory = size_t{1}
                               << 30;  // of one allocation: a picture of the largest size, as floats
constexpr double kMostSeconds = 20;

int setting(const char* name, int otherwise) {
  const char* text = std::getenv(name);
  return text != nullptr ? std::max(1, std::atoi(text)) : otherwise;
}
int mutations() {
  return setting("LLMCODEC_MUTATIONS", 400);
}

class ArchiveRobustness : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    auto made = make_archive_case(GetParam(), folder_);
    ASSERT_EQ(message_of(made), "");
    archive_ = std::move(made).value();
    for (const std::string& file : archive_.files) whole_.push_back(read_bytes(file));
  }

  // decompress() with `bytes` in place of file `index`. What it says, verify() says too.
  Result<std::string> restored_with(size_t index, const std::string& bytes) {
    write_bytes(archive_.files[index], bytes);
    reset_largest_allocation();
    const Stopwatch watch;
    Result<std::string> model = restored(archive_);
    const double seconds = watch.seconds();
    EXPECT_LT(largest_allocation(), kMostMemory);
    EXPECT_LT(seconds, kMostSeconds);
    VerifyOptions options;
    options.input = archive_.archive;
    options.control.threads = 1;
    EXPECT_EQ(message_of(verify(options)), message_of(model));
    write_bytes(archive_.files[index], whole_[index]);
    return model;
  }

  void expect_named_error(const Error& error) {
    EXPECT_FALSE(error.message.empty());
    EXPECT_NE(error.kind, ErrorKind::kInternal) << error.to_string();
    EXPECT_FALSE(error.file.empty() && error.tensor.empty()) << error.to_string();
  }

  // True when the damage was noticed.
  bool noticed(const Result<std::string>& model) {
    if (model.is_ok()) {
      EXPECT_TRUE(model.value() == archive_.expected) << "another model, and no error";
      return false;
    }
    expect_named_error(model.error());
    return true;
  }

  FastFolder folder_;
  ArchiveCase archive_;
  std::vector<std::string> whole_;
};

TEST_P(ArchiveRobustness, every_truncation_is_an_error) {
  const size_t step = static_cast<size_t>(setting("LLMCODEC_TRUNCATION_STEP", 7));
  for (size_t f = 0; f < whole_.size(); ++f) {
    for (size_t size = 0; size < whole_[f].size(); size += step) {
      SCOPED_TRACE(testing::Message() << archive_.files[f] << " cut to " << size);
      // The index is JSON: only its closing white space may be missing.
      const bool only_space = whole_[f].find_first_not_of(" \n", size) == std::string::npos;
      ASSERT_TRUE(noticed(restored_with(f, whole_[f].substr(0, size))) || only_space);
    }
  }
}

TEST_P(ArchiveRobustness, mutations_are_errors_or_change_nothing) {
  int found = 0;
  for (int i = 0; i < mutations(); ++i) {
    const size_t f = static_cast<size_t>(i) % whole_.size();
    SCOPED_TRACE(testing::Message() << "mutation " << i << " of " << archive_.files[f]);
    // Half of them in the header, half anywhere.
    Mutator mutator(static_cast<uint32_t>(i), i / 2 % 2 == 0 ? 4096 : whole_[f].size());
    found += noticed(restored_with(f, mutator.mutate(whole_[f])));
    if (HasFailure()) return;
  }
  EXPECT_GT(found, mutations() / 2);
}

// Parts changed and their checksums made right: what decoders make of it. The samples' checksum still
// stands behind a bitstream.
TEST_P(ArchiveRobustness, mutated_parts_behind_right_checksums) {
  int found = 0, undone = 0;
  for (int i = 0; i < mutations(); ++i) {
    const size_t f = static_cast<size_t>(i) % whole_.size();
    SCOPED_TRACE(testing::Message() << "mutation " << i << " of " << archive_.files[f]);
    if (!archive_.files[f].ends_with(".safetensors")) continue;
    ArchiveText text = ArchiveText::parse(whole_[f]);
    const std::vector<ArchiveText::Part> parts = text.parts();
    if (parts.empty()) continue;
    Mutator mutator(static_cast<uint32_t>(i), 64);
    const ArchiveText::Part& part = parts[mutator.number(static_cast<uint32_t>(parts.size()))];
    std::string bytes = mutator.mutate(text.data.substr(part.begin, part.bytes));
    bytes.resize(part.bytes);
    text.data.replace(part.begin, part.bytes, bytes);
    const Result<std::string> model = restored_with(f, text.with_part_checksums());
    if (!model.is_ok()) expect_named_error(model.error());
    if (part.part == "bitstream" && model.is_ok()) {
      EXPECT_TRUE(model.value() == archive_.expected) << "another model, and no error";
    }
    found += !model.is_ok();
    undone += model.is_ok();
    if (HasFailure()) return;
  }
  EXPECT_GT(found, 0);
  EXPECT_GT(undone, 0);  // a changed scale is a changed model: nothing else to see
}

// Any value of the description replaced, the checksum made right: what the readers of its fields make of it.
TEST_P(ArchiveRobustness, changed_descriptions_behind_a_right_checksum) {
  int found = 0;
  for (int i = 0; i < mutations(); ++i) {
    const size_t f = static_cast<size_t>(i) % whole_.size();
    SCOPED_TRACE(testing::Message() << "change " << i << " of " << archive_.files[f]);
    if (!archive_.files[f].ends_with(".safetensors")) continue;
    ArchiveText text = ArchiveText::parse(whole_[f]);
    Mutator mutator(static_cast<uint32_t>(i), 0);
    for (uint32_t changes = 1 + mutator.number(2); changes > 0; --changes)
      change_json(text.description, mutator);
    const Result<std::string> model = restored_with(f, text.with_description_checksum());
    if (!model.is_ok()) {
      EXPECT_FALSE(model.error().message.empty());
      EXPECT_NE(model.error().kind, ErrorKind::kInternal) << model.error().to_string();
    }
    found += !model.is_ok();
    if (HasFailure()) return;
  }
  EXPECT_GT(found, 0);
}

INSTANTIATE_TEST_SUITE_P(Kinds, ArchiveRobustness, testing::ValuesIn(archive_case_names()),
                         [](const auto& kind) { return kind.param; });

}  // namespace
}  // namespace llmcodec
