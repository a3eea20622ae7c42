#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Brings the libraries of the build for 64-bit Arm, with the C library they need, as DEST/lib and DEST/usr: Debian's packages,
# chosen by apt from lists of its own in DEST/apt. Nothing is installed; the system's packages and architectures stay as they are.
# usage: get_aarch64.sh [DEST]       default DEST: build/tools/aarch64
set -euo pipefail
dest=$(realpath -m "${1:-build/tools/aarch64}")
[[ -d $dest/usr ]] && exit 0
apt=$dest/apt
mkdir -p "$apt/lists/partial" "$apt/archives/partial"
: >"$apt/status"
options=(-qq -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o Dir::State="$apt" -o Dir::State::status="$apt/status"
  -o Dir::Cache="$apt" -o APT::Sandbox::User=)
mapfile -t libraries < <(awk '$1 == "build" && $2 ~ /-dev$/ { print $2 }' tools/debian-packages.txt)
apt-get "${options[@]}" update
apt-get "${options[@]}" install -y --download-only --no-install-recommends "${libraries[@]}" >&2
for package in "$apt"/archives/*.deb; do dpkg-deb -x "$package" "$dest/unpacked"; done
mv "$dest"/unpacked/* "$dest"
rm -r "$apt" "$dest/unpacked"
