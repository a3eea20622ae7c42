// SPDX-License-Identifier: BSD-3-Clause
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>

#include "call.h"
#include "module.h"
#include "plane/spatial_layout.h"
#include "plane/spectral_layout.h"
#include "quant/memory_row_reader.h"
#include "quant/scales.h"

namespace llmcodec::python {
namespace {

template <class T>
using Matrix = nb::ndarray<T, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
template <class T>
using Pictures = nb::ndarray<T, nb::ndim<3>, nb::c_contig, nb::device::cpu>;

template <class T>
MatrixView<T> view_of(const Matrix<T>& matrix) {
  return {matrix.data(), matrix.shape(0), matrix.shape(1)};
}

void check(bool right, const char* otherwise) {
  if (!right) raise({ErrorKind::kInvalidArgument, otherwise});
}

MatrixScales fit(const Matrix<const float>& matrix, const std::string& kind, bool asymmetric) {
  ScaleOptions options;
  options.spec = value_or_raise(parse_scale_spec(kind));
  options.asymmetric = asymmetric;
  Call call;
  return call.run([&] {
    MemoryRowReader rows(view_of(matrix));
    return fit_scales(rows, options);
  });
}

void check_shape(const MatrixScales& scales, const Matrix<const float>& in, const Matrix<float>& out) {
  for (const size_t axis : {0, 1}) {
    const size_t side = axis == 0 ? scales.rows : scales.cols;
    check(in.shape(axis) == side && out.shape(axis) == side, "the matrix has not the shape of these scales");
  }
}

void bind_scales(nb::module_& module) {
  nb::class_<MatrixScales>(module, "MatrixScales")
      .def_prop_ro("kind", [](const MatrixScales& scales) { return scale_spec_name(scales.spec); })
      .def_ro("asymmetric", &MatrixScales::asymmetric)
      .def_prop_ro("shape", [](const MatrixScales& scales) { return std::tuple(scales.rows, scales.cols); })
      .def_prop_ro("side_bytes", &MatrixScales::side_bytes)
      .def("row_scales",
           [](const MatrixScales& scales) { return decode_all(scales.row_code, scales.row_codes); })
      .def("col_scales",
           [](const MatrixScales& scales) { return decode_all(scales.col_code, scales.col_codes); })
      .def(
          "normalise",
          [](const MatrixScales& scales, const Matrix<const float>& in, const Matrix<float>& out) {
            check_shape(scales, in, out);
            normalise(scales, 0, view_of(in), view_of(out));
          },
          nb::arg("weights"), nb::arg("out"))
      .def(
          "denormalise",
          [](const MatrixScales& scales, const Matrix<const float>& in, const Matrix<float>& out) {
            check_shape(scales, in, out);
            denormalise(scales, 0, view_of(in), view_of(out));
          },
          nb::arg("normalised"), nb::arg("out"));
  module.def("fit_scales", &fit, nb::arg("matrix"), nb::arg("kind"), nb::arg("asymmetric"));
}

// Picture `index` of an array whose pictures have the layout's size.
template <class T>
MatrixView<T> picture_view(const Pictures<T>& pictures, uint64_t index) {
  const size_t rows = pictures.shape(1), cols = pictures.shape(2);
  return {pictures.data() + index * rows * cols, rows, cols};
}

template <class T>
void check_pictures(const SpatialLayout& layout, const Pictures<T>& pictures) {
  check(pictures.shape(0) == layout.pictures() && pictures.shape(1) == layout.height &&
            pictures.shape(2) == layout.width,
        "the pictures have not the size of this layout");
}

void bind_spatial(nb::module_& module) {
  nb::class_<SpatialLayout>(module, "SpatialLayout")
      .def_static(
          "make",
          [](uint64_t rows, uint64_t cols, uint64_t target) {
            return value_or_raise(SpatialLayout::make(rows, cols, target));
          },
          nb::arg("rows"), nb::arg("cols"), nb::arg("target"))
      .def_prop_ro("shape",
                   [](const SpatialLayout& layout) {
                     return std::tuple(layout.pictures(), layout.height, layout.width);
                   })
      .def(
          "gather",
          [](const SpatialLayout& layout, const Matrix<const uint16_t>& matrix, uint16_t pad,
             const Pictures<uint16_t>& out) {
            check(matrix.shape(0) == layout.rows && matrix.shape(1) == layout.cols, "another matrix");
            check_pictures(layout, out);
            for (uint64_t i = 0; i < layout.pictures(); ++i) {
              const PictureRect rect = layout.picture(i);
              gather(layout, i, view_of(matrix).block(rect.first_row, 0, rect.rows, layout.cols), {}, pad,
                     picture_view(out, i));
            }
          },
          nb::arg("matrix"), nb::arg("pad"), nb::arg("out"))
      .def(
          "scatter",
          [](const SpatialLayout& layout, const Pictures<const uint16_t>& pictures,
             const Matrix<uint16_t>& out) {
            check(out.shape(0) == layout.rows && out.shape(1) == layout.cols, "another matrix");
            check_pictures(layout, pictures);
            for (uint64_t i = 0; i < layout.pictures(); ++i) {
              const PictureRect rect = layout.picture(i);
              scatter(layout, i, picture_view(pictures, i), {},
                      view_of(out).block(rect.first_row, 0, rect.rows, layout.cols));
            }
          },
          nb::arg("pictures"), nb::arg("out"));
}

// One row of coefficients a picture.
void check_coefficients(const SpectralLayout& layout, size_t pictures, size_t coefficients) {
  check(pictures == layout.pictures() && coefficients == layout.picture_coefficients(),
        "the coefficients have not the size of this layout");
}

void bind_spectral(nb::module_& module) {
  nb::class_<SpectralLayout>(module, "SpectralLayout")
      .def_static(
          "make",
          [](uint64_t rows, uint64_t cols, uint32_t outputs_per_block, uint64_t target) {
            return value_or_raise(SpectralLayout::make(rows, cols, outputs_per_block, target));
          },
          nb::arg("rows"), nb::arg("cols"), nb::arg("outputs_per_block"), nb::arg("target"))
      .def_prop_ro("shape",
                   [](const SpectralLayout& layout) {
                     return std::tuple(layout.pictures(), layout.strips, layout.blocks_x,
                                       layout.block_coefficients());
                   })
      .def(
          "gather",
          [](const SpectralLayout& layout, const Matrix<const float>& matrix, const Matrix<float>& out) {
            check(matrix.shape(0) == layout.rows && matrix.shape(1) == layout.cols, "another matrix");
            check_coefficients(layout, out.shape(0), out.shape(1));
            for (uint64_t i = 0; i < layout.pictures(); ++i) {
              const PictureRect rect = layout.picture(i);
              gather_picture(layout,
                             view_of(matrix).block(rect.first_row, rect.first_col, rect.rows, rect.cols),
                             view_of(out).row(i));
            }
          },
          nb::arg("matrix"), nb::arg("out"))
      .def(
          "scatter",
          [](const SpectralLayout& layout, const Matrix<const float>& coefficients,
             const Matrix<float>& out) {
            check(out.shape(0) == layout.rows && out.shape(1) == layout.cols, "another matrix");
            check_coefficients(layout, coefficients.shape(0), coefficients.shape(1));
            for (uint64_t i = 0; i < layout.pictures(); ++i) {
              const PictureRect rect = layout.picture(i);
              scatter_picture(layout, std::span<const float>(view_of(coefficients).row(i)), 1.0f,
                              view_of(out).block(rect.first_row, rect.first_col, rect.rows, rect.cols));
            }
          },
          nb::arg("coefficients"), nb::arg("out"));
}

}  // namespace

void bind_stages(nb::module_& module) {
  bind_scales(module);
  bind_spatial(module);
  bind_spectral(module);
}

}  // namespace llmcodec::python
