#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Finds or brings an English text to score models on: DEST/eval.txt, and DEST/source.txt that says which text it is.
# In this order: $LLMCODEC_EVAL_TEXT; WikiText-2's raw test split at ../shared/data/text/wiki.test.raw (what the tables
# in docs/ use); the Debian FAQ from Debian's package debian-faq, with its hard line ends and its table of contents removed.
# Scores on different texts cannot be compared, so every table names its text.
# usage: get_text.sh [DEST]          default DEST: build/tools/text
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/debian_faq.sh"
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
  debian_faq debian-faq en "$dest/faq.txt"
  take "$dest/faq.txt" "Debian FAQ (Debian package debian-faq), running prose"
  rm "$dest/faq.txt"
}

if [[ -n ${LLMCODEC_EVAL_TEXT:-} ]]; then
  take "$LLMCODEC_EVAL_TEXT" "$LLMCODEC_EVAL_TEXT"
elif [[ -f $wikitext ]]; then
  take "$wikitext" "WikiText-2 raw, test split (wiki.test.raw)"
elif [[ ! -f $dest/eval.txt ]]; then
  from_debian_faq
fi
echo "evaluation text: $(cat "$dest/source.txt")" >&2
