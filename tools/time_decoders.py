#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Decoding speed beside FFmpeg and VVdeC, on the files that `llmcodec compress` writes: user time of one thread.

usage: time_decoders.py --ffmpeg FFMPEG [--vvdec VVDECAPP] [--planes 16] [--bpw 2.3] [--repeat 3]

Gaussian planes of 1024x1024 as one matrix. Spectral (the default layout): `llmcodec decompress` to F32, from the archive to
the finished file, in weights a second, against the pictures alone in the other two. Spatial: `llmcodec vvc decode` of the
same stream, in samples a second. The user time of a tiny file is taken off each; the best of --repeat runs counts.
"""
import argparse
import pathlib
import tempfile

import numpy as np

import measure
import safetensors_stream as st

SIDE = 1024


class Sample:
    """One matrix, its archive, and its stream."""

    def __init__(self, program, folder, layout, planes, bpw):
        self.program, self.folder = program, folder
        self.archive, self.stream = folder / f"{layout}-{planes}.safetensors", folder / f"{layout}-{planes}.266"
        source = folder / f"source-{planes}.safetensors"
        rows = max(64, planes * SIDE)
        values = np.random.default_rng(5).standard_normal((rows, SIDE if planes else 64), np.float32)
        st.write(str(source), [st.Entry("a.weight", "F32", values.shape, values)])
        measure.run([program, "compress", source, "-o", self.archive, "--restart", "--codec", "vvc", "--layout", layout,
                     *(["--bpw", bpw] if planes else ["--snr", 10]), "--scales", "tensor", "--importance", "none", "--threads", 1, "--quiet"])
        measure.run([program, "extract", self.archive, "a.weight", "-o", self.stream])

    def commands(self, decoders):
        ours = {"spectral": [self.program, "decompress", self.archive, "-o", self.folder / "restored.safetensors", "--threads", 1, "--quiet"],
                "spatial": [self.program, "vvc", "decode", self.stream, "-o", self.folder / "samples.yuv", "--quiet"]}
        return {"ours": ours[self.archive.name.split("-")[0]],
                **{name: [str(argument).replace("STREAM", str(self.stream)) for argument in command] for name, command in decoders.items()}}


def best_seconds(command, repeat):
    return min(measure.run(command)[1] for _ in range(repeat))


def decoders(options):
    found = {"FFmpeg": [options.ffmpeg, "-v", "error", "-threads", "1", "-f", "vvc", "-i", "STREAM", "-f", "null", "-"]}
    if options.vvdec:
        found["VVdeC"] = [options.vvdec, "-b", "STREAM", "-t", "1", "-v", "0"]
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ffmpeg", type=pathlib.Path, default=measure.ROOT / "build/tools/ffmpeg/ffmpeg")
    parser.add_argument("--vvdec", type=pathlib.Path)
    parser.add_argument("--planes", type=int, default=16)
    parser.add_argument("--bpw", type=float, default=2.3)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    program = measure.find_program()
    print("| million a second | ours | " + " | ".join(f"{name} | ratio" for name in decoders(options)) + " |")
    print("|---|" + "---|" * (1 + 2 * len(decoders(options))))
    with tempfile.TemporaryDirectory() as folder:
        for layout, what in (("spectral", "weights, `decompress` to F32"), ("spatial", "samples, `vvc decode`")):
            whole = Sample(program, pathlib.Path(folder), layout, options.planes, options.bpw).commands(decoders(options))
            tiny = Sample(program, pathlib.Path(folder), layout, 0, options.bpw).commands(decoders(options))
            speed = {name: options.planes * SIDE * SIDE / 1e6 / (best_seconds(whole[name], options.repeat) - best_seconds(tiny[name], options.repeat))
                     for name in whole}
            peers = " | ".join(f"{speed[name]:.1f} | {speed['ours'] / speed[name]:.2f}" for name in speed if name != "ours")
            print(f"| {layout}: {what} | {speed['ours']:.1f} | {peers} |", flush=True)


if __name__ == "__main__":
    main()
