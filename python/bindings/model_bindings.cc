// SPDX-License-Identifier: BSD-3-Clause
#include <nanobind/ndarray.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include "call.h"
#include "llmcodec/bench.h"
#include "llmcodec/read_tensor.h"
#include "module.h"

namespace llmcodec::python {
namespace {

using Bytes = nb::ndarray<const uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Matrix = nb::ndarray<const float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
// Name, dtype, shape and bytes of a tensor; what holds the bytes stays alive during the call.
using GivenTensor = std::tuple<std::string, std::string, std::vector<uint64_t>, Bytes>;

void bind_control(nb::module_& module) {
  nb::class_<Control>(module, "Control")
      .def(nb::init<>())
      .def_rw("threads", &Control::threads)
      .def_prop_rw(
          "ffmpeg",
          [](const Control& c) {
            return nb::bytes(c.environment.ffmpeg.data(), c.environment.ffmpeg.size());
          },
          [](Control& c, const nb::bytes& path) { c.environment.ffmpeg = path_of(path); })
      .def_prop_rw(
          "timeout", [](const Control& c) { return c.environment.timeout_seconds; },
          [](Control& c, double seconds) { c.environment.timeout_seconds = seconds; });
}

// A member that is a path.
template <std::string CompressOptions::*kMember>
void bind_path(nb::class_<CompressOptions>& options, const char* name) {
  options.def_prop_rw(
      name, [](const CompressOptions& o) { return nb::bytes((o.*kMember).data(), (o.*kMember).size()); },
      [](CompressOptions& o, const nb::bytes& path) { o.*kMember = path_of(path); });
}

void set_target(CompressOptions& options, const std::string& kind, double value) {
  static const std::map<std::string, TargetKind> kinds = {{"bpw", TargetKind::kBpw},
                                                          {"size", TargetKind::kSize},
                                                          {"snr", TargetKind::kSnr},
                                                          {"step", TargetKind::kStep}};
  options.target = {kinds.at(kind), value};
}

void bind_compress_options(nb::module_& module) {
  nb::class_<CompressOptions> options(module, "CompressOptions");
  options.def(nb::init<>())
      .def_rw("codec", &CompressOptions::codec)
      .def_rw("layout", &CompressOptions::layout)
      .def_rw("scales", &CompressOptions::scales)
      .def_rw("asymmetric", &CompressOptions::asymmetric)
      .def_rw("bit_depth", &CompressOptions::bit_depth)
      .def_rw("set", &CompressOptions::set)
      .def_rw("code", &CompressOptions::code)
      .def_rw("keep", &CompressOptions::keep)
      .def_rw("carry", &CompressOptions::carry)
      .def_rw("shard_size", &CompressOptions::shard_bytes)
      .def_rw("restart", &CompressOptions::restart)
      .def_rw("command", &CompressOptions::command)
      .def_rw("control", &CompressOptions::control)
      .def("set_target", &set_target, nb::arg("kind"), nb::arg("value"));
  bind_path<&CompressOptions::input>(options, "input");
  bind_path<&CompressOptions::output>(options, "output");
  bind_path<&CompressOptions::plan>(options, "plan");
  bind_path<&CompressOptions::importance>(options, "importance");
  bind_path<&CompressOptions::hessian>(options, "hessian");
}

// The report of `work` on these options, as JSON.
template <class Work>
std::string run_with(CompressOptions options, nb::object progress, const Work& work) {
  Call call(std::move(progress));
  call.watch(&options.control);
  return call.run([&] { return work(options); }).to_json();
}

std::string compress_arrays(const std::vector<GivenTensor>& given,
                            const std::map<std::string, std::string>& metadata,
                            const CompressOptions& options, nb::object progress) {
  std::vector<TensorBytes> tensors;
  for (const auto& [name, dtype, shape, bytes] : given)
    tensors.push_back({name, dtype, shape, std::as_bytes(std::span(bytes.data(), bytes.size()))});
  return run_with(options, std::move(progress), [&](const CompressOptions& watched) {
    return compress_tensors(tensors, metadata, watched);
  });
}

void bind_compress(nb::module_& module) {
  module.def(
      "compress",
      [](const CompressOptions& options, nb::object progress) {
        return run_with(options, std::move(progress), [](const CompressOptions& o) { return compress(o); });
      },
      nb::arg("options"), nb::arg("progress").none());
  module.def("compress_arrays", &compress_arrays, nb::arg("tensors"), nb::arg("metadata"), nb::arg("options"),
             nb::arg("progress").none());
  module.def(
      "plan",
      [](CompressOptions options, nb::object progress) {
        Call call(std::move(progress));
        call.watch(&options.control);
        const PlanReport report = call.run([&] { return plan(options); });
        return std::pair(report.to_json(), report.plan);
      },
      nb::arg("options"), nb::arg("progress").none());
  module.def(
      "inspect_source",
      [](const CompressOptions& options) {
        return run_with(options, nb::none(), [](const CompressOptions& o) { return inspect_source(o); });
      },
      nb::arg("options"));
}

std::string decompress_model(DecompressOptions options, nb::object progress) {
  Call call(std::move(progress));
  call.watch(&options.control);
  return call.run([&] { return decompress(options); }).to_json();
}

std::string verify_archive(const nb::bytes& input, const nb::bytes& against, const Control& control,
                           nb::object progress) {
  VerifyOptions options{path_of(input), path_of(against), control};
  Call call(std::move(progress));
  call.watch(&options.control);
  return call.run([&] { return verify(options); }).to_json();
}

void bind_restore(nb::module_& module) {
  module.def(
      "decompress",
      [](const nb::bytes& input, const nb::bytes& output, const std::string& dtype, bool saturate,
         bool as_source, const std::string& format, uint64_t shard_size, const Control& control,
         nb::object progress) {
        return decompress_model(
            {path_of(input), path_of(output), dtype, saturate, as_source, format, shard_size, control},
            std::move(progress));
      },
      nb::arg("input"), nb::arg("output"), nb::arg("dtype"), nb::arg("saturate"), nb::arg("as_source"),
      nb::arg("format"), nb::arg("shard_size"), nb::arg("control"), nb::arg("progress").none());
  module.def("verify", &verify_archive, nb::arg("input"), nb::arg("against"), nb::arg("control"),
             nb::arg("progress").none());
  module.def(
      "is_archive", [](const nb::bytes& path) { return is_archive(path_of(path)); }, nb::arg("path"));
  module.def(
      "inspect",
      [](const nb::bytes& path) {
        Call call;
        return call.run([&] { return inspect(path_of(path)); }).to_json();
      },
      nb::arg("path"));
}

using Scales = nb::ndarray<const float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

// What is measured beside sources and codecs.
void bind_bench_options(nb::module_& module) {
  nb::class_<BenchRequest>(module, "BenchOptions")
      .def(nb::init<>())
      .def_rw("bit_depth", &BenchRequest::bit_depth)
      .def_rw("tolerance", &BenchRequest::tolerance);
}

// A source: its name, weights, pictures, and scales of its rows and columns. `on_row` is told after each row, as progress
// is: the JSON comes at the end.
std::string bench_codecs(
    const std::vector<std::tuple<std::string, Matrix, uint64_t, Scales, Scales>>& sources,
    const std::vector<std::string>& codecs, const std::vector<double>& bpw, const BenchRequest& options,
    const Control& control, nb::object progress) {
  BenchRequest request = options;
  request.codecs = codecs;
  request.target_bpw = bpw;
  for (const auto& [name, weights, pictures, rows, cols] : sources)
    request.sources.push_back({name,
                               {weights.data(), weights.shape(0), weights.shape(1)},
                               pictures,
                               {rows.data(), rows.size()},
                               {cols.data(), cols.size()}});
  request.environment = control.environment;
  Call call(std::move(progress));
  request.cancelled = call.cancelled();
  const uint64_t rows = sources.size() * codecs.size() * bpw.size();
  if (const ProgressFunction report = call.progress())
    request.on_row = [report, rows, done = uint64_t{0}](const BenchRow& row) mutable {
      report({"bench", ++done, rows, row.codec});
    };
  return format_bench_json(call.run([&] { return run_bench(request); }));
}

using FloatMatrix = nb::ndarray<nb::numpy, float, nb::ndim<2>>;

// rows x cols of them.
FloatMatrix array_of(std::vector<float> values, size_t rows, size_t cols) {
  auto kept = std::make_unique<std::vector<float>>(std::move(values));
  float* data = kept->data();
  const nb::capsule owner(kept.release(),
                          [](void* made) noexcept { delete static_cast<std::vector<float>*>(made); });
  return FloatMatrix(data, {rows, cols}, owner);
}

FloatMatrix bench_source(const std::string& name, size_t rows, size_t cols, uint64_t seed) {
  return array_of(value_or_raise(make_bench_source(name, rows, cols, seed)).weights, rows, cols);
}

FloatMatrix tensor_rows(const nb::bytes& model, const std::string& name, uint64_t first, uint64_t last) {
  Call call;
  const std::string path = path_of(model);
  TensorValues tensor = call.run([&] { return read_tensor(path, name, RowRange{first, last}); });
  return array_of(std::move(tensor.values), tensor.rows, tensor.cols);
}

void bind_bench(nb::module_& module) {
  bind_bench_options(module);
  module.def("read_tensor", &tensor_rows, nb::arg("model"), nb::arg("name"), nb::arg("first_row"),
             nb::arg("last_row"));
  module.def("bench", &bench_codecs, nb::arg("sources"), nb::arg("codecs"), nb::arg("bpw"),
             nb::arg("options"), nb::arg("control"), nb::arg("progress").none());
  module.def("bench_source", &bench_source, nb::arg("name"), nb::arg("rows"), nb::arg("cols"),
             nb::arg("seed"));
}

}  // namespace

void bind_models(nb::module_& module) {
  bind_control(module);
  bind_compress_options(module);
  bind_compress(module);
  bind_restore(module);
  bind_bench(module);
}

}  // namespace llmcodec::python
