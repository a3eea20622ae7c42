#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Brings vLLM's Python code, for python/tests/test_vllm.py: its wheel from PyPI without the libraries of GPUs in it, and of what it
# imports the packages that loading a model needs, beside the PyTorch of tools/get_torch.sh. Loading a model works with it on any
# machine, running one does not. 340 MB to fetch, 600 MB on disk, two minutes.
# usage: get_vllm.sh [DEST]         default DEST: build/tools/vllm; then DEST/python -m pytest python/tests/test_vllm.py
set -euo pipefail
here=$(realpath "$(dirname "${BASH_SOURCE[0]}")")
dest=$(realpath -m "${1:-build/tools/vllm}")
torch=$(realpath -m "${LLMCODEC_TORCH:-$here/../build/tools/torch}")
[[ -x $dest/python ]] && exit 0
[[ -x $torch/python ]] || "$here/get_torch.sh" "$torch"

packages=(aiohappyeyeballs==2.7.1 aiohttp==3.14.5 aiosignal==1.4.0 apache-tvm-ffi==0.1.15.post2 astor==0.8.1 attrs==26.1.0
  blake3==1.0.11 cachetools==8.0.2 cbor2==6.3.0 cloudpickle==3.1.3 compressed-tensors==0.17.0 depyf==0.20.0 dill==0.4.1
  distro==1.9.0 einops==0.8.2 fastapi==0.165.0 frozenlist==1.8.0 httpcore==1.0.9 httpx==0.28.1 ijson==3.6.0
  importlib-metadata==10.2.0 jiter==0.19.0 jsonschema==4.26.0 jsonschema-specifications==2025.9.1 lark==1.3.1 llguidance==1.6.1
  loguru==0.7.3 mistral-common==1.13.1 msgspec==0.23.0 multidict==7.2.1 openai==3.57.0 openai-harmony==0.0.8
  opentelemetry-api==1.45.2 opentelemetry-sdk==1.45.2 orjson==3.13.0 partial-json-parser==0.2.1.1.post7 pillow==13.0.0
  prometheus-client==0.26.0 prometheus-fastapi-instrumentator==8.1.0 propcache==0.5.4 protobuf==7.36.2 psutil==7.2.2
  py-cpuinfo==9.0.0 pybase64==1.5.1 pycountry==26.2.16 pydantic-extra-types==2.11.1 python-json-logger==4.2.0 pyzmq==27.3.0
  referencing==0.37.0 rpds-py==2026.9.1 sentencepiece==0.2.3 setproctitle==1.3.8 sniffio==1.3.1 starlette==1.10.0
  tiktoken==0.14.0 typing-inspection==0.4.5 uvloop==0.23.0 watchfiles==1.3.0 xgrammar==0.2.9 yarl==1.25.1 zipp==4.1.2)

work=$dest.partial
rm -rf "$work"
mkdir -p "$work/site"
version=$("$torch/python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
options=(--quiet --disable-pip-version-check --only-binary=:all: --no-deps --implementation cp --python-version "$version"
  --abi "cp${version/./}" --abi abi3 --abi none --platform manylinux_2_28_x86_64 --platform manylinux_2_26_x86_64
  --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 --platform any)
echo "fetching vLLM 0.33.0 from PyPI" >&2
python3 -m pip download "${options[@]}" -d "$work/wheel" vllm==0.33.0 >&2
python3 -m zipfile -e "$work"/wheel/vllm-*.whl "$work/site"
rm -rf "$work/wheel"
find "$work/site" -name '*.so' -delete  # of CUDA, which there need not be
python3 -m pip install "${options[@]}" --no-warn-conflicts --target "$work/site" "${packages[@]}" >&2
cat >"$work/python" <<WRAPPER
#!/bin/bash
export PYTHONPATH=\${PYTHONPATH:+\$PYTHONPATH:}\$(dirname "\$(readlink -f "\${BASH_SOURCE[0]}")")/site VLLM_TARGET_DEVICE=cpu USE_LIBUV=0
exec "$torch/python" "\$@"
WRAPPER
chmod +x "$work/python"
"$work/python" -c 'import vllm, vllm.model_executor.model_loader; print("vLLM", vllm.__version__)' 2>/dev/null
mv "$work" "$dest"
