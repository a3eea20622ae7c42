#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Brings Ray from PyPI, for python/tests/test_cluster.py: an environment with it and with what tools/requirements.txt has for the
# tests. 80 MB to fetch, 390 MB on disk, half a minute.
# usage: get_ray.sh [DEST]         default DEST: build/tools/ray; then DEST/bin/python -m pytest python/tests/test_cluster.py
set -euo pipefail
"$(dirname "${BASH_SOURCE[0]}")/make_environment.sh" "${1:-build/tools/ray}" \
  'numpy|safetensors|ml_dtypes|fsspec|aiohttp|nanobind-backend|pytest' ray==2.60.0
