#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Finds or brings an English text to score models on: DEST/eval.txt, and DEST/source.txt that says which text it is.
# In this order: $LLMCODEC_EVAL_TEXT; WikiText-2's raw test split at ../shared/data/text/wiki.test.raw (what the tables
# in docs/ use); the Debian FAQ from Debian's package debian-faq, with its hard line ends and its table of contents removed.
# Scores on different texts cannot be compared, so every table names its text.
# usage: get_text.sh [DEST]          default DEST: build/tools/text
set -euo pipefail
root=$(realpath "$(dirname "${BASH_SOURCE[0]}")/..")
dest=${1:-build/tools/text}
mkdir -p "$dest"
wikitext=$root/../shared/data/text/wiki.test.raw

take() { # FILE DESCRIPTION
  cp "$1" "$dest/eval.txt.partial" && chmod u+w "$dest/eval.txt.partial"
  echo "$2" >"$dest/source.txt"
  mv "$dest/eval.txt.partial" "$dest/eval.txt"
}

from_debian_faq() {
  local work
  work=$(mktemp -d "$dest/.text.XXXXXX")
  # shellcheck disable=SC2064  # the path is meant to be expanded now
  trap "rm -rf '$work'" EXIT
  [[ $(id -u) == 0 ]] && chmod 755 "$work"
  echo "fetching Debian's package debian-faq" >&2
  (cd "$work" && { apt-get download -qq debian-faq 2>/dev/null || { apt-get update -qq && apt-get download -qq debian-faq; }; }) >&2
  dpkg -x "$work"/debian-faq_*.deb "$work/tree"
  gzip -dc "$work/tree/usr/share/doc/debian/FAQ/debian-faq.en.txt.gz" >"$work/faq.txt"
  python3 - "$work/faq.txt" "$work/text.txt" <<'PYTHON'
import re, sys
text = open(sys.argv[1], encoding="utf-8", errors="replace").read()
paragraphs = [" ".join(p.split()) for p in re.split(r"\n\s*\n", text)]
# Running prose only: tables of contents, rulers, commands and headings say nothing about a language model.
prose = [p for p in paragraphs if len(p) > 120 and sum(c.isalpha() or c == " " for c in p) > 0.9 * len(p) and "...." not in p]
open(sys.argv[2], "w", encoding="utf-8").write("\n\n".join(prose) + "\n")
PYTHON
  take "$work/text.txt" "Debian FAQ (Debian package debian-faq), running prose"
  rm -rf "$work"
  trap - EXIT
}

if [[ -n ${LLMCODEC_EVAL_TEXT:-} ]]; then
  take "$LLMCODEC_EVAL_TEXT" "$LLMCODEC_EVAL_TEXT"
elif [[ -f $wikitext ]]; then
  take "$wikitext" "WikiText-2 raw, test split (wiki.test.raw)"
elif [[ ! -f $dest/eval.txt ]]; then
  from_debian_faq
fi
echo "evaluation text: $(cat "$dest/source.txt")" >&2
