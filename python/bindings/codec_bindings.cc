// SPDX-License-Identifier: BSD-3-Clause
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "call.h"
#include "llmcodec/codec.h"
#include "module.h"
#include "vvc/spatial/stream_decoder.h"

namespace llmcodec::python {
namespace {

// Pictures x rows x columns.
using Planes = nb::ndarray<const uint16_t, nb::ndim<3>, nb::c_contig, nb::device::cpu>;
using MutablePlanes = nb::ndarray<uint16_t, nb::ndim<3>, nb::c_contig, nb::device::cpu>;

// The whole width of a matrix view over picture `index` of an array.
template <class View, class Array>
std::vector<View> pictures_of(const Array& planes) {
  std::vector<View> pictures;
  const size_t rows = planes.shape(1), cols = planes.shape(2);
  for (size_t i = 0; i < planes.shape(0); ++i)
    pictures.emplace_back(planes.data() + i * rows * cols, rows, cols);
  return pictures;
}

template <class Array>
PictureFormat format_of(const Array& planes, uint32_t bit_depth) {
  for (const size_t axis : {1, 2}) {
    if (planes.shape(axis) > UINT32_MAX) raise({ErrorKind::kInvalidArgument, "pictures are too large"});
  }
  return {static_cast<uint32_t>(planes.shape(2)), static_cast<uint32_t>(planes.shape(1)), bit_depth};
}

class OpenCodec {
 public:
  OpenCodec(const std::string& spec, const Control& control) {
    Call call;
    codec_ = call.run([&] { return open_codec(spec, control.environment); });
  }
  const std::string& spec() const { return codec_->spec(); }
  const CodecInfo& info() const { return codec_->info(); }

  nb::bytes encode(const Planes& planes, uint32_t bit_depth, double quality) const {
    const std::vector<PlaneView> pictures = pictures_of<PlaneView>(planes);
    const PictureFormat format = format_of(planes, bit_depth);
    Call call;
    const std::vector<std::byte> stream = call.run([&] { return codec_->encode(pictures, format, quality); });
    return nb::bytes(stream.data(), stream.size());
  }
  void decode(const nb::bytes& stream, const MutablePlanes& planes, uint32_t bit_depth) const {
    const std::vector<MutablePlaneView> pictures = pictures_of<MutablePlaneView>(planes);
    const PictureFormat format = format_of(planes, bit_depth);
    const std::span<const std::byte> bytes(static_cast<const std::byte*>(stream.data()), stream.size());
    Call call;
    call.run([&] { return codec_->decode(bytes, format, pictures); });
  }

 private:
  std::unique_ptr<Codec> codec_;
};

struct DecodedPictures {
  PictureFormat format;
  uint64_t count = 0;
  std::vector<uint16_t> samples;  // of all pictures
};

Result<DecodedPictures> decode_stream(std::span<const std::byte> stream,
                                      const std::function<bool()>& cancelled) {
  DecodedPictures all;
  LLMC_RETURN_IF_ERROR(vvc::decode_each(stream, {}, [&](const vvc::DecodedPicture& picture) -> Status {
    if (cancelled()) return Error{ErrorKind::kInterrupted, "interrupted"};
    const PictureFormat& format = picture.format;
    if (all.count++ == 0) all.format = format;
    if (format.width != all.format.width || format.height != all.format.height ||
        format.bit_depth != all.format.bit_depth)
      return Error{ErrorKind::kUnsupported, "pictures of several formats in one stream"};
    for (size_t y = 0; y < format.height; ++y) {
      const auto row = picture.samples.row(y);
      all.samples.insert(all.samples.end(), row.begin(), row.end());
    }
    return Status::ok();
  }));
  if (all.count == 0) return Error{ErrorKind::kCorrupt, "no picture in the stream"};
  return all;
}

nb::ndarray<nb::numpy, uint16_t, nb::ndim<3>> decode_vvc(const nb::bytes& stream) {
  const std::span<const std::byte> bytes(static_cast<const std::byte*>(stream.data()), stream.size());
  Call call;
  auto decoded =
      std::make_unique<DecodedPictures>(call.run([&] { return decode_stream(bytes, call.cancelled()); }));
  const PictureFormat format = decoded->format;
  const uint64_t count = decoded->count;
  uint16_t* samples = decoded->samples.data();
  const nb::capsule owner(decoded.release(),
                          [](void* made) noexcept { delete static_cast<DecodedPictures*>(made); });
  return nb::ndarray<nb::numpy, uint16_t, nb::ndim<3>>(samples, {count, format.height, format.width}, owner);
}

void bind_info(nb::module_& module) {
  nb::class_<CodecInfo>(module, "CodecInfo")
      .def_ro("name", &CodecInfo::name)
      .def_ro("version", &CodecInfo::version)
      .def_ro("stream_format", &CodecInfo::stream_format)
      .def_ro("bit_depths", &CodecInfo::bit_depths)
      .def_ro("lossless", &CodecInfo::lossless)
      .def_ro("exact_decoder", &CodecInfo::exact_decoder)
      .def_ro("chroma_420", &CodecInfo::chroma_420)
      .def_prop_ro("finest_quality", [](const CodecInfo& info) { return info.quality.min; })
      .def_prop_ro("coarsest_quality", [](const CodecInfo& info) { return info.quality.max; })
      .def_prop_ro("lossless_only", [](const CodecInfo& info) { return info.quality.lossless_only; });
  nb::class_<CodecStatus>(module, "CodecStatus")
      .def_ro("info", &CodecStatus::info)
      .def_ro("can_encode", &CodecStatus::can_encode)
      .def_ro("can_decode", &CodecStatus::can_decode)
      .def_ro("missing_reason", &CodecStatus::missing_reason);
}

std::vector<CodecStatus> all_codecs(const Control& control) {
  Call call;
  return call.run([&]() -> Result<std::vector<CodecStatus>> { return list_codecs(control.environment); });
}

}  // namespace

void bind_codecs(nb::module_& module) {
  bind_info(module);
  nb::class_<OpenCodec>(module, "Codec")
      .def(nb::init<const std::string&, const Control&>(), nb::arg("spec"), nb::arg("control"))
      .def_prop_ro("spec", &OpenCodec::spec)
      .def_prop_ro("info", &OpenCodec::info)
      .def("encode", &OpenCodec::encode, nb::arg("planes"), nb::arg("bit_depth"), nb::arg("quality"))
      .def("decode", &OpenCodec::decode, nb::arg("stream"), nb::arg("planes"), nb::arg("bit_depth"));
  module.def("list_codecs", &all_codecs, nb::arg("control"));
  module.def("decode_vvc", &decode_vvc, nb::arg("stream"));
}

}  // namespace llmcodec::python
