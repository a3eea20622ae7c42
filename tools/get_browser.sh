#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Brings from PyPI what drives Debian's Chromium and checks pages in it (Playwright, axe-core), and what `llmcodec report` needs:
# an environment for tools/check_page.py and python/tests/test_report.py. 60 MB to fetch, 360 MB on disk; no browser is fetched.
# usage: get_browser.sh [DEST]     default DEST: build/tools/browser; then DEST/bin/python tools/check_page.py REPORT.html
set -euo pipefail
"$(dirname "${BASH_SOURCE[0]}")/make_environment.sh" "${1:-build/tools/browser}" \
  'numpy|safetensors|ml_dtypes|plotly|nanobind-backend|pytest' playwright==1.65.2 axe-playwright-python==0.1.8
