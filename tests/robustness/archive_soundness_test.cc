// SPDX-License-Identifier: BSD-3-Clause
// Archives that are right by every checksum and cannot be restored: verify() must not call them sound.
#include "archive/checksum.h"
#include "archive/description.h"
#include "archive/packing.h"
#include "archive_cases.h"
#include "archive_text.h"
#include "llmcodec/model.h"
#include "tensor/gguf.h"

namespace llmcodec {
namespace {

std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

class ArchiveSoundness : public testing::Test {
 protected:
  ArchiveText make(const std::string& kind) {
    auto made = make_archive_case(kind, folder_);
    EXPECT_EQ(message_of(made), "");
    archive_ = std::move(made).value();
    return ArchiveText::parse(read_bytes(archive_.files[0]));
  }
  // Both commands refuse the archive, with the same error.
  void refused(const ArchiveText& text, ErrorKind kind, const std::string& part) {
    write_bytes(archive_.files[0], text.with_description_checksum());
    VerifyOptions options;
    options.input = archive_.archive;
    const auto verified = verify(options);
    expect_error(verified, kind, part);
    const auto decompressed = restored(archive_);
    expect_error(decompressed, kind, part);
    if (!verified.is_ok() && !decompressed.is_ok()) {
      EXPECT_EQ(verified.error().to_string(), decompressed.error().to_string());
    }
  }
  // The archive with another GGUF header of no more packed bytes, its checksum right.
  static ArchiveText with_gguf_header(ArchiveText text, const std::string& header) {
    const auto& place = text.header[kGgufHeaderName]["data_offsets"];
    const size_t begin = place[0].get<size_t>(), size = place[1].get<size_t>() - begin;
    std::string packed = text_of(pack(as_bytes(header)));
    EXPECT_LE(packed.size(), size);
    packed.resize(size);
    text.data.replace(begin, size, packed);
    text.description["exact"][kGgufHeaderName][2] = xxh3_128(as_bytes(packed));
    return text;
  }
  static std::string gguf_header(const ArchiveText& text) {
    const auto& place = text.header[kGgufHeaderName]["data_offsets"];
    return text_of(unpack(as_bytes(text.data).subspan(place[0].get<size_t>()), 1 << 20).value());
  }
  FastFolder folder_;
  ArchiveCase archive_;
};

TEST_F(ArchiveSoundness, a_gguf_header_cut_short) {
  const ArchiveText text = make("gguf");
  const std::string header = gguf_header(text);
  for (const size_t size : {size_t{0}, size_t{3}, size_t{20}, header.size() - 1})
    refused(with_gguf_header(text, header.substr(0, size)), ErrorKind::kCorrupt, "ends too early");
}

TEST_F(ArchiveSoundness, a_gguf_header_of_other_tensors) {
  const ArchiveText text = make("gguf");
  std::string header = gguf_header(text);
  header[header.find("norm.weight")] = 'm';
  refused(with_gguf_header(text, header), ErrorKind::kCorrupt, "is not in the archive");
}

TEST_F(ArchiveSoundness, no_gguf_header) {
  ArchiveText text = make("spectral");
  text.description["source"]["kind"] = "gguf";
  refused(text, ErrorKind::kCorrupt, "'llmcodec.gguf_header': is absent");
}

TEST_F(ArchiveSoundness, a_dtype_that_the_container_does_not_have) {
  ArchiveText text = make("gguf");
  text.description["tensors"]["blk.0.ffn_up.weight"]["dtype"] = "F8_E4M3";
  refused(text, ErrorKind::kCorrupt, "GGUF has no type F8_E4M3");
}

TEST_F(ArchiveSoundness, coded_tensors_of_dtypes_that_hold_no_weights) {
  const ArchiveText text = make("raw_group");
  for (const char* dtype : {"BOOL", "U8", "I64", "F4", "F8_E8M0", "C64"}) {
    ArchiveText changed = text;
    changed.description["tensors"]["a.weight"]["dtype"] = dtype;
    refused(changed, ErrorKind::kCorrupt, "no dtype of weights");
  }
  ArchiveText changed = text;
  changed.description["tensors"]["a.weight"]["dtype"] = "F31";
  refused(changed, ErrorKind::kUnsupported, "'F31' is not known");
}

TEST_F(ArchiveSoundness, a_tensor_of_the_archives_own_that_has_no_meaning) {
  ArchiveText text = make("gguf");
  const std::string other = "llmcodec.gguf_headel";
  text.header[other] = text.header[kGgufHeaderName];
  text.header.erase(kGgufHeaderName);
  text.description["exact"][other] = text.description["exact"][kGgufHeaderName];
  text.description["exact"].erase(kGgufHeaderName);
  refused(text, ErrorKind::kCorrupt, "'llmcodec.gguf_headel': is none of the tensors");
}

TEST_F(ArchiveSoundness, copies_of_what_cannot_be) {
  const ArchiveText text = make("spectral");
  const struct {
    const char *same_as, *message;
  } cases[] = {
      {R"({"x": ["F16", [72, 64], "x"]})", "is the same as 'x', which is itself"},
      {R"({"x": ["F16", [72, 64], "y"]})", "is the same as 'y', which is not in this shard"},
      {R"({"x": ["F16", [72, 64], "y"], "y": ["F16", [72, 64], "a.weight"]})", "the same as another one"},
      {R"({"x": ["BF16", [72, 64], "a.weight"]})", "has another dtype or shape"},
      {R"({"x": ["F16", [64, 72], "a.weight"]})", "has another dtype or shape"},
      {R"({"x": ["F32", [41], "norm.weight"]})", "has another dtype or shape"},
      {R"({"norm.weight": ["F16", [72, 64], "a.weight"]})", "is stored as well"},
      {R"({"a.weight.bitstream": ["F16", [72, 64], "a.weight"]})", "is stored as well"},
      {R"({"llmcodec.x": ["F16", [72, 64], "a.weight"]})", "is the archive's own"},
      {R"({"x": ["F16", [72, 64]]})", "lacks a valid 'same_as'"},
      {R"({"x": "a.weight"})", "lacks a valid 'same_as'"},
      {R"([])", "lacks a valid 'same_as'"},
  };
  for (const auto& [same_as, message] : cases) {
    ArchiveText changed = text;
    changed.description["same_as"] = nlohmann::ordered_json::parse(same_as);
    SCOPED_TRACE(same_as);
    refused(changed, ErrorKind::kCorrupt, message);
  }
}

TEST_F(ArchiveSoundness, copies_mean_nothing_in_version_2) {
  ArchiveText text = make("spectral");
  text.description["same_as"] = {{"x", {"F16", {72, 64}, "a.weight"}}};
  text.description["format_version"] = 2;
  write_bytes(archive_.files[0], text.with_description_checksum());
  const auto model = restored(archive_);
  ASSERT_OK(model);
  EXPECT_EQ(*model, archive_.expected);
}

TEST_F(ArchiveSoundness, one_copy_in_two_shards) {
  make("sharded");
  std::vector<ArchiveText> shards;
  for (size_t i = 0; i < 2; ++i) {
    shards.push_back(ArchiveText::parse(read_bytes(archive_.files[i])));
    nlohmann::ordered_json& description = shards[i].description;
    const bool coded = !description["tensors"].empty();
    const auto original = description[coded ? "tensors" : "exact"].items().begin();
    const auto& record = original.value();
    description["same_as"]["x"] = {coded ? record["dtype"] : record[0], coded ? record["shape"] : record[1],
                                   original.key()};
  }
  write_bytes(archive_.files[1], shards[1].with_description_checksum());
  refused(shards[0], ErrorKind::kCorrupt, "'x': is the same as others in two shards");
}

// Without them the tensor would have other weights than the writer's, and nothing else would tell.
TEST_F(ArchiveSoundness, outliers_of_which_the_description_says_nothing) {
  const ArchiveText text = make("spatial");
  int changed = 0;
  for (const auto& [name, record] : text.description["tensors"].items()) {
    if (!record.contains("outliers")) continue;
    ArchiveText silent = text;
    silent.description["tensors"][name].erase("outliers");
    refused(silent, ErrorKind::kCorrupt, "part 'outliers' is there, and no stage takes it");
    silent.description["tensors"][name]["outliers"] = 0;
    refused(silent, ErrorKind::kCorrupt, "part 'outliers' is there, and no stage takes it");
    ++changed;
  }
  EXPECT_GT(changed, 0);
}

TEST_F(ArchiveSoundness, a_source_of_another_kind) {
  ArchiveText text = make("spectral");
  text.description["source"]["kind"] = "Folder";
  refused(text, ErrorKind::kUnsupported, "a source of kind 'Folder' is not known");
}

}  // namespace
}  // namespace llmcodec
