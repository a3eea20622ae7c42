#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Brings the three other texts that a table must not forget, about 60,000 bytes each, from package managers:
#   code.txt    Python source: the modules of the gguf package in build/venv (MIT; version pinned in requirements.txt)
#   french.txt  the Debian FAQ in French (GPL-2+; Debian package debian-faq-fr)
#   chat.txt    questions and answers of PyPI's chatterbot-corpus (BSD), as User/Assistant turns
# usage: get_texts.sh [DEST]         default DEST: build/tools/texts; needs `./dev venv`
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
source "$here/wheel.sh"
source "$here/debian_faq.sh"
dest=${1:-build/tools/texts}
python=${LLMCODEC_PYTHON:-$here/../build/venv/bin/python}
mkdir -p "$dest"

if [[ ! -f $dest/code.txt ]]; then
  package=$("$python" -c 'import gguf, os; print(os.path.dirname(gguf.__file__))')
  head -c 60000 <(cat "$package"/{gguf_reader,gguf_writer,quants}.py) >"$dest/code.txt"
fi
[[ -f $dest/french.txt ]] || debian_faq debian-faq-fr fr "$dest/french.txt"
if [[ ! -f $dest/chat.txt ]]; then
  fetch_wheel "chatterbot-corpus==1.3.3" 86de5300afb9a80826386339d3bec79c0a72eb0358abb8327e2ecef5ae0ce154 \
    chatterbot_corpus/data/english/tech_support.yml "$dest/chat.yml"
  # The file is a plain two-level list: "- - question", "  - answer".
  sed -n -e 's/^- - ["'\'']\{0,1\}\(.*[^"'\'']\)["'\'']\{0,1\}$/\nUser: \1/p' -e 's/^  - ["'\'']\{0,1\}\(.*[^"'\'']\)["'\'']\{0,1\}$/Assistant: \1/p' \
    "$dest/chat.yml" >"$dest/chat.txt"
  rm "$dest/chat.yml"
fi
wc -c "$dest"/*.txt >&2
