// SPDX-License-Identifier: BSD-3-Clause
// A whole archive in memory: opened, every tensor decoded whole and by rows, the GGUF header inside it read. Mutations
// change the description, the header, parts as they are packed, what is packed in them, and tensors stored exactly, and
// make lengths, packing and checksums right again.
#include <algorithm>

#include "../robustness/archive_cases.h"
#include "../robustness/archive_text.h"
#include "../robustness/json_mutation.h"
#include "archive/archive_reader.h"
#include "archive/packing.h"
#include "fuzz_target.h"
#include "llmcodec/archive.h"
#include "small_plan.h"
#include "tensor/gguf.h"

namespace llmcodec {
namespace {

constexpr uint64_t kMostUnpacked = uint64_t{1} << 20;

void read_gguf_header(std::span<const std::byte> bytes) {
  const auto reader = ArchiveReader::open(memory_byte_source(bytes, "fuzz.safetensors"));
  fuzz_check(reader.is_ok(), "what Archive opens, ArchiveReader opens");
  if ((*reader)->own_bytes(kGgufHeaderName) == 0) return;
  const auto packed = (*reader)->exact(kGgufHeaderName);
  if (!fuzz_accepts(packed)) return;
  const auto header = unpack(*packed, kMostUnpacked);
  if (fuzz_accepts(header)) fuzz_accepts(GgufHeader::parse(*header));
}

uint64_t run(std::string_view input) {
  const std::vector<std::byte> bytes = exact_copy(input);
  const auto archive = Archive::open_memory(bytes, kNoPrograms);
  if (!fuzz_accepts(archive)) return 0;
  uint64_t declared = 0;
  for (size_t i = 0; i < archive->tensors().size(); ++i) {
    const auto size = archive->byte_size(i);
    if (!fuzz_accepts(size) || *size > kMostFuzzTensorBytes) continue;
    std::vector<std::byte> out(*size);
    declared = std::max(declared, *size);
    fuzz_accepts(archive->decode(i, out, {.threads = 1}));
    const uint64_t rows = archive->tensors()[i].rows;
    if (rows == 0) continue;
    fuzz_accepts(archive->decode_rows(i, {rows / 2, rows / 2 + 1}, std::span(out).first(*size / rows),
                                      {.threads = 1}));
  }
  read_gguf_header(bytes);
  return declared;
}

std::vector<std::string> seeds() {
  const FastFolder folder;
  std::vector<std::string> seeds;
  for (const std::string& name : archive_case_names()) {
    if (name == "sharded") continue;
    const auto made = make_archive_case(name, folder);
    fuzz_check(made.is_ok(), "a small archive can be made");
    seeds.push_back(read_bytes(made->files[0]));
  }
  return seeds;
}

// The bytes as they are packed, or, where `inside`, what they hold.
std::string mutate_part(const std::string& bytes, bool inside, Mutator& mutator) {
  const auto content = unpack(std::as_bytes(std::span(bytes)), kMostUnpacked);
  if (!inside || !content.is_ok()) return mutator.mutate(bytes);
  std::string changed(reinterpret_cast<const char*>(content->data()), content->size());
  changed = mutator.mutate(changed);
  if (mutator.number(2) == 0) changed.resize(content->size());
  const std::vector<std::byte> packed = pack(std::as_bytes(std::span(changed)));
  return {reinterpret_cast<const char*>(packed.data()), packed.size()};
}

void mutate_stored(std::vector<ArchiveText::Part> parts, ArchiveText* text, Mutator& mutator) {
  if (parts.empty()) return;
  const ArchiveText::Part& part = parts[mutator.number(static_cast<uint32_t>(parts.size()))];
  const std::string bytes = text->data.substr(part.begin, part.bytes);
  std::string changed = mutate_part(bytes, mutator.number(2) == 0, mutator);
  if (part.part == "bitstream" || part.part == "data") changed.resize(bytes.size());
  text->replace(part, std::move(changed));
}

std::string mutate_text(ArchiveText text, Mutator& mutator) {
  for (uint32_t changes = 1 + mutator.number(2); changes > 0; --changes) {
    switch (mutator.number(8)) {
      case 0:
        change_json(text.header, mutator);
        break;
      case 1:
        mutate_stored(text.exact(), &text, mutator);
        break;
      case 2:
      case 3:
      case 4:
        mutate_stored(text.parts(), &text, mutator);
        break;
      default:
        change_json(text.description, mutator);
        break;
    }
  }
  return text.with_description_checksum();
}

std::string mutate(const std::string& input, uint32_t seed) {
  auto text = ArchiveText::try_parse(input);
  if (!text || seed % 16 == 0) return mutate_bytes(input, seed);
  Mutator mutator(seed, input.size());
  try {
    return mutate_text(std::move(*text), mutator);
  } catch (const std::exception&) {  // the first change took away what the second looked for
    return mutate_bytes(input, seed);
  }
}

}  // namespace

const FuzzTarget kArchiveTarget = {"archive", run, seeds, mutate};

}  // namespace llmcodec
