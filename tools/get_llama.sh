#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Brings llama.cpp's own tools (llama-perplexity, llama-quantize, llama-imatrix, ...) from Debian unstable into a private
# folder, with their libraries and their own loader; nothing is installed on the machine. About 20 MB.
# The wrappers fix the CPU backend to one instruction set (LLAMA_CPU, default haswell = AVX2), because perplexity moves in
# its fourth digit between them; set LLAMA_CPU to another of the folder's backends on an older or other CPU.
# usage: get_llama.sh [DEST]         default DEST: build/tools/llama; then DEST/bin/llama-perplexity
set -euo pipefail
dest=$(realpath -m "${1:-build/tools/llama}")
[[ -x $dest/bin/llama-perplexity ]] && exit 0
[[ $(uname -sm) == "Linux x86_64" ]] || { echo "get_llama: only for Linux x86_64; build llama.cpp and set LLMCODEC_LLAMA_DIR" >&2; exit 1; }
command -v apt-get >/dev/null || { echo "get_llama: needs apt; build llama.cpp and set LLMCODEC_LLAMA_DIR" >&2; exit 1; }

work=$dest.partial
rm -rf "$work"
mkdir -p "$work/bin"
echo "fetching llama.cpp's tools from Debian unstable" >&2
"$(dirname "${BASH_SOURCE[0]}")/unpack_debian_sid.sh" "$work" llama.cpp-tools llama.cpp-tools-extra

# Wrappers find their prefix from their own place, so that the folder can be moved or carried to another machine.
for tool in "$work"/usr/bin/llama-*; do
  wrapper=$work/bin/$(basename "$tool")
  cat >"$wrapper" <<'WRAPPER'
#!/bin/bash
prefix=$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")
lib=$prefix/usr/lib/x86_64-linux-gnu
export GGML_BACKEND_PATH=$lib/ggml/backends0/libggml-cpu-${LLAMA_CPU:-haswell}.so
exec "$lib/ld-linux-x86-64.so.2" --library-path "$lib/llama:$lib:$lib/ggml:$lib/blas:$lib/lapack" "$prefix/usr/bin/$(basename "${BASH_SOURCE[0]}")" "$@"
WRAPPER
  chmod +x "$wrapper"
done
"$work/bin/llama-perplexity" --version 2>&1 | head -1
mv "$work" "$dest"
