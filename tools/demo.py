#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Compresses a real language model with real video codecs, restores it, checks it, and scores it.

usage: ./dev demo [--codec NAME[:key=value,...]]... [--bpw N]... [--text-bytes N] [--keep-files]

Without arguments: SmolLM2-135M at 3 bits per weight through VVenC's preset "faster" (in FFmpeg) and through our own VVC
encoder, scored on the first 20,000 bytes of the text; about ten minutes on two cores. --text-bytes 60000 gives the
figures of docs/benchmarks.md. For each codec:
  1. llmcodec compress    the model's matrices become pictures, the pictures a video stream
  2. llmcodec verify      every checksum, and the error against the original
  3. llmcodec decompress  back to a GGUF that llama.cpp runs
  4. llmcodec eval        perplexity of both models, and how far their predictions are apart (KL divergence)
"""
import argparse
import os
import pathlib

import measure

COLUMNS = [("codec", lambda r: r["codec"]), ("bpw", lambda r: f"{r['bpw']:.3f}"), ("bpw weights", lambda r: f"{r['bpw_weights']:.3f}"),
           ("SNR dB", lambda r: f"{r['snr_db']:.2f}"), ("encode s", lambda r: f"{r['encode_seconds']:.1f}"),
           ("whole run s", lambda r: f"{r['wall_seconds']:.1f}"), ("decode s", lambda r: f"{r['decode_seconds']:.1f}"),
           ("perplexity", lambda r: f"{r['perplexity']:.2f}"), ("KL", lambda r: f"{r['kl']:.4f} ± {r['kl_error']:.4f}"),
           ("same first token", lambda r: f"{r['top1_percent']:.1f} %")]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--codec", action="append")
    parser.add_argument("--bpw", action="append", type=float)
    parser.add_argument("--text-bytes", type=int, default=20000)
    parser.add_argument("--keep-files", action="store_true", help="leave archives and restored models in build/demo")
    parser.add_argument("--tools", default=str(measure.ROOT / "build/tools"), help="where ./dev tools has put its files")
    options = parser.parse_args()
    tools = pathlib.Path(options.tools)
    model, text = tools / "smollm2/smollm2-f16.gguf", tools / "text/eval.txt"
    lab = measure.Lab(measure.find_program(), measure.ROOT / "build/demo", keep_files=options.keep_files)
    print(f"model: {model} ({os.path.getsize(model):,} bytes)\ntext:  {(tools / 'text/source.txt').read_text().strip()}, "
          f"first {options.text_bytes:,} bytes\nmachine: {measure.machine()}\n", flush=True)
    rows = []
    for bpw in options.bpw or [3.0]:
        for codec in options.codec or ["libvvenc:preset=faster", "vvc"]:
            print(f"{codec} at {bpw} bits per weight ...", flush=True)
            try:
                row = lab.score(model, codec, ["--bpw", bpw], text, options.text_bytes)
            except measure.Failed as failure:
                row = {"error": str(failure)}
            rows.append({"codec": codec, **row})
            lab.clean(rows[-1])
            print(measure.table([rows[-1]], COLUMNS).splitlines()[-1], flush=True)
    print("\n" + measure.table(rows, COLUMNS))
    scored = [row for row in rows if "perplexity" in row]
    if scored:
        print(f"\nThe original (16 bits per weight) has perplexity {scored[0]['original_perplexity']:.2f} on {scored[0]['chunks']} chunks of "
              "this text.")
    raise SystemExit(0 if len(scored) == len(rows) else 1)


if __name__ == "__main__":
    main()
