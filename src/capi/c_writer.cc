// SPDX-License-Identifier: BSD-3-Clause
// Archives of tensors that are in no file.
#include <unordered_set>

#include "base/utf8.h"
#include "capi/c_error.h"
#include "compress/compress_model.h"
#include "compress/pushed_tensors.h"
#include "tensor/safetensors.h"

namespace llmcodec::c {
namespace {

// Tensors that a function of the caller's reads.
class CallerTensors final : public TensorSource {
 public:
  CallerTensors(std::vector<TensorInfo> tensors, llmcodec_tensor_read function, void* user)
      : tensors_(std::move(tensors)), read_(function), user_(user) {}
  const std::vector<TensorInfo>& tensors() const override { return tensors_; }
  Status read(size_t index, uint64_t first, std::span<std::byte> out) const override {
    if (out.empty()) return Status::ok();
    Status status = read_status(read_(user_, index, first, out.data(), out.size()));
    if (!status.is_ok()) return std::move(status).error().in_tensor(tensors_[index].name);
    return status;
  }
  const std::string& file(size_t) const override { return no_file_; }
  uint64_t offset(size_t) const override { return 0; }

 private:
  std::vector<TensorInfo> tensors_;
  llmcodec_tensor_read read_;
  void* user_;
  std::string no_file_;
};

}  // namespace
}  // namespace llmcodec::c

using llmcodec::error;
using llmcodec::ErrorKind;
using llmcodec::Result;
using llmcodec::Status;
namespace c = llmcodec::c;

struct llmcodec_writer {
  llmcodec::CompressOptions options;
  std::vector<llmcodec::TensorInfo> tensors;
  std::unordered_set<std::string> names;
  llmcodec::SafetensorsMetadata metadata;
  std::unique_ptr<llmcodec::PushedTensors> pushed;  // from the first push on
  bool finished = false;

  Status check_nothing_given() const {
    if (!pushed && !finished) return Status::ok();
    return error(ErrorKind::kInvalidArgument,
                 "tensors and metadata are announced before any tensor is given");
  }

  Status add(const char* name, const char* dtype_name, const uint64_t* shape, size_t dimensions) {
    LLMC_RETURN_IF_ERROR(check_nothing_given());
    LLMC_RETURN_IF_ERROR(c::check_given(name, "name"));
    LLMC_RETURN_IF_ERROR(c::check_given(dtype_name, "dtype"));
    if (dimensions > 0) LLMC_RETURN_IF_ERROR(c::check_given(shape, "shape"));
    const auto dtype = llmcodec::dtype_from_name(dtype_name);
    if (!dtype)
      return error(ErrorKind::kInvalidArgument, "dtype '{}' is not known", dtype_name).in_tensor(name);
    llmcodec::TensorInfo info{name, *dtype, std::vector<uint64_t>(shape, shape + dimensions)};
    LLMC_RETURN_IF_ERROR(
        llmcodec::layout_safetensors(std::span(&info, 1)));  // sizes that overflow, dtypes, names
    if (!names.insert(info.name).second)
      return error(ErrorKind::kInvalidArgument, "was added before").in_tensor(name);
    tensors.push_back(std::move(info));
    return Status::ok();
  }

  Status add_metadata(const char* key, const char* value) {
    LLMC_RETURN_IF_ERROR(check_nothing_given());
    LLMC_RETURN_IF_ERROR(c::check_given(key, "key"));
    LLMC_RETURN_IF_ERROR(c::check_given(value, "value"));
    for (const char* text : {key, value}) {
      if (!llmcodec::is_utf8(text)) return error(ErrorKind::kInvalidArgument, "metadata is not valid UTF-8");
    }
    if (!metadata.emplace(key, value).second)
      return error(ErrorKind::kInvalidArgument, "metadata '{}' was added before", key);
    return Status::ok();
  }

  Status push(size_t tensor, const void* bytes, size_t size) {
    if (size > 0) LLMC_RETURN_IF_ERROR(c::check_given(bytes, "bytes"));
    if (finished) return error(ErrorKind::kInvalidArgument, "the writer has finished already");
    if (!pushed) {
      LLMC_ASSIGN_OR_RETURN(pushed, llmcodec::PushedTensors::open(tensors, metadata, options));
    }
    return pushed->push(tensor, {static_cast<const std::byte*>(bytes), size});
  }

  Result<llmcodec::CompressReport> finish(llmcodec_tensor_read read, void* user) {
    if (!pushed && read == nullptr)
      return error(ErrorKind::kInvalidArgument, "read is NULL, and nothing was pushed");
    if (pushed && read != nullptr)
      return error(ErrorKind::kInvalidArgument, "tensors were pushed, and would be read as well");
    if (std::exchange(finished, true))
      return error(ErrorKind::kInvalidArgument, "the writer has finished already");
    if (pushed) return pushed->finish();
    llmcodec::Model model;
    model.metadata = std::move(metadata);
    model.source = std::make_unique<c::CallerTensors>(std::move(tensors), read, user);
    return llmcodec::compress(std::move(model), options);
  }
};

extern "C" {

llmcodec_status llmcodec_writer_open(const char* output, const llmcodec_compress_options* options,
                                     llmcodec_writer** writer, llmcodec_error** error) {
  return c::guarded(error, [&]() -> Status {
    LLMC_RETURN_IF_ERROR(c::check_given(writer, "writer"));
    *writer = nullptr;
    LLMC_RETURN_IF_ERROR(c::check_given(output, "output"));
    auto made = std::make_unique<llmcodec_writer>();
    LLMC_ASSIGN_OR_RETURN(made->options, c::compress_options_of(options));
    made->options.output = output;
    *writer = made.release();
    return Status::ok();
  });
}

llmcodec_status llmcodec_writer_add(llmcodec_writer* writer, const char* name, const char* dtype,
                                    const uint64_t* shape, size_t dimensions, llmcodec_error** error) {
  return c::guarded(error, [&]() -> Status {
    LLMC_RETURN_IF_ERROR(c::check_given(writer, "writer"));
    return writer->add(name, dtype, shape, dimensions);
  });
}

llmcodec_status llmcodec_writer_add_metadata(llmcodec_writer* writer, const char* key, const char* value,
                                             llmcodec_error** error) {
  return c::guarded(error, [&]() -> Status {
    LLMC_RETURN_IF_ERROR(c::check_given(writer, "writer"));
    return writer->add_metadata(key, value);
  });
}

llmcodec_status llmcodec_writer_push(llmcodec_writer* writer, size_t tensor, const void* bytes, size_t size,
                                     llmcodec_error** error) {
  return c::guarded(error, [&]() -> Status {
    LLMC_RETURN_IF_ERROR(c::check_given(writer, "writer"));
    return writer->push(tensor, bytes, size);
  });
}

llmcodec_status llmcodec_writer_finish(llmcodec_writer* writer, llmcodec_tensor_read read, void* user,
                                       char** report, llmcodec_error** error) {
  return c::reported(report, error, [&]() -> Result<llmcodec::CompressReport> {
    LLMC_RETURN_IF_ERROR(c::check_given(writer, "writer"));
    return writer->finish(read, user);
  });
}

void llmcodec_writer_close(llmcodec_writer* writer) {
  delete writer;
}
}
