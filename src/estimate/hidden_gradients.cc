// SPDX-License-Identifier: BSD-3-Clause
#include "estimate/hidden_gradients.h"

namespace llmcodec {
namespace {

Result<std::vector<float>> read_vector(const TensorSource& source, size_t tensor) {
  std::vector<float> values(source.tensors()[tensor].elements());
  LLMC_RETURN_IF_ERROR(source.read_f32(tensor, 0, values));
  return values;
}

// Sum of the squared gains of norms, from the last to the first.
class GainSum {
 public:
  GainSum(const TensorSource& source, const ModelGraph& graph)
      : source_(source), epsilon_(graph.epsilon), sum_(graph.width, 0.0) {}

  Status add(const std::optional<Norm>& norm) {
    if (!norm) return Status::ok();
    LLMC_ASSIGN_OR_RETURN(const NormValues values, read_norm(source_, *norm, epsilon_));
    double total = 0;
    for (const float gain : values.gains) total += static_cast<double>(gain) * gain;
    // Gains that are not finite are refused elsewhere, with the name of their tensor.
    if (values.gains.size() != sum_.size() || !(total > 0)) return Status::ok();
    const double scale = static_cast<double>(sum_.size()) / total;
    for (size_t r = 0; r < sum_.size(); ++r)
      sum_[r] += scale * static_cast<double>(values.gains[r]) * values.gains[r];
    ++norms_;
    return Status::ok();
  }

  std::vector<float> mean() const {
    std::vector<float> energy(sum_.size(), 1.0F);
    for (size_t r = 0; r < sum_.size() && norms_ > 0; ++r) energy[r] = static_cast<float>(sum_[r] / norms_);
    return energy;
  }

 private:
  const TensorSource& source_;
  double epsilon_;
  std::vector<double> sum_;
  int norms_ = 0;
};

}  // namespace

Result<NormValues> read_norm(const TensorSource& source, const Norm& norm, double epsilon) {
  NormValues values{norm.kind, static_cast<float>(epsilon), {}, {}};
  if (norm.gains) {
    LLMC_ASSIGN_OR_RETURN(values.gains, read_vector(source, *norm.gains));
  }
  if (norm.bias) {
    LLMC_ASSIGN_OR_RETURN(values.bias, read_vector(source, *norm.bias));
  }
  for (float& gain : values.gains) gain += norm.plus_one ? 1 : 0;
  return values;
}

Result<HiddenGradients> HiddenGradients::find(const TensorSource& source, const ModelGraph& graph) {
  HiddenGradients gradients;
  gradients.energies_.resize(kParts * graph.layers.size());
  GainSum sum(source, graph);
  LLMC_RETURN_IF_ERROR(sum.add(graph.final_norm));
  const bool parallel = graph.architecture.joining == Joining::kParallel;
  for (size_t l = graph.layers.size(); l-- > 0;) {
    const GraphLayer& layer = graph.layers[l];
    gradients.energies_[kParts * l + 2] = sum.mean();
    if (parallel)
      gradients.energies_[kParts * l] = sum.mean();  // both parts read what is there before either
    LLMC_RETURN_IF_ERROR(sum.add(layer.before_feed_forward));
    gradients.energies_[kParts * l + 1] = sum.mean();
    LLMC_RETURN_IF_ERROR(sum.add(layer.before_cross));
    if (!parallel) gradients.energies_[kParts * l] = sum.mean();
    LLMC_RETURN_IF_ERROR(sum.add(layer.before_attention));
  }
  return gradients;
}

}  // namespace llmcodec
