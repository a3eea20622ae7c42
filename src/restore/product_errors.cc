// SPDX-License-Identifier: BSD-3-Clause
#include "restore/product_errors.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/ordered_run.h"
#include "base/owned_matrix.h"
#include "llmcodec/archive.h"
#include "tensor/adapter_pairs.h"
#include "tensor/tensor_role.h"

namespace llmcodec {
namespace {

double dot(std::span<const float> a, std::span<const float> b) {
  std::array<double, 8> lanes{};
  size_t i = 0;
  for (; i + lanes.size() <= a.size(); i += lanes.size()) {
    for (size_t k = 0; k < lanes.size(); ++k) lanes[k] += double{a[i + k]} * b[i + k];
  }
  double sum = 0;
  for (; i < a.size(); ++i) sum += double{a[i]} * b[i];
  for (const double lane : lanes) sum += lane;
  return sum;
}

// Energy of sum over k of (row k of u) x (row k of v): the product itself, which may be large, is never made.
double energy(MatrixView<const float> u, MatrixView<const float> v) {
  double sum = 0;
  for (size_t i = 0; i < u.rows; ++i) {
    for (size_t j = 0; j <= i; ++j)
      sum += (i == j ? 1 : 2) * dot(u.row(i), u.row(j)) * dot(v.row(i), v.row(j));
  }
  return sum;
}

// Values of A and B; those of B as rank x outputs.
struct Factors {
  OwnedMatrix<float> down, up;
};

struct Energies {
  double signal = 0, error = 0;
};

double snr_db(const Energies& energies) {
  if (energies.error == 0) return std::numeric_limits<double>::infinity();
  return 10 * std::log10(energies.signal / energies.error);
}

// With dA = A - A', dB = B - B': B A - B' A' = dB A + B' dA, without a difference of large numbers.
Energies energies_of(const Factors& original, Factors restored) {
  const size_t rank = original.down.view().rows;
  OwnedMatrix<float> down(2 * rank, original.down.view().cols), up(2 * rank, original.up.view().cols);
  const auto fill = [rank](MatrixView<const float> a, MatrixView<const float> b, bool difference_first,
                           MatrixView<float> out) {
    for (size_t k = 0; k < rank; ++k) {
      const size_t difference = difference_first ? k : rank + k, plain = difference_first ? rank + k : k;
      for (size_t i = 0; i < a.cols; ++i) {
        out.at(difference, i) = a.at(k, i) - b.at(k, i);
        out.at(plain, i) = difference_first ? b.at(k, i) : a.at(k, i);
      }
    }
  };
  fill(original.down.view(), restored.down.view(), false, down.view());
  fill(original.up.view(), restored.up.view(), true, up.view());
  return {energy(original.up.view(), original.down.view()), energy(up.view(), down.view())};
}

class Products {
 public:
  Products(const Archive& archive, const TensorSource& original) : archive_(archive), original_(original) {}

  Result<Energies> energies(const AdapterPair& pair) const {
    LLMC_ASSIGN_OR_RETURN(const Factors original, factors(pair, [this](size_t index, std::span<float> out) {
                            return original_.read_f32(index, 0, out);
                          }));
    LLMC_ASSIGN_OR_RETURN(
        Factors restored, factors(pair, [this](size_t index, std::span<float> out) -> Status {
          LLMC_ASSIGN_OR_RETURN(const size_t tensor, archive_.find(info(index).name));
          return archive_.decode(tensor, std::as_writable_bytes(out), {.dtype = "F32", .threads = 1});
        }));
    return energies_of(original, std::move(restored));
  }

  // Whether the archive has both, one of them coded.
  Result<bool> is_coded(const AdapterPair& pair) const {
    LLMC_ASSIGN_OR_RETURN(const size_t down, archive_.find(info(pair.down).name));
    LLMC_ASSIGN_OR_RETURN(const size_t up, archive_.find(info(pair.up).name));
    return archive_.tensors()[down].coded || archive_.tensors()[up].coded;
  }

  ProductReport report(const AdapterPair& pair, const Energies& energies) const {
    return {info(pair.down).name, info(pair.up).name, tensor_matrices(info(pair.down))->rows,
            snr_db(energies)};
  }

 private:
  const TensorInfo& info(size_t index) const { return original_.tensors()[index]; }

  template <class Read>
  Result<Factors> factors(const AdapterPair& pair, Read read) const {
    const MatrixShape down = *tensor_matrices(info(pair.down)), up = *tensor_matrices(info(pair.up));
    Factors factors{{down.rows, down.cols}, {up.cols, up.rows}};
    LLMC_RETURN_IF_ERROR(read(pair.down, {factors.down.view().data, down.weights()}));
    std::vector<float> values(up.weights());
    LLMC_RETURN_IF_ERROR(read(pair.up, values));
    for (size_t r = 0; r < up.rows; ++r) {
      for (size_t k = 0; k < up.cols; ++k) factors.up.view().at(k, r) = values[r * up.cols + k];
    }
    return factors;
  }

  const Archive& archive_;
  const TensorSource& original_;
};

}  // namespace

Result<ProductsReport> product_errors(const std::string& archive, const TensorSource& original,
                                      const Control& control) {
  ProductsReport report;
  const std::vector<AdapterPair> all = adapter_pairs(original.tensors());
  if (all.empty()) return report;
  LLMC_ASSIGN_OR_RETURN(const Archive opened, Archive::open(archive, control.environment));
  const Products products(opened, original);
  std::vector<AdapterPair> pairs;
  for (const AdapterPair& pair : all) {
    LLMC_ASSIGN_OR_RETURN(const bool coded, products.is_coded(pair));
    if (coded) pairs.push_back(pair);
  }
  std::vector<Energies> energies(pairs.size());
  LLMC_RETURN_IF_ERROR(for_all(control.threads, pairs.size(), [&](size_t i) -> Status {
    if (control.cancelled && control.cancelled()) return error(ErrorKind::kInterrupted, "interrupted");
    LLMC_ASSIGN_OR_RETURN(energies[i], products.energies(pairs[i]));
    return Status::ok();
  }));
  Energies sum;
  for (size_t i = 0; i < pairs.size(); ++i) {
    report.pairs.push_back(products.report(pairs[i], energies[i]));
    sum.signal += energies[i].signal;
    sum.error += energies[i].error;
  }
  report.snr_db = snr_db(sum);
  return report;
}

}  // namespace llmcodec
