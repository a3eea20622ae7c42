// SPDX-License-Identifier: BSD-3-Clause
// Rows for initType 0 (I slices) and luma only. The values are those of the standard;
// tests/unit/vvc/cabac/contexts_test.cc holds their checksum, and every decoded
// conformance stream proves them.
#include "vvc/cabac/context_tables.h"

#include <iterator>

#include "vvc/cabac/contexts.h"

namespace llmcodec::vvc {
namespace {

constexpr uint8_t kSplitCuFlagInit[] = {19, 28, 38, 27, 29, 38, 20, 30, 31};
constexpr uint8_t kSplitCuFlagShift[] = {12, 13, 8, 8, 13, 12, 5, 9, 9};
constexpr uint8_t kSplitQtFlagInit[] = {27, 6, 15, 25, 19, 37};
constexpr uint8_t kSplitQtFlagShift[] = {0, 8, 8, 12, 12, 8};
constexpr uint8_t kMttSplitCuVerticalFlagInit[] = {43, 42, 29, 27, 44};
constexpr uint8_t kMttSplitCuVerticalFlagShift[] = {9, 8, 9, 8, 5};
constexpr uint8_t kMttSplitCuBinaryFlagInit[] = {36, 45, 36, 45};
constexpr uint8_t kMttSplitCuBinaryFlagShift[] = {12, 13, 12, 13};
constexpr uint8_t kIntraLumaRefIdxInit[] = {25, 60};
constexpr uint8_t kIntraLumaRefIdxShift[] = {5, 8};
constexpr uint8_t kIntraLumaMpmFlagInit[] = {45};
constexpr uint8_t kIntraLumaMpmFlagShift[] = {6};
constexpr uint8_t kIntraLumaNotPlanarFlagInit[] = {13, 28};
constexpr uint8_t kIntraLumaNotPlanarFlagShift[] = {1, 5};
constexpr uint8_t kCuQpDeltaAbsInit[] = {35, 35};
constexpr uint8_t kCuQpDeltaAbsShift[] = {8, 8};
constexpr uint8_t kTuYCodedFlagInit[] = {15, 12, 5, 7};
constexpr uint8_t kTuYCodedFlagShift[] = {5, 1, 8, 9};
constexpr uint8_t kLastSigCoeffXPrefixInit[] = {13, 5, 4,  21, 14, 4,  6,  14, 21, 11,
                                                14, 7, 14, 5,  11, 21, 30, 22, 13, 42};
constexpr uint8_t kLastSigCoeffXPrefixShift[] = {8, 5, 4, 5, 4, 4, 5, 4, 1, 0, 4, 1, 0, 0, 0, 0, 1, 0, 0, 0};
constexpr uint8_t kLastSigCoeffYPrefixInit[] = {13, 5,  4, 6, 13, 11, 14, 6,  5,  3,
                                                14, 22, 6, 4, 3,  6,  22, 29, 20, 34};
constexpr uint8_t kLastSigCoeffYPrefixShift[] = {8, 5, 8, 5, 5, 4, 5, 5, 4, 0, 5, 4, 1, 0, 0, 1, 4, 0, 0, 0};
constexpr uint8_t kSbCodedFlagInit[] = {18, 31};
constexpr uint8_t kSbCodedFlagShift[] = {8, 5};
// Three sets: QState 0 and 1, QState 2, QState 3.
constexpr uint8_t kSigCoeffFlagInit[] = {25, 19, 28, 14, 25, 20, 29, 30, 19, 37, 30, 38,  //
                                         11, 38, 46, 54, 27, 39, 39, 39, 44, 39, 39, 39,  //
                                         18, 39, 39, 39, 27, 39, 39, 39, 0,  39, 39, 39};
constexpr uint8_t kSigCoeffFlagShift[] = {12, 9,  9, 10, 9, 9, 9, 10, 8, 8, 8, 10,  //
                                          9,  13, 8, 8,  8, 8, 8, 5,  8, 0, 0, 0,   //
                                          8,  8,  8, 8,  8, 0, 4, 4,  0, 0, 0, 0};
constexpr uint8_t kParLevelFlagInit[] = {33, 25, 18, 26, 34, 27, 25, 26, 19, 42, 35,
                                         33, 19, 27, 35, 35, 34, 42, 20, 43, 20};
constexpr uint8_t kParLevelFlagShift[] = {8,  9,  12, 13, 13, 13, 10, 13, 13, 13, 13,
                                          13, 13, 13, 13, 13, 10, 13, 13, 13, 13};
constexpr uint8_t kAbsLevelGt1FlagInit[] = {25, 25, 11, 27, 20, 21, 33, 12, 28, 21, 22,
                                            34, 28, 29, 29, 30, 36, 29, 45, 30, 23};
constexpr uint8_t kAbsLevelGt1FlagShift[] = {9, 5,  10, 13, 13, 10, 9, 10, 13, 13, 13,
                                             9, 10, 10, 10, 13, 8,  9, 10, 10, 13};
constexpr uint8_t kAbsLevelGt3FlagInit[] = {25, 1,  40, 25, 33, 11, 17, 25, 25, 18, 4,
                                            17, 33, 26, 19, 13, 33, 19, 20, 28, 22};
constexpr uint8_t kAbsLevelGt3FlagShift[] = {1, 5, 9, 9, 9, 6, 5, 9, 10, 10, 9,
                                             9, 9, 9, 9, 9, 6, 8, 9, 9,  10};

static_assert(std::size(kSplitCuFlagInit) == 9 && std::size(kSplitQtFlagInit) == 6);
static_assert(std::size(kLastSigCoeffXPrefixInit) == 20 && std::size(kLastSigCoeffXPrefixShift) == 20);
static_assert(std::size(kLastSigCoeffYPrefixInit) == 20 && std::size(kLastSigCoeffYPrefixShift) == 20);
static_assert(std::size(kSigCoeffFlagInit) == 36 && std::size(kSigCoeffFlagShift) == 36);
static_assert(std::size(kParLevelFlagInit) == 21 && std::size(kParLevelFlagShift) == 21);
static_assert(std::size(kAbsLevelGt1FlagInit) == 21 && std::size(kAbsLevelGt1FlagShift) == 21);
static_assert(std::size(kAbsLevelGt3FlagInit) == 21 && std::size(kAbsLevelGt3FlagShift) == 21);

constexpr ContextTableRow kRows[] = {
    {"split_cu_flag", ctx::kSplitCuFlag, kSplitCuFlagInit, kSplitCuFlagShift},
    {"split_qt_flag", ctx::kSplitQtFlag, kSplitQtFlagInit, kSplitQtFlagShift},
    {"mtt_split_cu_vertical_flag", ctx::kMttSplitCuVerticalFlag, kMttSplitCuVerticalFlagInit,
     kMttSplitCuVerticalFlagShift},
    {"mtt_split_cu_binary_flag", ctx::kMttSplitCuBinaryFlag, kMttSplitCuBinaryFlagInit,
     kMttSplitCuBinaryFlagShift},
    {"intra_luma_ref_idx", ctx::kIntraLumaRefIdx, kIntraLumaRefIdxInit, kIntraLumaRefIdxShift},
    {"intra_luma_mpm_flag", ctx::kIntraLumaMpmFlag, kIntraLumaMpmFlagInit, kIntraLumaMpmFlagShift},
    {"intra_luma_not_planar_flag", ctx::kIntraLumaNotPlanarFlag, kIntraLumaNotPlanarFlagInit,
     kIntraLumaNotPlanarFlagShift},
    {"cu_qp_delta_abs", ctx::kCuQpDeltaAbs, kCuQpDeltaAbsInit, kCuQpDeltaAbsShift},
    {"tu_y_coded_flag", ctx::kTuYCodedFlag, kTuYCodedFlagInit, kTuYCodedFlagShift},
    {"last_sig_coeff_x_prefix", ctx::kLastSigCoeffXPrefix, kLastSigCoeffXPrefixInit,
     kLastSigCoeffXPrefixShift},
    {"last_sig_coeff_y_prefix", ctx::kLastSigCoeffYPrefix, kLastSigCoeffYPrefixInit,
     kLastSigCoeffYPrefixShift},
    {"sb_coded_flag", ctx::kSbCodedFlag, kSbCodedFlagInit, kSbCodedFlagShift},
    {"sig_coeff_flag", ctx::kSigCoeffFlag, kSigCoeffFlagInit, kSigCoeffFlagShift},
    {"par_level_flag", ctx::kParLevelFlag, kParLevelFlagInit, kParLevelFlagShift},
    {"abs_level_gtx_flag[0]", ctx::kAbsLevelGt1Flag, kAbsLevelGt1FlagInit, kAbsLevelGt1FlagShift},
    {"abs_level_gtx_flag[1]", ctx::kAbsLevelGt3Flag, kAbsLevelGt3FlagInit, kAbsLevelGt3FlagShift},
};

}  // namespace

std::span<const ContextTableRow> context_table() {
  return kRows;
}

}  // namespace llmcodec::vvc
