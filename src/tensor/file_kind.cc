// SPDX-License-Identifier: BSD-3-Clause
#include "tensor/file_kind.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>
#include <string>
#include <string_view>

#include "base/error.h"

namespace llmcodec {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view kLfsPointer = "version https://git-lfs.github.com/spec/";
constexpr uint64_t kMostPointerBytes = 1024;  // which Git LFS sets itself
constexpr char kLfsMessage[] =
    "this is a pointer of Git LFS and not the file itself; fetch the file with `git lfs pull`, or with `hf "
    "download OWNER/MODEL`";
constexpr char kPickleMessage[] =
    "a PyTorch pickle: it may run code when it is loaded, and is not read here; convert it to safetensors "
    "first, by "
    "model.save_pretrained(OUT) of transformers or by "
    "safetensors.torch.save_file(torch.load(IN, weights_only=True), OUT)";

struct Magic {
  std::string_view start;
  ErrorKind kind;
  const char* message;
};
constexpr auto kMagics = std::to_array<Magic>({
    {kLfsPointer, ErrorKind::kIo, kLfsMessage},
    {"<!doctype"sv, ErrorKind::kIo,
     "this is a web page and not the file; on the hub, the address of a file has 'resolve' where that of its "
     "page "
     "has 'blob'"},
    {"<html"sv, ErrorKind::kIo,
     "this is a web page and not the file; on the hub, the address of a file has 'resolve' where that of its "
     "page "
     "has 'blob'"},
    {"\x89HDF\r\n\x1a\n"sv, ErrorKind::kUnsupported,
     "an HDF5 file (Keras, TensorFlow); convert it to safetensors first, by from_pretrained(IN, "
     "from_tf=True) and "
     "save_pretrained(OUT) of transformers"},
    {"\x93NUMPY"sv, ErrorKind::kUnsupported,
     "an array of numpy; save it by safetensors.numpy.save_file() first"},
    {"\x1f\x8b"sv, ErrorKind::kUnsupported, "compressed with gzip; unpack it first (gunzip, or tar xzf)"},
    {"\x28\xb5\x2f\xfd"sv, ErrorKind::kUnsupported, "compressed with zstd; unpack it first (zstd -d)"},
    {"7z\xbc\xaf\x27\x1c"sv, ErrorKind::kUnsupported, "an archive of 7-Zip; unpack it first"},
    {"lmgg"sv, ErrorKind::kUnsupported,
     "a GGML file from before GGUF; convert it by convert_llama_ggml_to_gguf.py of llama.cpp first"},
    {"fmgg"sv, ErrorKind::kUnsupported,
     "a GGML file from before GGUF; convert it by convert_llama_ggml_to_gguf.py of llama.cpp first"},
    {"tjgg"sv, ErrorKind::kUnsupported,
     "a GGML file from before GGUF; convert it by convert_llama_ggml_to_gguf.py of llama.cpp first"},
});

bool starts_with_any_case(std::string_view text, std::string_view start) {
  const auto same = [](char a, char b) {
    return std::tolower(static_cast<unsigned char>(a)) == std::tolower(static_cast<unsigned char>(b));
  };
  return text.size() >= start.size() && std::ranges::equal(text.substr(0, start.size()), start, same);
}

// torch.save() writes a zip archive with the pickle in it, and wrote a bare one of protocol 2 before.
bool is_pickle(std::string_view start) {
  const bool bare = start.size() > 1 && start[0] == '\x80' && start[1] >= 2 && start[1] <= 5;
  return bare || (start.starts_with("PK\x03\x04") && start.find(".npy") == std::string_view::npos);
}

}  // namespace

std::optional<Error> known_other_kind(const ByteSource& file) {
  std::string start(std::min<uint64_t>(file.size(), 64), '\0');
  if (!file.read_at(0, std::as_writable_bytes(std::span(start))).is_ok()) return std::nullopt;
  const auto is = [](ErrorKind kind, const char* message) { return error(kind, "{}", message); };
  for (const Magic& magic : kMagics) {
    if (starts_with_any_case(start, magic.start)) return is(magic.kind, magic.message).in_file(file.name());
  }
  if (is_pickle(start)) return is(ErrorKind::kUnsupported, kPickleMessage).in_file(file.name());
  if (start.starts_with("PK\x03\x04"))
    return is(ErrorKind::kUnsupported,
              "arrays of numpy in a zip archive; save them by safetensors.numpy.save_file() first")
        .in_file(file.name());
  return std::nullopt;
}

Status check_no_lfs_pointer(const std::string& path) {
  std::error_code code;
  if (std::filesystem::file_size(path, code) > kMostPointerBytes || code) return Status::ok();
  LLMC_ASSIGN_OR_RETURN(const ByteSourcePtr file, open_byte_source(path));
  std::string start(std::min<uint64_t>(file->size(), kLfsPointer.size()), '\0');
  LLMC_RETURN_IF_ERROR(file->read_at(0, std::as_writable_bytes(std::span(start))));
  return start == kLfsPointer ? Status(error(ErrorKind::kIo, "{}", kLfsMessage).in_file(path)) : Status::ok();
}

}  // namespace llmcodec
