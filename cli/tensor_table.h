// SPDX-License-Identifier: BSD-3-Clause
// Tensors of a report as an aligned table.
#pragma once

#include <string>
#include <vector>

#include "llmcodec/model.h"

namespace llmcodec::cli {

// Columns beyond name, dtype, shape, bytes and bits per weight.
struct TensorColumns {
  bool role = false;
  bool snr = false;
  bool errors = false;  // largest error and cosine
  bool outliers = false;
};

// One line per tensor; the last column says why a tensor is stored exactly, where that is known.
std::string tensor_table(const std::vector<TensorReport>& tensors, const TensorColumns& columns);

// "30 of 272 tensors coded".
std::string coded_count(const std::vector<TensorReport>& tensors);

// "products B A of 210 pairs: SNR 17.05 dB, the worst 12.31 dB (NAME of A)", as a line; empty where there are none.
std::string products_line(const ProductsReport& products);

// "part unet: 686 tensors, 859,520,964 parameters, 322,001,920 bytes", a line for each part of a pipeline.
std::string parts_lines(const std::vector<PartReport>& parts);

// "3 files carried along: 1,234 bytes, not counted above", as a line; empty where there are none.
std::string carried_line(const CarriedFilesReport& files);

}  // namespace llmcodec::cli
