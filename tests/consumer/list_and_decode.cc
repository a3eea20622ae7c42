// SPDX-License-Identifier: BSD-3-Clause
// A program of somebody else's: lists an archive and decodes its first matrix as floats.
// usage: list_and_decode ARCHIVE
#include <llmcodec/archive.h>

#include <cstdio>
#include <vector>

namespace {

llmcodec::Status list_and_decode(const char* path) {
  LLMC_ASSIGN_OR_RETURN(const llmcodec::Archive archive, llmcodec::Archive::open(path));
  std::vector<float> weights;
  for (size_t i = 0; i < archive.tensors().size(); ++i) {
    const llmcodec::ArchivedTensor& tensor = archive.tensors()[i];
    std::printf("%s %s %llu\n", tensor.name.c_str(), tensor.dtype.c_str(),
                static_cast<unsigned long long>(tensor.elements));
    if (!weights.empty() || tensor.rows == 0) continue;
    weights.resize(tensor.elements);
    llmcodec::DecodeOptions options;
    options.dtype = "F32";
    LLMC_RETURN_IF_ERROR(archive.decode(i, std::as_writable_bytes(std::span(weights)), options));
    std::printf("first weight %g\n", static_cast<double>(weights[0]));
  }
  return llmcodec::Status::ok();
}

}  // namespace

int main(int argc, char** argv) {
  const llmcodec::Status status = list_and_decode(argc == 2 ? argv[1] : "");
  if (!status.is_ok()) std::fprintf(stderr, "%s\n", status.error().to_string().c_str());
  return status.is_ok() ? 0 : 1;
}
