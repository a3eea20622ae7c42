#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A Python environment of its own for a tool that tools/requirements.txt is without; does nothing where it is complete already.
# usage: make_environment.sh DEST 'NAME|NAME...' PACKAGE==VERSION...     NAMEs: what it takes of tools/requirements.txt, as pinned there
set -euo pipefail
here=$(realpath "$(dirname "${BASH_SOURCE[0]}")")
dest=$(realpath -m "$1") names=$2
shift 2
[[ -e $dest/complete ]] && exit 0

echo "fetching $* from PyPI" >&2
rm -rf "$dest"
python3 -m venv "$dest"
grep -E "^($names)==" "$here/requirements.txt" >"$dest/requirements.txt"
"$dest/bin/pip" install --quiet --disable-pip-version-check -r "$dest/requirements.txt" "$@"
touch "$dest/complete"
