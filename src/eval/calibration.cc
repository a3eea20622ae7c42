// SPDX-License-Identifier: BSD-3-Clause
#include <unistd.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/error.h"
#include "base/subprocess.h"
#include "llmcodec/calibrate.h"
#include "tensor/json_text.h"

namespace llmcodec {
namespace {

constexpr double kNoTimeout = 365 * 86400.0;
constexpr uint64_t kMaxAnswerBytes = 1 << 20;
constexpr const char* kRemedy =
    "--calibrate needs a Python with the package: pip install 'llmcodec[calibrate]', and name that Python in "
    "LLMCODEC_PYTHON where it is not the python3 in PATH";

// Where Python finds its packages, where caches are, and what chooses and tunes a device.
const std::vector<std::string> kPythonVariables = {
    "HOME",   "XDG_CACHE_HOME", "TMPDIR", "VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "PYTHONNOUSERSITE",
    "CUDA_*", "NVIDIA_*",       "HIP_*",  "ROCR_*",      "HSA_*",      "OMP_*",      "MKL_*"};

// Hands on complete lines of what arrives in pieces.
class LineSplitter {
 public:
  explicit LineSplitter(const std::function<void(const std::string&)>& line) : line_(line) {}
  void take(std::string_view piece) {
    for (const char c : piece) {
      if (c != '\n') {
        if (rest_.size() < kMaxLine) rest_ += c;
        continue;
      }
      if (line_ && !rest_.empty()) line_(rest_);
      rest_.clear();
    }
  }

 private:
  static constexpr size_t kMaxLine = 4096;
  const std::function<void(const std::string&)>& line_;
  std::string rest_;
};

Result<std::string> find_python() {
  const char* variable = std::getenv("LLMCODEC_PYTHON");
  const std::string name = variable != nullptr ? variable : "";
  const std::string found = find_program(name.empty() ? "python3" : name);
  if (!found.empty()) return found;
  return error(ErrorKind::kUnsupported, "no program {}: {}", name.empty() ? "python3 in PATH" : name,
               kRemedy);
}

// The last line with anything in it: what a Python that ended with an exception has to say.
std::string last_line(const std::string& text) {
  const size_t end = text.find_last_not_of(" \n\r");
  if (end == std::string::npos) return "no message";
  const size_t start = text.rfind('\n', end);
  return text.substr(start == std::string::npos ? 0 : start + 1, end - (start + 1) + 1);
}

ErrorKind kind_named(const std::string& name) {
  for (const ErrorKind kind : {ErrorKind::kIo, ErrorKind::kCorrupt, ErrorKind::kInvalidArgument,
                               ErrorKind::kLimit, ErrorKind::kInterrupted}) {
    if (name == error_kind_name(kind)) return kind;
  }
  return ErrorKind::kUnsupported;
}

// The object that the package prints: {"imatrix", "hessian"}, or {"error", "message"}.
Result<CalibrationFiles> read_answer(const std::string& python, const ProcessResult& result) {
  const std::string_view text(reinterpret_cast<const char*>(result.output.data()), result.output.size());
  const auto answer = parse_json_value<nlohmann::json>(text);
  const auto value = [&](const char* key) {
    const bool there =
        answer.is_ok() && answer->is_object() && answer->contains(key) && (*answer)[key].is_string();
    return there ? (*answer)[key].get<std::string>() : std::string();
  };
  if (const std::string kind = value("error"); !kind.empty())
    return error(kind_named(kind), "{}", value("message"));
  CalibrationFiles files{value("imatrix"), value("hessian")};
  const auto readable = [](const std::string& path) { return ::access(path.c_str(), R_OK) == 0; };
  if (result.exit_code == 0 && readable(files.imatrix) && readable(files.hessian)) return files;
  if (result.error_text.find("No module named") != std::string::npos)
    return error(ErrorKind::kUnsupported, "{}: {}; {}", python, last_line(result.error_text), kRemedy);
  return error(ErrorKind::kUnsupported, "calibration by {} failed (exit code {}): {}", python,
               result.exit_code, last_line(result.error_text));
}

}  // namespace

Result<CalibrationFiles> calibrate(const CalibrationOptions& options) {
  LLMC_ASSIGN_OR_RETURN(const std::string python, find_python());
  std::vector<std::string> arguments = {python, "-m", "llmcodec.calibrate", "--cached"};
  if (options.text_file.empty()) {
    arguments.push_back("--self");
  } else {
    arguments.insert(arguments.end(), {"--text", options.text_file});
  }
  if (options.threads > 0) arguments.insert(arguments.end(), {"--threads", std::to_string(options.threads)});
  arguments.insert(arguments.end(), {"--", options.model});
  LineSplitter lines(options.line);
  LLMC_ASSIGN_OR_RETURN(
      const ProcessResult result,
      run_process({.arguments = arguments,
                   .timeout_seconds = kNoTimeout,
                   .max_output_bytes = kMaxAnswerBytes,
                   .kept_variables = kPythonVariables,
                   .cancelled = options.cancelled ? options.cancelled : [] { return false; },
                   .error_sink = [&](std::string_view piece) { lines.take(piece); }}));
  auto files = read_answer(python, result);
  if (!files.is_ok() && files.error().file.empty()) return std::move(files).error().in_file(options.model);
  return files;
}

}  // namespace llmcodec
