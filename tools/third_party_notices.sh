#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Writes python/THIRD_PARTY.md: the licences of what a wheel holds besides our own code, from Debian's copyright files. Run it
# when a dependency comes or goes; ./dev wheel checks that every library in the wheel has its chapter.
# usage: third_party_notices.sh >python/THIRD_PARTY.md
set -euo pipefail

# What it is, the Debian package, and how it is in the wheel.
parts=(
  "libfmt|libfmt9|shared library"
  "libtbb|libtbb12|shared library (oneTBB)"
  "libhwy|libhwy1|shared library, and compiled into ours (Highway)"
  "libre2|libre2-9|shared library"
  "libzstd|libzstd1|shared library, used under its BSD licence"
  "libseccomp|libseccomp2|shared library, under the LGPL 2.1; llmcodec.libs/ has it as a file of its own, which may be replaced"
  "xxHash|libxxhash-dev|compiled into ours"
  "JSON for Modern C++|nlohmann-json3-dev|compiled into ours"
  "CLI11|libcli11-dev|compiled into the program"
)

echo "# Third-party notices"
echo
echo "The code of llmcodec is under the BSD 3-Clause licence (LICENSE). A wheel also holds the following, each under its own terms."
echo "The extension module is compiled with headers of nanobind (BSD 3-Clause, Copyright (c) 2022 Wenzel Jakob)."
for part in "${parts[@]}"; do
  IFS='|' read -r name package how <<<"$part"
  printf '\n## %s\n\nDebian package %s, %s.\n\n' "$name" "$package" "$how"
  sed -e 's/[[:space:]]*$//' -e 's/^/    /' -e 's/^    $//' "/usr/share/doc/$package/copyright"
done
for licence in Apache-2.0 LGPL-2.1; do
  printf '\n## The text of %s\n\n' "$licence"
  sed -e 's/[[:space:]]*$//' -e 's/^/    /' -e 's/^    $//' "/usr/share/common-licenses/$licence"
done
