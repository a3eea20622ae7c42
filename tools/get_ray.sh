#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Brings Ray from PyPI, for python/tests/test_cluster.py: an environment with it and with what tools/requirements.txt has for the
# tests. 80 MB to fetch, 390 MB on disk, half a minute.
# usage: get_ray.sh [DEST]         default DEST: build/tools/ray; then DEST/bin/python -m pytest python/tests/test_cluster.py
set -euo pipefail
here=$(realpath "$(dirname "${BASH_SOURCE[0]}")")
dest=$(realpath -m "${1:-build/tools/ray}")
[[ -e $dest/complete ]] && exit 0

echo "fetching Ray 2.60.0 from PyPI" >&2
rm -rf "$dest"
python3 -m venv "$dest"
grep -E '^(numpy|safetensors|ml_dtypes|fsspec|aiohttp|nanobind-backend|pytest)==' "$here/requirements.txt" >"$dest/requirements.txt"
"$dest/bin/pip" install --quiet --disable-pip-version-check -r "$dest/requirements.txt" ray==2.60.0
touch "$dest/complete"
