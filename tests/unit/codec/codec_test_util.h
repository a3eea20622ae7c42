// SPDX-License-Identifier: BSD-3-Clause
// Planes to test codecs with, and where the tests find ffmpeg.
#pragma once

#include <cmath>
#include <span>
#include <vector>

#include "llmcodec/codec.h"

namespace llmcodec {

// Full-range pseudo-random samples; the four corners of each plane are the smallest and largest value.
inline std::vector<Plane> noise_planes(const PictureFormat& format, size_t count, uint32_t seed = 1) {
  const uint32_t largest = (1u << format.bit_depth) - 1;
  std::vector<Plane> planes;
  for (size_t i = 0; i < count; ++i) {
    Plane plane(format.width, format.height);
    const MutablePlaneView view = plane.view();
    for (size_t y = 0; y < view.rows; ++y) {
      for (uint16_t& sample : view.row(y)) {
        seed = seed * 1664525u + 1013904223u;
        sample = static_cast<uint16_t>((seed >> 16) & largest);
      }
    }
    view.at(0, 0) = view.at(view.rows - 1, view.cols - 1) = static_cast<uint16_t>(largest);
    if (view.rows > 1 && view.cols > 1) view.at(0, view.cols - 1) = view.at(view.rows - 1, 0) = 0;
    planes.push_back(std::move(plane));
  }
  return planes;
}

// Bell-shaped noise around mid-grey (the sum of four uniform values), deviation 2^depth / 13.9: like weights.
inline std::vector<Plane> bell_planes(const PictureFormat& format, size_t count, uint32_t seed = 1) {
  const uint32_t largest = (1u << format.bit_depth) - 1;
  std::vector<Plane> planes;
  for (size_t i = 0; i < count; ++i) {
    Plane plane(format.width, format.height);
    for (size_t y = 0; y < format.height; ++y) {
      for (uint16_t& sample : plane.view().row(y)) {
        uint32_t sum = 0;
        for (int k = 0; k < 4; ++k) {
          seed = seed * 1664525u + 1013904223u;
          sum += (seed >> 12) & largest;
        }
        sample = static_cast<uint16_t>((sum / 4 + largest / 2) / 2);
      }
    }
    planes.push_back(std::move(plane));
  }
  return planes;
}

// A smooth pattern (two ramps and a step) that every codec reproduces closely at its finest quality.
inline std::vector<Plane> smooth_planes(const PictureFormat& format, size_t count) {
  const double largest = (1u << format.bit_depth) - 1;
  std::vector<Plane> planes;
  for (size_t i = 0; i < count; ++i) {
    Plane plane(format.width, format.height);
    const MutablePlaneView view = plane.view();
    for (size_t y = 0; y < view.rows; ++y) {
      for (size_t x = 0; x < view.cols; ++x) {
        const double ramp =
            (static_cast<double>(x) / view.cols + static_cast<double>(y + i) / (view.rows + count)) / 2;
        view.at(y, x) = static_cast<uint16_t>(std::lround(ramp * largest));
      }
    }
    planes.push_back(std::move(plane));
  }
  return planes;
}

inline std::vector<PlaneView> views(const std::vector<Plane>& planes) {
  std::vector<PlaneView> list;
  for (const Plane& plane : planes) list.push_back(plane.view());
  return list;
}

inline std::vector<uint16_t> samples(const std::vector<Plane>& planes) {
  std::vector<uint16_t> all;
  for (const PlaneView& view : views(planes)) {
    for (size_t y = 0; y < view.rows; ++y) all.insert(all.end(), view.row(y).begin(), view.row(y).end());
  }
  return all;
}

inline Result<std::vector<Plane>> decode(const Codec& codec, std::span<const std::byte> stream,
                                         const PictureFormat& format, size_t count) {
  std::vector<Plane> planes;
  std::vector<MutablePlaneView> targets;
  for (size_t i = 0; i < count; ++i) planes.emplace_back(format.width, format.height);
  for (Plane& plane : planes) targets.push_back(plane.view());
  LLMC_RETURN_IF_ERROR(codec.decode(stream, format, targets));
  return planes;
}

inline double rms_difference(const std::vector<Plane>& a, const std::vector<Plane>& b) {
  const std::vector<uint16_t> x = samples(a), y = samples(b);
  double sum = 0;
  for (size_t i = 0; i < x.size(); ++i) sum += (double{1} * x[i] - y[i]) * (double{1} * x[i] - y[i]);
  return std::sqrt(sum / static_cast<double>(x.size()));
}

}  // namespace llmcodec
