// SPDX-License-Identifier: BSD-3-Clause
// How the weights of a matrix become pictures: as their samples, or as the transform coefficients of an
// ordinary VVC picture (docs/format.md, 2.3 and 2.4); and the numbers that the pictures of a tensor share.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace llmcodec {

enum class Layout { kSpatial, kSpectral };

// Lines of a matrix that are cut into pieces before it is laid out (plane/fold.h).
enum class Lines { kNone, kRows, kColumns };

// As plans, options and archives spell it.
inline const char* layout_name(Layout layout) {
  return layout == Layout::kSpectral ? "spectral" : "spatial";
}

inline std::optional<Layout> layout_from_name(std::string_view name) {
  for (const Layout layout : {Layout::kSpatial, Layout::kSpectral}) {
    if (name == layout_name(layout)) return layout;
  }
  return std::nullopt;
}

// What turns a matrix into pictures and streams, besides its shape and its scales.
struct PictureSettings {
  Layout layout = Layout::kSpectral;
  uint32_t bit_depth = 10;         // spatial
  double step = 0;                 // u per sample step (spatial) or per index (spectral)
  double quality = 0;              // of the codec; spectral: the slice QP
  uint32_t outputs_per_block = 0;  // spectral
  Lines lines = Lines::kNone;      // spectral
  bool operator==(const PictureSettings&) const = default;
};

}  // namespace llmcodec
