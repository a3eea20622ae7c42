// SPDX-License-Identifier: BSD-3-Clause
#include "module.h"

#include "llmcodec/version.h"

NB_MODULE(_core, module) {
  module.doc() = "The C++ library. What stands on it is llmcodec; this module may change between versions.";
  module.attr("version") = LLMCODEC_VERSION;
  llmcodec::python::bind_models(module);
  llmcodec::python::bind_archive(module);
  llmcodec::python::bind_pieces(module);
  llmcodec::python::bind_codecs(module);
  llmcodec::python::bind_stages(module);
}
