#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Runs one Python test with the project's environment and the outside programs that `./dev tools` brought.
# usage: LLMCODEC=PATH run.sh TEST.py [unittest arguments]
root=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../..")
python=${LLMCODEC_PYTHON:-$root/build/venv/bin/python}
[[ -x $python ]] || { echo "skipped: no Python environment ($python); ./dev venv makes it"; exit 77; }
[[ -z ${LLMCODEC_FFMPEG:-} && -x $root/build/tools/ffmpeg/ffmpeg ]] && export LLMCODEC_FFMPEG=$root/build/tools/ffmpeg/ffmpeg
[[ -z ${LLMCODEC_LLAMA_DIR:-} && -d $root/build/tools/llama/bin ]] && export LLMCODEC_LLAMA_DIR=$root/build/tools/llama/bin
export PYTHONPATH=$root/tests/cli:$root/tools PYTHONDONTWRITEBYTECODE=1
exec "$python" "$@"
