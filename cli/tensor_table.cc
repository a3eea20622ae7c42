// SPDX-License-Identifier: BSD-3-Clause
#include "tensor_table.h"

#include <algorithm>

#include "base/error.h"
#include "base/printable.h"
#include "text_format.h"

namespace llmcodec::cli {
namespace {

std::string shape_text(const std::vector<uint64_t>& shape) {
  return fmt::format("{}", fmt::join(shape, "x"));
}

std::string stored_text(const TensorReport& tensor) {
  if (!tensor.same_as.empty()) return "same as " + tensor.same_as;
  if (tensor.coded) return "coded";
  return tensor.reason.empty() ? "exact" : "exact: " + tensor.reason;
}

}  // namespace

std::string tensor_table(const std::vector<TensorReport>& tensors, const TensorColumns& columns) {
  std::vector<TextTable::Column> titles = {
      {"tensor"}, {"dtype"}, {"shape", Align::kRight}, {"bytes", Align::kRight}, {"bpw", Align::kRight}};
  if (columns.role) titles.push_back({"role"});
  if (columns.snr) titles.push_back({"SNR dB", Align::kRight});
  if (columns.errors) {
    titles.push_back({"max error", Align::kRight});
    titles.push_back({"cosine", Align::kRight});
  }
  if (columns.outliers) titles.push_back({"outliers", Align::kRight});
  titles.push_back({"stored"});
  TextTable table(std::move(titles));
  for (const TensorReport& tensor : tensors) {
    std::vector<std::string> cells = {tensor.name, tensor.dtype, shape_text(tensor.shape),
                                      grouped(tensor.bytes), decimals(tensor.bpw, 3)};
    const auto add = [&](const std::string& text) { cells.push_back(tensor.coded ? text : ""); };
    if (columns.role) cells.push_back(tensor.role);
    if (columns.snr) add(decimals(tensor.snr_db, 2));
    if (columns.errors) {
      add(fmt::format("{:.3g}", tensor.max_abs_error));
      add(decimals(tensor.cosine, 6));
    }
    if (columns.outliers) add(grouped(tensor.outliers));
    cells.push_back(stored_text(tensor));
    table.add(std::move(cells));
  }
  return table.to_string();
}

std::string coded_count(const std::vector<TensorReport>& tensors) {
  return fmt::format("{} of {} tensors coded", std::ranges::count_if(tensors, &TensorReport::coded),
                     tensors.size());
}

std::string products_line(const ProductsReport& products) {
  if (products.pairs.empty()) return "";
  const ProductReport& worst = *std::ranges::min_element(products.pairs, {}, &ProductReport::snr_db);
  return fmt::format("products B A of {} pairs: SNR {} dB, the worst {} dB ({})\n", products.pairs.size(),
                     decimals(products.snr_db, 2), decimals(worst.snr_db, 2), worst.down);
}

std::string parts_lines(const std::vector<PartReport>& parts) {
  std::string lines;
  for (const PartReport& part : parts)
    lines += fmt::format("part {}: {} tensors, {} parameters, {} bytes\n",
                         part.folder.empty() ? "in the root" : printable(part.folder), part.tensors,
                         grouped(part.parameters), grouped(part.bytes));
  return lines;
}

std::string carried_line(const CarriedFilesReport& files) {
  if (files.count == 0) return {};
  return fmt::format("{} {} carried along: {} bytes, not counted above\n", files.count,
                     files.count == 1 ? "file" : "files", grouped(files.bytes));
}

}  // namespace llmcodec::cli
