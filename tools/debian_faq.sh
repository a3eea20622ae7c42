# SPDX-License-Identifier: BSD-3-Clause
# Sourced by get_text.sh and get_texts.sh: the Debian FAQ as running prose.

# debian_faq PACKAGE LANGUAGE OUT: from Debian's package, hard line ends joined, tables of contents and commands removed.
debian_faq() {
  local package=$1 language=$2 out=$3 work
  work=$(mktemp -d "$(dirname "$out")/.text.XXXXXX")
  # shellcheck disable=SC2064  # the path is meant to be expanded now
  trap "rm -rf '$work'" EXIT
  [[ $(id -u) == 0 ]] && chmod 755 "$work"
  echo "fetching Debian's package $package" >&2
  (cd "$work" && { apt-get download -qq "$package" 2>/dev/null || { apt-get update -qq && apt-get download -qq "$package"; }; }) >&2
  dpkg -x "$work/$package"_*.deb "$work/tree"
  gzip -dc "$work/tree/usr/share/doc/debian/FAQ/debian-faq.$language.txt.gz" >"$work/faq.txt"
  python3 - "$work/faq.txt" "$out" <<'PYTHON'
import re, sys
text = open(sys.argv[1], encoding="utf-8", errors="replace").read()
paragraphs = [" ".join(p.split()) for p in re.split(r"\n\s*\n", text)]
# Running prose only: tables of contents, rulers, commands and headings say nothing about a language model.
prose = [p for p in paragraphs if len(p) > 120 and sum(c.isalpha() or c == " " for c in p) > 0.9 * len(p) and "...." not in p]
open(sys.argv[2], "w", encoding="utf-8").write("\n\n".join(prose) + "\n")
PYTHON
  rm -rf "$work"
  trap - EXIT
}
