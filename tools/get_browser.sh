#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Brings from PyPI what drives Debian's Chromium and checks pages in it (Playwright, axe-core), and what `llmcodec report` needs:
# an environment for tools/check_page.py and python/tests/test_report.py. 60 MB to fetch, 360 MB on disk; no browser is fetched.
# usage: get_browser.sh [DEST]     default DEST: build/tools/browser; then DEST/bin/python tools/check_page.py REPORT.html
set -euo pipefail
here=$(realpath "$(dirname "${BASH_SOURCE[0]}")")
dest=$(realpath -m "${1:-build/tools/browser}")
[[ -e $dest/complete ]] && exit 0

echo "fetching Playwright 1.65.2 and axe-core from PyPI" >&2
rm -rf "$dest"
python3 -m venv "$dest"
grep -E '^(numpy|safetensors|plotly|nanobind-backend|pytest)==' "$here/requirements.txt" >"$dest/requirements.txt"
"$dest/bin/pip" install --quiet --disable-pip-version-check -r "$dest/requirements.txt" playwright==1.65.2 axe-playwright-python==0.1.8
touch "$dest/complete"
