#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# UNTRIED: what cibuildwheel runs in a manylinux_2_28 container (AlmaLinux 8) before it builds the wheel. Libraries that the
# container's distribution has in a version that serves come from it; the others are built from their released sources, in
# the versions of Debian 12, which everything else is tested with.
# usage: manylinux_libraries.sh        (as root)
set -euo pipefail
dnf install -y epel-release
dnf install -y libseccomp-devel libzstd-devel xxhash-devel git cmake ninja-build

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# OWNER/NAME TAG [CMAKE OPTIONS]
library() {
  local name=$1 tag=$2
  shift 2
  git clone --quiet --depth 1 --branch "$tag" "https://github.com/$name.git" "$work/source"
  cmake -S "$work/source" -B "$work/build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=ON \
    -DCMAKE_INSTALL_PREFIX=/usr/local -DCMAKE_POSITION_INDEPENDENT_CODE=ON "$@"
  cmake --build "$work/build" --target install
  rm -rf "$work/source" "$work/build"
}
library fmtlib/fmt 9.1.0 -DFMT_TEST=OFF
library oneapi-src/oneTBB v2021.8.0 -DTBB_TEST=OFF
library google/highway 1.0.3 -DBUILD_TESTING=OFF -DHWY_ENABLE_TESTS=OFF -DHWY_ENABLE_EXAMPLES=OFF
library google/re2 2022-12-01 -DRE2_BUILD_TESTING=OFF
library nlohmann/json v3.11.2 -DJSON_BuildTests=OFF
library CLIUtils/CLI11 v2.1.2 -DCLI11_BUILD_TESTS=OFF -DCLI11_BUILD_EXAMPLES=OFF
ldconfig
