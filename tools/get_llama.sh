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

# The mirror that this machine already uses.
mirror=$(awk '/^URIs:/ { print $2; exit }' /etc/apt/sources.list.d/debian.sources 2>/dev/null || true)
[[ -n $mirror ]] || mirror=$(awk '$1 == "deb" { for (i = 2; i <= NF; ++i) if ($i ~ /^https?:/) { print $i; exit } }' /etc/apt/sources.list)
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

work=$dest.partial
rm -rf "$work"
state=$work/.apt
mkdir -p "$state/lists/partial" "$state/cache/archives/partial" "$work/bin"
: >"$state/status"
echo "deb [signed-by=$keyring] $mirror sid main" >"$state/sources.list"
# A package state of our own, empty: apt then names every library down to the C library, for a prefix that stands alone.
cat >"$state/apt.conf" <<CONF
Dir::Etc::sourcelist "$state/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::State::Lists "$state/lists";
Dir::State::status "$state/status";
Dir::Cache "$state/cache";
APT::Install-Recommends "false";
APT::Sandbox::User "";
Acquire::Languages "none";
CONF
export APT_CONFIG=$state/apt.conf
echo "fetching llama.cpp's tools from Debian unstable" >&2
apt-get update -qq >&2
apt-get install -y -qq --download-only -o Debug::NoLocking=1 llama.cpp-tools llama.cpp-tools-extra >/dev/null
for package in "$state"/cache/archives/*.deb; do dpkg -x "$package" "$work"; done
rm -rf "$state"

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
