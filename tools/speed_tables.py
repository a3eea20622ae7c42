# SPDX-License-Identifier: BSD-3-Clause
"""The tables of run_benchmarks.py about speed. Nothing else should run beside them.

speed      many pictures of one kind: `llmcodec bench` with our two layouts and two peers in one run, user time of one thread
decoders   decoding beside FFmpeg and VVdeC (--vvdec PROGRAM), on the files that `llmcodec compress` writes
reference  SmolLM2 to 3 bits and back, wall time and memory by the number of threads
synthetic  a BF16 checkpoint of 4 billion parameters, or --billions 8, at 3 bits (18 or 35 GB of disk)
"""
import concurrent.futures
import pathlib
import shutil
import subprocess
import sys

import measure

SIDE = 1024
SPEED_CODECS = ("vvc:layout=spectral", "vvc", "libx265:preset=medium", "libvvenc:preset=medium")
SPEED_PLANES = 12  # FFmpeg 8's libvvenc gives an empty stream for 16 pictures
DECODER_PLANES = 16
BPW = 2.3
REPEAT = 3


def speed_table(lab, _options):
    def make():
        codecs = [argument for codec in SPEED_CODECS for argument in ("--codec", codec)]
        return {"rows": measure.run_json([lab.program, "bench", "--threads", 1, *codecs, "--bpw", BPW, "--size", f"{SPEED_PLANES * SIDE}x{SIDE}"])["rows"]}

    result = lab.row({"table": "speed"}, make)
    if "error" in result:
        return [result]
    shared = {key: result[key] for key in ("date", "machine")}
    return [{**row, **shared, "encode_ratio": result["rows"][0]["encode_mws"] / row["encode_mws"]} for row in result["rows"]]


class Sample:
    """Gaussian planes of 1024x1024 as one matrix, its archive, and its stream; no planes: a tiny matrix."""

    def __init__(self, program, folder, layout, planes):
        import numpy as np

        import safetensors_stream as st
        self.program, self.folder, self.layout = program, folder, layout
        self.archive, self.stream = folder / f"{layout}-{planes}.safetensors", folder / f"{layout}-{planes}.266"
        source = folder / f"source-{planes}.safetensors"
        values = np.random.default_rng(5).standard_normal((max(64, planes * SIDE), SIDE if planes else 64), np.float32)
        st.write(str(source), [st.Entry("a.weight", "F32", values.shape, values)])
        measure.run([program, "compress", source, "-o", self.archive, "--restart", "--codec", "vvc", "--layout", layout,
                     *(["--bpw", BPW] if planes else ["--snr", 10]), "--scales", "tensor", "--importance", "none", "--threads", 1, "--quiet"])
        measure.run([program, "extract", self.archive, "a.weight", "-o", self.stream])

    def commands(self, options):
        """Spectral: from the archive to the finished F32 file, against the pictures alone in the other two."""
        ours = {"spectral": [self.program, "decompress", self.archive, "-o", self.folder / "restored.safetensors", "--threads", 1, "--quiet"],
                "spatial": [self.program, "vvc", "decode", self.stream, "-o", self.folder / "samples.yuv", "--quiet"]}
        found = {"ours": ours[self.layout],
                 "ffmpeg": [options.tools / "ffmpeg/ffmpeg", "-v", "error", "-threads", "1", "-f", "vvc", "-i", self.stream, "-f", "null", "-"]}
        if options.vvdec:
            found["vvdec"] = [options.vvdec, "-b", self.stream, "-t", "1", "-v", "0"]
        return found


def decoders_table(lab, options):
    """User times, those of a tiny file taken off each; the best of some runs, which take turns."""
    folder = lab.folder / "decoders"
    folder.mkdir(exist_ok=True)

    def make(layout):
        commands = [Sample(lab.program, folder, layout, planes).commands(options) for planes in (DECODER_PLANES, 0)]
        seconds = {}
        for _ in range(REPEAT):
            for number, named in enumerate(commands):
                for name, command in named.items():
                    seconds.setdefault((name, number), []).append(measure.run(command)[1])
        return {name: DECODER_PLANES * SIDE * SIDE / 1e6 / (min(seconds[name, 0]) - min(seconds[name, 1])) for name in commands[0]}

    rows = [lab.row({"table": "decoders", "layout": layout, "vvdec_asked": bool(options.vvdec)}, lambda: make(layout)) for layout in ("spectral", "spatial")]
    shutil.rmtree(folder)
    return rows


def timed(command):
    output = measure.run_json(command)
    return output["wall_seconds"], output["peak_bytes"]


def reference_table(lab, options):
    """Runs of one and of more threads take turns. Two programs at once, one thread each, show what the machine's second core is worth."""
    archive, restored = lab.folder / "reference.llmc", lab.folder / "reference.gguf"
    runs = {"1 thread": (1, 1), **{f"{n} threads": (1, n) for n in (2, 4, 8, 16) if n <= measure.cores()}, "2 programs at once": (2, 1)}

    def commands(number, threads):
        return {"compress": [lab.program, "compress", options.model, "-o", f"{archive}.{number}", "--bpw", 3, "--restart", "--threads", threads],
                "decompress": [lab.program, "decompress", f"{archive}.{number}", "-o", f"{restored}.{number}", "--threads", threads]}

    def make():
        best = {}
        for _ in range(REPEAT):
            for name, (programs, threads) in runs.items():
                for step in ("compress", "decompress"):
                    with concurrent.futures.ThreadPoolExecutor(programs) as pool:
                        each = list(pool.map(lambda number: timed(commands(number, threads)[step]), range(programs)))
                    wall, peak = max(seconds for seconds, _ in each), max(peak for _, peak in each)
                    known = best.setdefault(name, {}).get(step, (wall, peak, programs))
                    best[name][step] = (min(wall, known[0]), max(peak, known[1]), programs)
        for path in lab.folder.glob("reference.*"):
            path.unlink()
        return {"runs": best}

    result = lab.row({"table": "reference"}, make)
    if "error" in result:
        return [result]
    rows = []
    for name, steps in result["runs"].items():
        row = {"run": name, "date": result["date"], "machine": result["machine"]}
        for step, (wall, peak, programs) in steps.items():
            row[step] = (wall, peak, programs * result["runs"]["1 thread"][step][0] / wall)
        rows.append(row)
    return rows


def synthetic_table(lab, options):
    folder, archive, restored = (lab.folder / f"synthetic{suffix}" for suffix in ("", ".archive", ".restored"))

    def make():
        subprocess.run([sys.executable, str(pathlib.Path(__file__).parent / "make_synthetic.py"), str(folder), "--billions", options.billions], check=True)
        steps = {"compress": measure.run_json([lab.program, "compress", folder, "-o", archive, "--bpw", 3, "--shard-size", "2GB", *lab.thread_options()])}
        shutil.rmtree(folder)
        steps["decompress to BF16"] = measure.run_json([lab.program, "decompress", archive, "-o", restored, *lab.thread_options()])
        sizes = [bytes_in(archive), bytes_in(restored)]
        shutil.rmtree(archive)
        shutil.rmtree(restored)
        kept = ("wall_seconds", "user_seconds", "peak_bytes", "fit_seconds", "rate_seconds", "encode_seconds", "snr_db", "bpw")
        return {"parameters": steps["compress"]["parameters"], "sizes": sizes,
                "steps": {name: {key: step[key] for key in kept if key in step} for name, step in steps.items()}}

    result = lab.row({"table": "synthetic", "billions": options.billions}, make)
    if "error" in result:
        return [result]
    shared = {key: result[key] for key in ("parameters", "date", "machine")}
    return [{**step, **shared, "step": name, "sizes": result["sizes"]} for name, step in result["steps"].items()]


def bytes_in(folder):
    return sum(path.stat().st_size for path in pathlib.Path(folder).glob("*.safetensors"))


def ratio(name):
    return lambda r: f"{r['ours'] / r[name]:.2f}"


def end_to_end(step):
    return [(f"{step} s", lambda r: f"{r[step][0]:.2f}"), ("times one thread", lambda r: f"{r[step][2]:.2f}"), ("peak MB", lambda r: f"{r[step][1] / 1e6:.0f}")]


COLUMNS = {
    "speed": [("codec", lambda r: r["codec"]), ("bpw", lambda r: f"{r['bpw']:.3f}"), ("gap dB", lambda r: f"{r['gap_db']:.2f}"),
              ("encode Mweights/s", lambda r: f"{r['encode_mws']:.3g}"), ("decode Mweights/s", lambda r: f"{r['decode_mws']:.3g}"),
              ("spectral encodes faster by", lambda r: f"{r['encode_ratio']:.3g}")],
    "decoders": [("million a second", lambda r: {"spectral": "spectral: weights, `decompress` to F32", "spatial": "spatial: samples, `vvc decode`"}[r["layout"]]),
                 ("ours", lambda r: f"{r['ours']:.1f}"), ("FFmpeg", lambda r: f"{r['ffmpeg']:.1f}"), ("ratio", ratio("ffmpeg")),
                 ("VVdeC", lambda r: f"{r['vvdec']:.1f}"), ("ratio", ratio("vvdec"))],
    "reference": [("run", lambda r: r["run"]), *end_to_end("compress"), *end_to_end("decompress")],
    "synthetic": [("", lambda r: r["step"]), ("parameters", lambda r: f"{r['parameters']:,}"), ("archive GB", lambda r: f"{r['sizes'][0] / 1e9:.2f}"),
                  ("model GB", lambda r: f"{r['sizes'][1] / 1e9:.2f}"), ("wall s", lambda r: f"{r['wall_seconds']:.0f}"),
                  ("user s", lambda r: f"{r['user_seconds']:.0f}"), ("Mweights/s", lambda r: f"{r['parameters'] / r['wall_seconds'] / 1e6:.1f}"),
                  ("peak MB", lambda r: f"{r['peak_bytes'] / 1e6:.0f}")]}
TABLES = {"speed": speed_table, "decoders": decoders_table, "reference": reference_table, "synthetic": synthetic_table}
