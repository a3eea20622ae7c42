// SPDX-License-Identifier: BSD-3-Clause
// What the extension module llmcodec._core is made of. Functions take the arguments that the Python side has checked and
// completed, and give numbers, texts (JSON of docs/json.md) and arrays.
#pragma once

#include <nanobind/nanobind.h>

namespace llmcodec::python {

void bind_models(nanobind::module_& module);   // compress(), decompress(), ...: model.h, bench.h
void bind_archive(nanobind::module_& module);  // Archive: archive.h
void bind_pieces(nanobind::module_& module);   // work for several machines: pieces.h
void bind_codecs(nanobind::module_& module);   // Codec and our VVC: codec.h
void bind_stages(nanobind::module_& module);   // scales and layouts, for research

}  // namespace llmcodec::python
