// SPDX-License-Identifier: BSD-3-Clause
// Reading archives: include/llmcodec/archive.h for C.
#include <optional>

#include "capi/c_error.h"
#include "llmcodec/archive.h"

using llmcodec::Archive;
using llmcodec::ArchivedTensor;
using llmcodec::CodecEnvironment;
using llmcodec::Control;
using llmcodec::DecodeOptions;
using llmcodec::ErrorKind;
using llmcodec::Result;
using llmcodec::RowRange;
using llmcodec::Status;
namespace c = llmcodec::c;

struct llmcodec_archive {
  Archive archive;
};

namespace {

// Opens by `open(environment)`, and hands the archive out.
template <class Open>
llmcodec_status open_archive(const llmcodec_control* control, llmcodec_archive** out, llmcodec_error** error,
                             const Open& open) {
  return c::guarded(error, [&]() -> Status {
    LLMC_RETURN_IF_ERROR(c::check_given(out, "archive"));
    *out = nullptr;
    LLMC_ASSIGN_OR_RETURN(const Control options, c::control_of(control));
    LLMC_ASSIGN_OR_RETURN(Archive archive, open(options.environment));
    *out = new llmcodec_archive{std::move(archive)};
    return Status::ok();
  });
}

Result<DecodeOptions> decode_options_of(const llmcodec_decode_options* given) {
  LLMC_ASSIGN_OR_RETURN(const llmcodec_decode_options options, c::options_of(given));
  return DecodeOptions{.dtype = c::text_or(options.dtype),
                       .threads = options.threads,
                       .cancelled = c::cancelled_of(options.cancelled, options.user)};
}

llmcodec_status decode(const llmcodec_archive* archive, size_t tensor, std::optional<RowRange> rows,
                       const llmcodec_decode_options* options, std::span<std::byte> out,
                       llmcodec_error** error) {
  return c::guarded(error, [&]() -> Status {
    LLMC_RETURN_IF_ERROR(c::check_given(archive, "archive"));
    if (!out.empty()) LLMC_RETURN_IF_ERROR(c::check_given(out.data(), "out"));
    LLMC_ASSIGN_OR_RETURN(const DecodeOptions own, decode_options_of(options));
    return rows ? archive->archive.decode_rows(tensor, *rows, out, own)
                : archive->archive.decode(tensor, out, own);
  });
}

llmcodec_tensor_info info_of(const ArchivedTensor& tensor) {
  llmcodec_tensor_info info{};
  info.name = tensor.name.c_str();
  info.dtype = tensor.dtype.c_str();
  info.decoded_dtype = tensor.decoded_dtype.c_str();
  info.shape = tensor.shape.data();
  info.dimensions = tensor.shape.size();
  info.elements = tensor.elements;
  info.rows = tensor.rows;
  info.cols = tensor.cols;
  info.stored_bytes = tensor.stored_bytes;
  info.coded = tensor.coded ? 1 : 0;
  return info;
}

}  // namespace

extern "C" {

llmcodec_status llmcodec_archive_open(const char* path, const llmcodec_control* control,
                                      llmcodec_archive** archive, llmcodec_error** error) {
  return open_archive(control, archive, error, [&](const CodecEnvironment& environment) -> Result<Archive> {
    LLMC_RETURN_IF_ERROR(c::check_given(path, "path"));
    return Archive::open(path, environment);
  });
}

llmcodec_status llmcodec_archive_open_memory(const void* bytes, size_t size, const llmcodec_control* control,
                                             llmcodec_archive** archive, llmcodec_error** error) {
  return open_archive(control, archive, error, [&](const CodecEnvironment& environment) -> Result<Archive> {
    LLMC_RETURN_IF_ERROR(c::check_given(bytes, "bytes"));
    return Archive::open_memory({static_cast<const std::byte*>(bytes), size}, environment);
  });
}

llmcodec_status llmcodec_archive_open_reader(llmcodec_read_at read, void* user, uint64_t size,
                                             const llmcodec_control* control, llmcodec_archive** archive,
                                             llmcodec_error** error) {
  return open_archive(control, archive, error, [&](const CodecEnvironment& environment) -> Result<Archive> {
    if (read == nullptr) return llmcodec::error(ErrorKind::kInvalidArgument, "read is NULL");
    const auto read_at = [read, user](uint64_t offset, std::span<std::byte> out) {
      return c::read_status(read(user, offset, out.data(), out.size()));
    };
    return Archive::open_reader(size, read_at, environment);
  });
}

void llmcodec_archive_close(llmcodec_archive* archive) {
  delete archive;
}

size_t llmcodec_archive_tensor_count(const llmcodec_archive* archive) {
  return archive->archive.tensors().size();
}

llmcodec_status llmcodec_archive_tensor(const llmcodec_archive* archive, size_t tensor,
                                        llmcodec_tensor_info* info, llmcodec_error** error) {
  return c::guarded(error, [&]() -> Status {
    LLMC_RETURN_IF_ERROR(c::check_given(archive, "archive"));
    LLMC_RETURN_IF_ERROR(c::check_given(info, "info"));
    const size_t size = info->struct_size;
    if (size < sizeof(size))
      return llmcodec::error(ErrorKind::kInvalidArgument, "struct_size of the info is not set");
    const auto& tensors = archive->archive.tensors();
    if (tensor >= tensors.size())
      return llmcodec::error(ErrorKind::kInvalidArgument, "tensor {} of {}", tensor, tensors.size());
    llmcodec_tensor_info own = info_of(tensors[tensor]);
    own.struct_size = size;
    std::memset(info, 0, size);
    std::memcpy(info, &own, std::min(size, sizeof(own)));
    return Status::ok();
  });
}

llmcodec_status llmcodec_archive_find(const llmcodec_archive* archive, const char* name, size_t* tensor,
                                      llmcodec_error** error) {
  return c::guarded(error, [&]() -> Status {
    LLMC_RETURN_IF_ERROR(c::check_given(archive, "archive"));
    LLMC_RETURN_IF_ERROR(c::check_given(name, "name"));
    LLMC_RETURN_IF_ERROR(c::check_given(tensor, "tensor"));
    LLMC_ASSIGN_OR_RETURN(*tensor, archive->archive.find(name));
    return Status::ok();
  });
}

llmcodec_status llmcodec_archive_byte_size(const llmcodec_archive* archive, size_t tensor, const char* dtype,
                                           uint64_t* bytes, llmcodec_error** error) {
  return c::guarded(error, [&]() -> Status {
    LLMC_RETURN_IF_ERROR(c::check_given(archive, "archive"));
    LLMC_RETURN_IF_ERROR(c::check_given(bytes, "bytes"));
    LLMC_ASSIGN_OR_RETURN(*bytes, archive->archive.byte_size(tensor, c::text_or(dtype)));
    return Status::ok();
  });
}

llmcodec_status llmcodec_archive_decode(const llmcodec_archive* archive, size_t tensor,
                                        const llmcodec_decode_options* options, void* out, size_t out_size,
                                        llmcodec_error** error) {
  return decode(archive, tensor, std::nullopt, options, {static_cast<std::byte*>(out), out_size}, error);
}

// budget: C has neither spans nor exceptions; buffer and error are three of the parameters.
llmcodec_status llmcodec_archive_decode_rows(const llmcodec_archive* archive, size_t tensor, uint64_t first,
                                             uint64_t last, const llmcodec_decode_options* options, void* out,
                                             size_t out_size, llmcodec_error** error) {
  return decode(archive, tensor, RowRange{first, last}, options, {static_cast<std::byte*>(out), out_size},
                error);
}
}
