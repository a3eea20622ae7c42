#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Brings PyTorch for the CPU, with a Python of its own, from Debian unstable into a private folder; nothing is installed on the
# machine. From PyPI, PyTorch takes 5 GB here, because it does not start without the libraries of GPUs. What the package's
# tests need besides comes from PyPI: transformers, and what tools/requirements.txt has. About 2 GB, one minute.
# OpenBLAS comes along: with Debian's plain BLAS, PyTorch multiplies F32 matrices thirty times as slowly.
# usage: get_torch.sh [DEST]         default DEST: build/tools/torch; then DEST/python -c 'import torch'
# Packages of Debian's besides python3-torch: TORCH_PACKAGES="python3-transformers ..."
set -euo pipefail
root=$(realpath "$(dirname "${BASH_SOURCE[0]}")/..")
dest=$(realpath -m "${1:-build/tools/torch}")
[[ -x $dest/python ]] && exit 0
[[ $(uname -sm) == "Linux x86_64" ]] || { echo "get_torch: only for Linux x86_64" >&2; exit 1; }
command -v apt-get >/dev/null || { echo "get_torch: needs apt" >&2; exit 1; }

work=$dest.partial
rm -rf "$work"
echo "fetching PyTorch from Debian unstable" >&2
# shellcheck disable=SC2086  # a list
"$root/tools/unpack_debian_sid.sh" "$work" python3-torch libopenblas0-pthread ${TORCH_PACKAGES:-}

# The wrapper finds its prefix from its own place. It is Python's name for itself, so that children of a test run it too. The
# machine's own libraries come last, for the extension module, which is built with them.
cat >"$work/python" <<'WRAPPER'
#!/bin/bash
self=$(readlink -f "${BASH_SOURCE[0]}")
prefix=$(dirname "$self")
lib=$prefix/usr/lib/x86_64-linux-gnu
path=$lib:$lib/openblas-pthread:$prefix/usr/lib:/usr/lib/x86_64-linux-gnu
export PYTHONHOME=$prefix/usr PYTHONPATH=${PYTHONPATH:+$PYTHONPATH:}$prefix/pip:$prefix/usr/lib/python3/dist-packages
exec "$lib/ld-linux-x86-64.so.2" --argv0 "$self" --library-path "$path" "$prefix/usr/bin/python3" "$@"
WRAPPER
chmod +x "$work/python"
version=$("$work/python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
mapfile -t packages < <(grep -oE '^(pytest|safetensors|ml_dtypes|tqdm|gguf|fsspec|aiohttp|nanobind-backend)==[^ ]+' "$root/tools/requirements.txt")
pip_install() {
  python3 -m pip install --quiet --disable-pip-version-check --no-warn-conflicts --target "$work/pip" --only-binary=:all: \
    --implementation cp --python-version "$version" --abi "cp${version/./}" --abi abi3 --abi none \
    --platform manylinux_2_28_x86_64 --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 --platform any "$@" >&2
}
pip_install "${packages[@]}" transformers==5.23.0
pip_install --no-deps accelerate==1.15.0  # it asks for PyPI's PyTorch
rm -rf "$work"/pip/numpy "$work"/pip/numpy.libs "$work"/pip/numpy-*  # PyTorch's is Debian's
"$work/python" -c 'import sys, torch, transformers; print("Python", sys.version.split()[0], "PyTorch", torch.__version__, "transformers", transformers.__version__)'
mv "$work" "$dest"
