#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Fetches packages of Debian unstable with every library that they need, down to the C library, and unpacks them into DEST, a
# prefix that stands alone; nothing is installed on the machine. Used by get_llama.sh and get_torch.sh.
# usage: unpack_debian_sid.sh DEST PACKAGE...
set -euo pipefail
dest=$1
shift

# The mirror that this machine already uses.
mirror=$(awk '/^URIs:/ { print $2; exit }' /etc/apt/sources.list.d/debian.sources 2>/dev/null || true)
[[ -n $mirror ]] || mirror=$(awk '$1 == "deb" { for (i = 2; i <= NF; ++i) if ($i ~ /^https?:/) { print $i; exit } }' /etc/apt/sources.list)
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

state=$dest/.apt
mkdir -p "$state/lists/partial" "$state/cache/archives/partial"
: >"$state/status"
echo "deb [signed-by=$keyring] $mirror sid main" >"$state/sources.list"
# A package state of our own, empty: apt then names every library.
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
apt-get update -qq >&2
apt-get install -y -qq --download-only -o Debug::NoLocking=1 "$@" >/dev/null
for package in "$state"/cache/archives/*.deb; do
  dpkg -x "$package" "$dest"
  rm "$package"  # at most one of them is on the disk twice
done
rm -rf "$state"
