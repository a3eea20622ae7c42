// SPDX-License-Identifier: BSD-3-Clause
#include "vvc/picture/intra_pred.h"

#include <algorithm>
#include <bit>
#include <cstdlib>

namespace llmcodec::vvc {
namespace {

// Weight of a reference in the PDPC at distance `distance`, in 1/64.
int pdpc_weight(int distance, int scale) {
  return 32 >> std::min(31, (2 * distance) >> scale);
}

int pdpc_scale(const PredictionBlock& b) {
  return (b.log2_width + b.log2_height - 2) >> 2;
}

// H.266 (V3, 09/2023) 8.4.5.2.11 Specification of intra prediction mode INTRA_PLANAR
void predict_planar(const ReferenceSamples& refs, MutablePlaneView out) {
  const PredictionBlock& b = refs.block();
  const int width = 1 << b.log2_width, height = 1 << b.log2_height;
  const int right = refs.above(width + 1), bottom = refs.left(height + 1);
  const int shift = b.log2_width + b.log2_height + 1;
  for (int y = 0; y < height; ++y) {
    const int left = refs.left(y + 1);
    for (int x = 0; x < width; ++x) {
      const int vertical = ((height - 1 - y) * refs.above(x + 1) + (y + 1) * bottom) << b.log2_width;
      const int horizontal = ((width - 1 - x) * left + (x + 1) * right) << b.log2_height;
      out.at(y, x) = static_cast<uint16_t>((vertical + horizontal + width * height) >> shift);
    }
  }
}

// H.266 (V3, 09/2023) 8.4.5.2.12 Specification of intra prediction mode INTRA_DC
// The mean of the longer side, or of both when they are equal.
void predict_dc(const ReferenceSamples& refs, MutablePlaneView out) {
  const PredictionBlock& b = refs.block();
  const int width = 1 << b.log2_width, height = 1 << b.log2_height;
  int sum = 0;
  for (int x = 0; x < width && width >= height; ++x) sum += refs.above(b.ref_idx + 1 + x);
  for (int y = 0; y < height && height >= width; ++y) sum += refs.left(b.ref_idx + 1 + y);
  const int shift = width == height ? b.log2_width + 1 : std::max(b.log2_width, b.log2_height);
  const auto mean = static_cast<uint16_t>((sum + (1 << (shift - 1))) >> shift);
  for (int y = 0; y < height; ++y) std::fill_n(out.row(y).begin(), width, mean);
}

// H.266 (V3, 09/2023) 8.4.5.2.15 Position-dependent intra prediction sample filtering process
// For planar and DC.
void combine_with_references(const ReferenceSamples& refs, MutablePlaneView out) {
  const PredictionBlock& b = refs.block();
  const int width = 1 << b.log2_width, height = 1 << b.log2_height;
  const int scale = pdpc_scale(b);
  // Weights are zero from here on.
  const int reach = 3 << scale;
  for (int y = 0; y < height; ++y) {
    const int weight_top = pdpc_weight(y, scale), left = refs.left(y + 1);
    const int end = weight_top > 0 ? width : std::min(width, reach);
    for (int x = 0; x < end; ++x) {
      const int value = out.at(y, x);
      const int pull = pdpc_weight(x, scale) * (left - value) + weight_top * (refs.above(x + 1) - value);
      out.at(y, x) = static_cast<uint16_t>(value + ((pull + 32) >> 6));
    }
  }
}

// H.266 (V3, 09/2023) 8.4.5.2.7 Wide angle intra prediction mode mapping process
// Modes below 2 go on without a gap (1, 0, -1, ...), where the standard leaves out planar and DC,
// so that steps from an axis are plain differences.
int map_wide_angle(const PredictionBlock& b, int mode) {
  constexpr int kShift[] = {0, 6, 10, 12, 14, 15};
  const int ratio = std::abs(b.log2_width - b.log2_height);
  if (b.log2_width > b.log2_height && mode < 2 + kShift[ratio]) return mode + 65;
  if (b.log2_height > b.log2_width && mode > 66 - kShift[ratio]) return mode - 65;
  return mode;
}

// An angular direction, in the frame where the main reference is the row above:
// horizontal modes are transposed.
struct Direction {
  bool vertical;
  int angle;          // intraPredAngle: displacement per row in 1/32 sample
  int inverse_angle;  // 512 * 32 / |angle|
  int deviation;      // modes between this one and the nearer of pure horizontal and vertical
};

// H.266 (V3, 09/2023) 8.4.5.2.13, tables of intraPredAngle and invAngle
Direction direction_of(int mode) {
  constexpr int kAngle[32] = {0,  1,  2,  3,  4,  6,  8,  10, 12, 14,  16,  18,  20,  23,  26,  29,
                              32, 35, 39, 45, 51, 57, 64, 73, 86, 102, 128, 171, 256, 341, 512, 1024};
  Direction d;
  d.vertical = mode >= kIntraDiagonal;
  const int steps = d.vertical ? mode - kIntraVertical : kIntraHorizontal - mode;
  const int size = kAngle[std::abs(steps)];
  d.angle = steps < 0 ? -size : size;
  d.inverse_angle = size == 0 ? 0 : (512 * 32 + size / 2) / size;
  d.deviation = std::min(std::abs(mode - kIntraHorizontal), std::abs(mode - kIntraVertical));
  return d;
}

// Cubic (sharp) interpolation at 1/32 positions, H.266 table 25 (fC).
constexpr int8_t kCubic[32][4] = {{0, 64, 0, 0},    {-1, 63, 2, 0},   {-2, 62, 4, 0},   {-2, 60, 7, -1},
                                  {-2, 58, 10, -2}, {-3, 57, 12, -2}, {-4, 56, 14, -2}, {-4, 55, 15, -2},
                                  {-4, 54, 16, -2}, {-5, 53, 18, -2}, {-6, 52, 20, -2}, {-6, 49, 24, -3},
                                  {-6, 46, 28, -4}, {-5, 44, 29, -4}, {-4, 42, 30, -4}, {-4, 39, 33, -4},
                                  {-4, 36, 36, -4}, {-4, 33, 39, -4}, {-4, 30, 42, -4}, {-4, 29, 44, -5},
                                  {-4, 28, 46, -6}, {-3, 24, 49, -6}, {-2, 20, 52, -6}, {-2, 18, 53, -5},
                                  {-2, 16, 54, -4}, {-2, 15, 55, -4}, {-2, 14, 56, -4}, {-2, 12, 57, -3},
                                  {-2, 10, 58, -2}, {-1, 7, 60, -2},  {0, 4, 62, -2},   {0, 2, 63, -1}};

// Taps at 1/32 position `fraction`. The smoothing ones (fG) are a 1-2-1 filter shifted linearly.
void interpolation_taps(int fraction, bool cubic, int taps[4]) {
  const int shift = fraction >> 1;
  const int smooth[4] = {16 - shift, 32 - shift, 16 + shift, shift};
  for (int i = 0; i < 4; ++i) taps[i] = cubic ? kCubic[fraction][i] : smooth[i];
}

// One angular prediction, in the transposed frame: width and height are those of the frame.
class AngularPredictor {
 public:
  AngularPredictor(const ReferenceSamples& refs, const Direction& direction, bool smoothing, int bit_depth)
      : refs_(refs),
        direction_(direction),
        ref_idx_(refs.block().ref_idx),
        log2_width_(direction.vertical ? refs.block().log2_width : refs.block().log2_height),
        log2_height_(direction.vertical ? refs.block().log2_height : refs.block().log2_width),
        cubic_(!smoothing || ref_idx_ > 0),
        max_value_((1 << bit_depth) - 1) {
    fill_main();
  }

  void predict(MutablePlaneView out) {
    const int width = 1 << log2_width_, height = 1 << log2_height_;
    const int scale = combination_scale();
    uint16_t row[64];
    for (int y = 0; y < height; ++y) {
      interpolate(y, width, row);
      if (direction_.angle == 0 && ref_idx_ == 0) combine_straight(y, width, row);
      if (direction_.angle > 0 && scale >= 0) combine_slanted(y, width, scale, row);
      if (direction_.vertical) {
        std::copy(row, row + width, out.row(y).begin());
      } else {
        for (int x = 0; x < width; ++x) out.at(x, y) = row[x];
      }
    }
  }

 private:
  int side(int i) const { return direction_.vertical ? refs_.left(i) : refs_.above(i); }
  int along(int i) const { return direction_.vertical ? refs_.above(i) : refs_.left(i); }

  // H.266 (V3, 09/2023) 8.4.5.2.13: the array ref[], extended by projecting the side
  // or repeating the last sample.
  void fill_main() {
    const int width = 1 << log2_width_, height = 1 << log2_height_;
    if (direction_.angle < 0) {
      for (int i = 0; i <= width + 1 + ref_idx_; ++i) main_[kOrigin + i] = static_cast<uint16_t>(along(i));
      for (int i = 1; i <= height; ++i) {
        const int projected = std::min((i * direction_.inverse_angle + 256) >> 9, height);
        main_[kOrigin - i] = static_cast<uint16_t>(side(projected));
      }
    } else {
      const int last = 2 * width + ref_idx_;
      for (int i = 0; i <= last; ++i) main_[kOrigin + i] = static_cast<uint16_t>(along(i));
      std::fill(main_ + kOrigin + last + 1, main_ + kMainSize, main_[kOrigin + last]);
    }
  }

  void interpolate(int y, int width, uint16_t* row) const {
    const int position = (y + 1 + ref_idx_) * direction_.angle;
    const uint16_t* at = main_ + kOrigin + ref_idx_ + (position >> 5);
    if ((direction_.angle & 31) == 0) {
      std::copy(at + 1, at + 1 + width, row);
      return;
    }
    int taps[4];
    interpolation_taps(position & 31, cubic_, taps);
    for (int x = 0; x < width; ++x) {
      const int sum = taps[0] * at[x] + taps[1] * at[x + 1] + taps[2] * at[x + 2] + taps[3] * at[x + 3];
      row[x] = static_cast<uint16_t>(std::clamp((sum + 32) >> 6, 0, max_value_));
    }
  }

  // H.266 (V3, 09/2023) 8.4.5.2.15, pure horizontal and vertical
  void combine_straight(int y, int width, uint16_t* row) const {
    const int scale = pdpc_scale(refs_.block());
    const int gradient = side(y + 1) - refs_.above(0);
    for (int x = 0; x < std::min(width, 3 << scale); ++x) {
      const int value = row[x] + ((pdpc_weight(x, scale) * gradient + 32) >> 6);
      row[x] = static_cast<uint16_t>(std::clamp(value, 0, max_value_));
    }
  }

  // H.266 (V3, 09/2023) 8.4.5.2.15, modes that look away from the side: nScale, negative for no combination.
  int combination_scale() const {
    if (ref_idx_ > 0 || direction_.angle <= 0) return -1;
    const int log2 = std::bit_width(static_cast<unsigned>(3 * direction_.inverse_angle - 2)) - 1;
    return std::min(2, log2_height_ - (log2 - 8));
  }
  void combine_slanted(int y, int width, int scale, uint16_t* row) const {
    for (int x = 0; x < std::min(width, 3 << scale); ++x) {
      const int reference = side(y + ((256 + (x + 1) * direction_.inverse_angle) >> 9) + 1);
      row[x] = static_cast<uint16_t>(row[x] + ((pdpc_weight(x, scale) * (reference - row[x]) + 32) >> 6));
    }
  }

  // Room for negative indexes down to -64, for 2 * 64 samples, and for wide angles that read past them.
  static constexpr int kOrigin = 64;
  static constexpr int kMainSize = kOrigin + 128 + 2 + 2 * 16 + 8 + 64;
  const ReferenceSamples& refs_;
  Direction direction_;
  int ref_idx_;
  int log2_width_, log2_height_;
  bool cubic_;
  int max_value_;
  uint16_t main_[kMainSize];
};

// H.266 (V3, 09/2023) 8.4.5.2.13 (filterFlag): directions further than this from an axis are smoothed.
int smoothing_threshold(const PredictionBlock& b) {
  constexpr int kThreshold[] = {24, 24, 24, 14, 2, 0, 0};
  return kThreshold[(b.log2_width + b.log2_height) >> 1];
}

}  // namespace

void ReferenceSamples::smooth() {
  uint16_t before = line_[0];
  for (int i = 1; i + 1 < size_; ++i) {
    const uint16_t here = line_[i];
    line_[i] = static_cast<uint16_t>((before + 2 * here + line_[i + 1] + 2) >> 2);
    before = here;
  }
}

void ReferenceSamples::fetch(PlaneView picture, const NeighbourScope& scope, const PredictionBlock& block,
                             int bit_depth) {
  block_ = block;
  corner_ = 2 * (1 << block.log2_height) + block.ref_idx;
  size_ = corner_ + block.ref_idx + 2 * (1 << block.log2_width) + 1;
  const Known known = find_known(scope);
  if (known.left == 0 && known.above == 0 && !known.corner) {
    std::fill_n(line_, size_, static_cast<uint16_t>(1 << (bit_depth - 1)));
    return;
  }
  copy_known(picture, known);
  substitute_missing(known);
}

// H.266 (V3, 09/2023) 8.4.5.2.8 Reference sample availability marking process
// Availability ends somewhere on the way down and on the way right, and never starts again.
ReferenceSamples::Known ReferenceSamples::find_known(const NeighbourScope& scope) const {
  const int x = block_.x, y = block_.y;
  const auto is_known = [&scope](int at_x, int at_y) {
    return scope.map->find(at_x, at_y, scope.slice) != nullptr;
  };
  Known known{.left = 0, .above = 0, .corner = is_known(x - 1, y - 1)};
  while (known.left < 2 << block_.log2_height && is_known(x - 1, y + known.left)) known.left += 4;
  while (known.above < 2 << block_.log2_width && x + known.above < scope.right_limit &&
         is_known(x + known.above, y - 1))
    known.above += 4;
  return known;
}

void ReferenceSamples::copy_known(PlaneView picture, const Known& known) {
  const int ref_idx = block_.ref_idx, column = block_.x - 1 - ref_idx, row = block_.y - 1 - ref_idx;
  uint16_t* const left = left_top();
  for (int i = 0; i < known.left; ++i) left[-i] = picture.at(block_.y + i, column);
  if (known.above > 0) std::copy_n(&picture.at(row, block_.x), known.above, above_first());
  if (!known.corner) return;
  for (int i = 0; i <= ref_idx; ++i) left[1 + i] = picture.at(block_.y - 1 - i, column);
  for (int i = 1; i <= ref_idx; ++i) line_[corner_ + i] = picture.at(row, column + i);
}

// H.266 (V3, 09/2023) 8.4.5.2.9 Reference sample substitution process
// Missing samples copy the one before them, from the lower left end on;
// the first ones copy the first known one.
void ReferenceSamples::substitute_missing(const Known& known) {
  uint16_t* const corner = left_top() + 1;
  if (known.left == 0) std::fill(line_, corner, known.corner ? *corner : *above_first());
  if (known.left > 0) std::fill(line_, corner - known.left, corner[-known.left]);
  if (!known.corner) std::fill(corner, above_first(), corner[-1]);
  std::fill(above_first() + known.above, line_ + size_, above_first()[known.above - 1]);
}

void predict_intra(ReferenceSamples& refs, int mode, int bit_depth, MutablePlaneView out) {
  const PredictionBlock& b = refs.block();
  if (mode == kIntraPlanar || mode == kIntraDc) {
    if (mode == kIntraPlanar && b.log2_width + b.log2_height > 5) refs.smooth();
    if (mode == kIntraPlanar) {
      predict_planar(refs, out);
    } else {
      predict_dc(refs, out);
    }
    if (b.ref_idx == 0) combine_with_references(refs, out);
    return;
  }
  const Direction direction = direction_of(map_wide_angle(b, mode));
  const bool smoothing = direction.deviation > smoothing_threshold(b);
  if (smoothing && b.ref_idx == 0 && (direction.angle & 31) == 0) refs.smooth();
  AngularPredictor(refs, direction, smoothing, bit_depth).predict(out);
}

// H.266 (V3, 09/2023) 8.4.2 Derivation process for luma intra prediction mode, candModeList
MostProbableModes most_probable_modes(int left_mode, int above_mode) {
  // The angular mode `offset` steps on, cyclically over 2..65.
  const auto near = [](int mode, int offset) {
    return static_cast<uint8_t>(2 + ((mode + offset - 2 + 64) & 63));
  };
  const int a = std::max(left_mode, above_mode), b = std::min(left_mode, above_mode);
  const auto mode_a = static_cast<uint8_t>(a);
  if (a <= kIntraDc) return {{kIntraPlanar, kIntraDc, 50, 18, 46, 54}};
  if (a == b || b <= kIntraDc)
    return {{kIntraPlanar, mode_a, near(a, -1), near(a, 1), near(a, -2), near(a, 2)}};
  MostProbableModes list = {
      {kIntraPlanar, static_cast<uint8_t>(left_mode), static_cast<uint8_t>(above_mode), 0, 0, 0}};
  const int distance = a - b;
  uint8_t* rest = list.mode + 3;
  if (distance == 1) {
    rest[0] = near(b, -1), rest[1] = near(a, 1), rest[2] = near(b, -2);
  } else if (distance >= 62) {
    rest[0] = near(b, 1), rest[1] = near(a, -1), rest[2] = near(b, 2);
  } else if (distance == 2) {
    rest[0] = near(b, 1), rest[1] = near(b, -1), rest[2] = near(a, 1);
  } else {
    rest[0] = near(b, -1), rest[1] = near(b, 1), rest[2] = near(a, -1);
  }
  return list;
}

}  // namespace llmcodec::vvc
