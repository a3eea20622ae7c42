// SPDX-License-Identifier: BSD-3-Clause
#include "archive/description.h"

#include "../tensor/tensor_test_files.h"
#include "archive/packing.h"
#include "base/error.h"
#include "base/limits.h"

namespace llmcodec {
namespace {

using nlohmann::json;

Description example() {
  Description description;
  description.writer = "w";
  description.command = "c";
  description.source_kind = "gguf";
  description.source_files = {{"m.gguf", 17, "00"}};
  description.source_metadata = {{"format", "pt"}};
  TensorRecord record;
  record.dtype = "F16";
  record.shape = {2, 3, 4};
  record.matrices = 2;
  record.rows = 3;
  record.cols = 4;
  record.stages = {{{"stage", "verbatim"}}};
  record.parts = {{"data", {48, "11"}}};
  record.samples = {"33", "44"};
  description.tensors = {{"t", record}};
  description.exact = {{"norm", {"F32", {7}, "22"}}};
  description.shard = 1;
  description.shards = 3;
  description.archive_id = "88";
  return description;
}

// One tensor can be written back, and one cannot.
Description quantised_example() {
  Description description = example();
  SourceFormat format;
  format.scales = BlockScales{{"norm_scale", Dtype::kF32, {2, 1}}, 128, 64};
  format.beside = {{"input_scale", {Dtype::kF16, {1}, {std::byte{0x1f}, std::byte{0xa0}}}}};
  description.quantised = {{"norm", format}, {"t", {SourceScheme::kGptq, {}, {}}}};
  return description;
}

TEST(Description, comes_back_as_it_was) {
  const auto back = parse_description(to_text(example()));
  ASSERT_OK(back);
  EXPECT_EQ(to_text(*back), to_text(example()));
  EXPECT_EQ(back->exact.at("norm").shape, std::vector<uint64_t>{7});
  EXPECT_EQ(back->shard, 1u);
}

// Every member of every object removed, and replaced by something of another type.
void for_each_damage(json& root, json& value, const std::function<void()>& check) {
  if (!value.is_structured()) return;
  for (auto it = value.begin(); it != value.end(); ++it) {
    for_each_damage(root, *it, check);
    const json kept = *it;
    *it = kept.is_boolean() ? json("text") : json(true);
    check();
    *it = kept;
  }
}

TEST(Description, formats_of_a_quantised_source_come_back) {
  const auto back = parse_description(to_text(quantised_example()));
  ASSERT_OK(back);
  EXPECT_EQ(to_text(*back), to_text(quantised_example()));
  EXPECT_EQ(back->quantised.at("norm").scales->block_cols, 64u);
  EXPECT_EQ(back->quantised.at("norm").beside.at("input_scale").bytes[1], std::byte{0xa0});
  EXPECT_EQ(back->quantised.at("t").scheme, SourceScheme::kGptq);
}

TEST(Description, formats_of_a_quantised_source_that_cannot_be_are_refused) {
  const json right = json::parse(to_text(quantised_example()));
  const auto changed = [&](const char* pointer, const json& value) {
    json root = right;
    root[json::json_pointer(pointer)] = value;
    return parse_description(root.dump());
  };
  expect_error(changed("/quantised/absent", {{"scheme", "fp8"}}), ErrorKind::kCorrupt, "not in this shard");
  expect_error(changed("/quantised/t/scheme", "magic"), ErrorKind::kUnsupported, "unknown scheme");
  expect_error(changed("/quantised/norm/codes", "F8_E5M2"), ErrorKind::kCorrupt, "quantised");
  expect_error(changed("/quantised/norm/scale/1", "I32"), ErrorKind::kCorrupt, "quantised");
  expect_error(changed("/quantised/norm/beside/input_scale/2", "1fa"), ErrorKind::kCorrupt, "quantised");
  expect_error(changed("/quantised/norm/beside/input_scale/2", "1fa012"), ErrorKind::kCorrupt, "quantised");
  expect_error(changed("/quantised/norm/beside/input_scale/2", "1g00"), ErrorKind::kCorrupt, "quantised");
  json older = right;
  older["format_version"] = 2;
  const auto parsed = parse_description(older.dump());
  ASSERT_OK(parsed);
  EXPECT_TRUE(parsed->quantised.empty());
}

TEST(Description, a_field_of_another_type_is_corrupt_or_unsupported) {
  json root = json::parse(to_text(quantised_example()));
  int checked = 0;
  for_each_damage(root, root, [&] {
    const auto parsed = parse_description(root.dump());
    EXPECT_FALSE(parsed.is_ok()) << root.dump();
    ++checked;
  });
  EXPECT_GT(checked, 20);
}

TEST(Description, an_absent_field_is_corrupt) {
  for (const char* field : {"writer", "command", "source", "tensors", "exact", "shard"}) {
    json root = json::parse(to_text(example()));
    root.erase(field);
    expect_error(parse_description(root.dump()), ErrorKind::kCorrupt, field);
  }
}

TEST(Description, deep_nesting_in_any_field_is_refused) {
  for (const char* field : {"writer", "source", "tensors", "unknown"}) {
    json root = json::parse(to_text(example()));
    root[field] = "HERE";
    std::string text = root.dump();
    text.replace(text.find("\"HERE\""), 6, std::string(200'000, '[') + std::string(200'000, ']'));
    expect_error(parse_description(text), ErrorKind::kLimit, "description: JSON with more than");
  }
}

TEST(Description, a_tensor_described_twice_is_corrupt) {
  for (const std::string name : {R"("t":)", R"("norm":)"}) {
    std::string text = to_text(example());
    const size_t begin = text.find(name);
    const size_t end = text.find(name == R"("t":)" ? R"(,"writer")" : R"(,"format_version")") - 1;
    std::string again(1, ',');
    again.append(text, begin, end - begin);
    text.insert(end, again);
    expect_error(parse_description(text), ErrorKind::kCorrupt, "twice");
  }
}

TEST(Description, a_shape_whose_product_overflows_or_differs_is_corrupt) {
  json root = json::parse(to_text(example()));
  root["tensors"]["t"]["matrix"] = {2, 3, 5};
  expect_error(parse_description(root.dump()), ErrorKind::kCorrupt, "matrix");
  root["tensors"]["t"]["matrix"] = {1ull << 40, 1ull << 40, 4};
  root["tensors"]["t"]["shape"] = {1ull << 40, 1ull << 40, 4};
  expect_error(parse_description(root.dump()), ErrorKind::kCorrupt, "matrix");
}

TEST(Description, another_format_version_is_unsupported_and_says_what_reads_it) {
  json root = json::parse(to_text(example()));
  root["format_version"] = 1;
  expect_error(parse_description(root.dump()), ErrorKind::kUnsupported,
               "development builds of llmcodec 0.1.0");
  root["format_version"] = 4;
  expect_error(parse_description(root.dump()), ErrorKind::kUnsupported, "use a newer llmcodec");
  for (const json& none : {json(0), json(-1), json(2.5), json("3")}) {
    root["format_version"] = none;
    expect_error(parse_description(root.dump()), ErrorKind::kCorrupt, "format_version");
  }
}

TEST(Description, several_shards_say_of_which_archive_they_are) {
  json root = json::parse(to_text(example()));
  for (const json& none : {json(""), json(1)}) {
    root["archive"] = none;
    expect_error(parse_description(root.dump()), ErrorKind::kCorrupt, "'archive'");
  }
  root.erase("archive");
  expect_error(parse_description(root.dump()), ErrorKind::kCorrupt, "'archive'");
}

TEST(Description, version_2_has_neither_carried_files_nor_a_name_for_the_archive) {
  json root = json::parse(to_text(example()));
  root["format_version"] = 2;
  root["carried"] = {{"config.json", {17, "55"}}};
  const auto parsed = parse_description(root.dump());
  ASSERT_OK(parsed);
  EXPECT_EQ(parsed->format_version, 2);
  EXPECT_TRUE(parsed->carried.empty());
  EXPECT_TRUE(parsed->archive_id.empty());
}

TEST(Description, carried_files_are_listed_in_shard_0_under_plain_names) {
  Description description = example();
  description.shard = 0;
  description.carried = {{"config.json", {17, "55"}}, {"sub/words.txt", {0, "66"}}};
  const auto back = parse_description(to_text(description));
  ASSERT_OK(back);
  EXPECT_EQ(back->carried, description.carried);
  description.carried["../x"] = {1, "77"};
  expect_error(parse_description(to_text(description)), ErrorKind::kCorrupt, "'../x' is no plain name");
  description.carried = {{"config.json", {17, "55"}}};
  description.shard = 1;
  expect_error(parse_description(to_text(description)), ErrorKind::kCorrupt, "carried");
  json root = json::parse(to_text(example()));
  root["shard"] = {0, 3};
  for (const json& damage : {json(1), json::array(), json{{"a", 1}}, json{{"a", {-1, "55"}}}}) {
    root["carried"] = damage;
    expect_error(parse_description(root.dump()), ErrorKind::kCorrupt, "carried");
  }
}

TEST(Description, shards_of_one_archive_share_all_but_their_tensors) {
  Description other = example();
  other.tensors.clear();
  other.shard = 2;
  EXPECT_TRUE(example().is_of_same_archive(other));
  for (const auto& change : std::vector<std::function<void(Description&)>>{
           [](Description& d) { d.archive_id = "another"; }, [](Description& d) { d.command = "another"; },
           [](Description& d) { d.source_files[0].xxh3_128 = "99"; },
           [](Description& d) { d.source_parts[""] = {}; }, [](Description& d) { d.format_version = 2; }}) {
    Description changed = other;
    change(changed);
    EXPECT_FALSE(example().is_of_same_archive(changed));
  }
}

TEST(Description, a_changed_or_missing_checksum_is_corrupt) {
  const std::string text = to_text(example());
  const auto packed_text = [](const std::string& content) { return pack(std::as_bytes(std::span(content))); };
  auto metadata = archive_metadata(text);
  EXPECT_TRUE(is_archive(metadata));
  ASSERT_OK(unpack_description(metadata, packed_text(text), 0));
  std::string changed = text;
  changed[20] ^= 1;
  expect_error(unpack_description(metadata, packed_text(changed), 0), ErrorKind::kCorrupt, "checksum");
  metadata.erase(kChecksumKey);
  expect_error(unpack_description(metadata, packed_text(text), 0), ErrorKind::kCorrupt, kChecksumKey);
}

TEST(Description, a_repeated_key_is_corrupt_wherever_it_stands) {
  const std::string text = to_text(example());
  ASSERT_OK(parse_description(text));
  int checked = 0;
  for (size_t colon = text.find("\":"); colon != std::string::npos; colon = text.find("\":", colon + 1)) {
    const size_t key = text.rfind('"', colon - 1);
    std::string twice = text;
    twice.insert(key, text.substr(key, colon + 1 - key) + ":0,");
    EXPECT_FALSE(parse_description(twice).is_ok()) << twice;
    ++checked;
  }
  EXPECT_GT(checked, 20);
}

TEST(Description, the_source_is_of_a_known_kind_and_its_metadata_an_object_of_texts) {
  json root = json::parse(to_text(example()));
  for (const json& damage :
       {json("text"), json({"a", "b"}), json(nullptr), json(1), json{{"a", 1}}, json{{"a", {"b"}}}}) {
    root["source"]["metadata"] = damage;
    expect_error(parse_description(root.dump()), ErrorKind::kCorrupt, "'metadata'");
  }
  root["source"].erase("metadata");
  for (const char* kind : {"", "Folder", "gguf ", "hdf5"}) {
    root["source"]["kind"] = kind;
    expect_error(parse_description(root.dump()), ErrorKind::kUnsupported, "kind");
  }
}

// Two parts, one of them in the root.
json pipeline() {
  json root = json::parse(to_text(example()));
  root["source"] = {{"kind", "pipeline"},
                    {"files",
                     {{{"name", "model.safetensors"}, {"bytes", 17}, {"xxh3_128", "00"}},
                      {{"name", "unet/u-00001-of-00001.safetensors"}, {"bytes", 17}, {"xxh3_128", "00"}}}},
                    {"parts", {{"", {{"format", "pt"}}}, {"unet", json::object()}}}};
  root["exact"] = {{"unet/norm", {"F32", {7}, "22"}}};
  return root;
}

TEST(PipelineDescription, comes_back_as_it_was) {
  const auto parsed = parse_description(pipeline().dump());
  ASSERT_OK(parsed);
  const auto back = parse_description(to_text(*parsed));
  ASSERT_OK(back);
  EXPECT_EQ(to_text(*back), to_text(*parsed));
  const ModelParts parts = back->parts();
  ASSERT_EQ(parts.size(), 2u);
  EXPECT_EQ(parts[0].folder, "");
  EXPECT_EQ(parts[0].stem, "model");
  EXPECT_EQ(parts[0].metadata.at("format"), "pt");
  EXPECT_EQ(parts[1].folder, "unet");
  EXPECT_EQ(parts[1].stem, "u");
  ASSERT_OK(check_no_empty_part(*back));
}

TEST(PipelineDescription, a_field_of_another_type_is_refused) {
  json root = pipeline();
  int checked = 0;
  for_each_damage(root, root["source"], [&] {
    EXPECT_FALSE(parse_description(root.dump()).is_ok()) << root.dump();
    ++checked;
  });
  EXPECT_GT(checked, 10);
}

TEST(PipelineDescription, folders_are_plain_and_their_names_free) {
  for (const std::string folder : {"/unet", "../unet", "a/../unet", "unet/", "a//b", "a\\b", "a\nb",
                                   "x.safetensors", "x.safetensors/y", "x/.llmcodec-new", "llmcodec.x"}) {
    json root = pipeline();
    root["source"]["parts"][folder] = json::object();
    root["source"]["files"].push_back(
        {{"name", folder + "/u.safetensors"}, {"bytes", 17}, {"xxh3_128", "00"}});
    expect_error(parse_description(root.dump()), ErrorKind::kCorrupt, "description: ");
  }
  json deep = pipeline();
  std::string folder = "a";
  for (uint64_t level = 0; level < kMaxPartLevels; ++level) folder += "/a";
  deep["source"]["parts"][folder] = json::object();
  expect_error(parse_description(deep.dump()), ErrorKind::kLimit, "folders deep");
  json many = pipeline();
  for (uint64_t i = 0; i < kMaxParts; ++i) many["source"]["parts"][fmt::format("p{}", i)] = json::object();
  expect_error(parse_description(many.dump()), ErrorKind::kLimit, "parts, at most");
}

TEST(PipelineDescription, parts_files_and_tensors_belong_together) {
  json root = pipeline();
  root["source"]["files"][1]["name"] = "vae/u.safetensors";
  expect_error(parse_description(root.dump()), ErrorKind::kCorrupt,
               "'vae/u.safetensors' is the name of no file");
  root["source"]["files"][1]["name"] = "unet/../../x.safetensors";
  expect_error(parse_description(root.dump()), ErrorKind::kCorrupt, "is the name of no file");
  root["source"]["files"][1]["name"] = "model.safetensors";
  expect_error(parse_description(root.dump()), ErrorKind::kCorrupt, "listed twice");
  root["source"]["files"].erase(1);
  expect_error(parse_description(root.dump()), ErrorKind::kCorrupt, "part 'unet' has no file");

  root = pipeline();
  root["source"]["parts"].erase("");
  root["source"]["files"].erase(0);
  expect_error(parse_description(root.dump()), ErrorKind::kCorrupt, "a tensor of no part");  // "t"
  root["tensors"] = json::object();
  ASSERT_OK(parse_description(root.dump()));
  root["exact"] = {{"unet/", {"F32", {7}, "22"}}};
  expect_error(parse_description(root.dump()), ErrorKind::kCorrupt, "a tensor of no part");

  root = pipeline();
  root["exact"] = json::object();
  const auto empty = parse_description(root.dump());  // another shard may have them
  ASSERT_OK(empty);
  expect_error(check_no_empty_part(*empty), ErrorKind::kCorrupt,
               "part 'unet' of the pipeline has no tensors");
}

TEST(PipelineDescription, pipelines_have_parts_and_nothing_else_has) {
  json root = pipeline();
  root["source"]["metadata"] = {{"format", "pt"}};
  expect_error(parse_description(root.dump()), ErrorKind::kCorrupt, "'parts'");
  root = pipeline();
  root["source"].erase("parts");
  expect_error(parse_description(root.dump()), ErrorKind::kCorrupt, "'parts'");
  root = pipeline();
  root["source"]["kind"] = "folder";
  expect_error(parse_description(root.dump()), ErrorKind::kCorrupt, "'parts'");
  root["format_version"] = 2;  // in which they mean nothing
  ASSERT_OK(parse_description(root.dump()));
  root["source"]["kind"] = "pipeline";
  expect_error(parse_description(root.dump()), ErrorKind::kCorrupt, "'parts'");
}

TEST(PipelineDescription, carried_files_take_no_place_of_a_part) {
  json root = pipeline();
  root["shard"] = {0, 3};
  for (const char* name : {"unet", "unet/u.safetensors", "unet/u-00001-of-00002.safetensors",
                           "unet/u.safetensors.index.json", "model.safetensors"}) {
    root["carried"] = {{name, {17, "55"}}};
    expect_error(parse_description(root.dump()), ErrorKind::kCorrupt, "the name is taken");
  }
  root["carried"] = {
      {"unet/config.json", {17, "55"}}, {"unet/v.safetensors", {1, "66"}}, {"unetx", {1, "77"}}};
  ASSERT_OK(parse_description(root.dump()));
}

TEST(Description, more_dimensions_than_containers_have_are_refused) {
  json root = json::parse(to_text(example()));
  root["tensors"]["t"]["matrix"] = {1, 1, 1};
  root["tensors"]["t"]["shape"] = std::vector<uint64_t>(kMaxDimensions, 1);
  ASSERT_OK(parse_description(root.dump()));
  root["tensors"]["t"]["shape"].push_back(1);
  expect_error(parse_description(root.dump()), ErrorKind::kLimit, "9 dimensions");
}

}  // namespace
}  // namespace llmcodec
