#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Reruns the tables of docs/benchmarks.md and writes them there, each with its command, machine and date.

usage: ./dev bench [TABLE...] [--jobs N] [--quick] [--results DIR]
       run_benchmarks.py --pack DIR        everything another machine needs, in pieces of at most 55 MB
       (there)  cat DIR/piece.* | xz -d | tar x; bench/run [TABLE...] [--jobs N]

tables: gaussian   llmcodec bench, iid Gaussian 1024x1024, one thread: gap to the bound and speed of every codec
        tensors    llmcodec bench, crops of ten tensors of SmolLM2: SNR at equal bits, the mean over the ten
        encoders   SNR of a sample of 5 million weights from every kind of tensor of SmolLM2 at 2, 3 and 4 bits per weight
        models     the whole of SmolLM2 through the faster encoders: perplexity and KL divergence
        quality    the whole of SmolLM2 at 2.5 to 4 bits with more and more known about it: perplexity and KL divergence
                   (--model gemma270m, qwen05b or qwen15b: a table of that model in docs/other-models.md)
        ablation   the same at 3 bits, part by part;  texts: on prose, code, French and chat;  tasks: accuracy at 2 to 4 bits
                   (these four: --calibration FILE for the rows that need a text; tasks: --task-folder; only when named)
        speed      many pictures: our two layouts beside x265 and VVenC in one run, one thread
        decoders   decoding beside FFmpeg and VVdeC (--vvdec PROGRAM), on the files that compress writes
        reference  SmolLM2 to 3 bits and back: time and peak memory by the number of threads
        synthetic  a BF16 checkpoint of 4 (or --billions 8) billion parameters at 3 bits: time and peak memory (18 or 35 GB of disk)
                   (these four only when named, and with nothing else running)
Each finished row is kept in the results folder, so a stopped run goes on where it was, and the results folder of another
machine can be copied here to report it. Needs nothing but Python's standard library once packed.
"""
import argparse
import functools
import pathlib
import re
import shutil
import subprocess
import sys

import measure
import quality_table
import speed_tables

RATES = (2.0, 3.0, 4.0)
# libvvenc's slower presets and libaom at cpu-used below 4 take hours for nothing new.
ENCODERS = ("vvc:layout=spectral", "vvc:layout=spatial", "libvvenc:preset=faster", "libvvenc:preset=medium", "libx265:preset=medium",
            "libx264:preset=medium", "libsvtav1:preset=8", "libaom-av1:cpu-used=6", "libkvazaar", "librav1e:speed=6",
            "libvpx-vp9:cpu-used=2", "libjxl:effort=4", "libopenjpeg")
FAST_MWS = 0.3  # encoders above this many million weights per second also code the whole model
# What `gaussian` and `tensors` compare: still pictures only, the slow presets included.
STILL = (*ENCODERS[:4], "libvvenc:preset=slower", *ENCODERS[4:])
QUICK = ("vvc:layout=spectral", "libvvenc:preset=faster", "libx265:preset=medium")
TEXT_BYTES = 20000
BENCH_RATES = "1.5,2,2.3,3,4"


def split_layout(codec):
    """"vvc:layout=spectral" is our own layout option, not one of the codec's."""
    name, _, layout = codec.partition(":layout=")
    return name, (["--layout", layout] if layout else [])


def code_row(lab, source, codec, bpw):
    name, layout = split_layout(codec)
    return lab.clean(lab.code(source, name, ["--bpw", bpw, *layout]))


def score_row(lab, source, codec, bpw, text):
    name, layout = split_layout(codec)
    # Codecs are compared on the same scales, made from each tensor alone.
    return lab.clean(lab.score(source, name, ["--bpw", bpw, "--importance", "none", *layout], text, TEXT_BYTES))


def encoders_table(lab, options):
    calls = [functools.partial(lab.row, {"table": "encoders", "codec": codec, "target": bpw},
                               functools.partial(code_row, lab, options.sample, codec, bpw))
             for codec in options.encoders for bpw in RATES]
    return measure.in_parallel(options.jobs, calls)


def models_table(lab, options):
    sample_rows = encoders_table(lab, options)
    fast = {row["codec"] for row in sample_rows if row.get("encode_seconds") and
            row["parameters"] / row["encode_seconds"] / 1e6 > FAST_MWS} | {"vvc:layout=spectral"}
    calls = [functools.partial(lab.row, {"table": "models", "codec": codec, "target": bpw},
                               functools.partial(score_row, lab, options.model, codec, bpw, options.text))
             for codec in options.encoders if codec in fast for bpw in RATES]
    return measure.in_parallel(options.jobs, calls)


def bench_rows(lab, options, table, sources):
    """Rows of llmcodec bench, one call (and one kept file) per codec. Speeds are per core: one at a time unless asked otherwise."""
    def bench(codec):
        spec = codec.replace(":layout=spatial", "")  # for bench the spectral layout is an option of the codec
        calls = [argument for source in sources for argument in ("--source", source)]
        return {"rows": measure.run_json([lab.program, "bench", "--codecs", spec, "--bpw", BENCH_RATES, *calls])["rows"]}

    codecs = options.encoders if options.codecs or options.quick else STILL
    calls = [functools.partial(lab.row, {"table": table, "codec": codec}, functools.partial(bench, codec)) for codec in codecs]
    return measure.in_parallel(options.timing_jobs, calls)


def gaussian_table(lab, options):
    rows = []
    for result in bench_rows(lab, options, "gaussian", ["gaussian"]):
        shared = {key: result[key] for key in ("date", "machine")}
        rows += [{**row, **shared, "codec": result["codec"]} for row in result.get("rows", [])] or [result]
    return rows


def make_sample(path, options, *flags):
    """Weights of the model that tables are made of, unless they are there."""
    if not path.exists():
        script = pathlib.Path(__file__).parent / "make_sample.py"
        subprocess.run([sys.executable, str(script), *flags, str(options.model), str(path)], check=True)


def tensors_table(lab, options):
    """One row per codec and rate: means over the tensors."""
    make_sample(options.crops, options, "--crops")
    names = measure.run_json([lab.program, "plan", options.crops])["tensors"]
    rows = []
    for result in bench_rows(lab, options, "tensors", [f"{options.crops}:{tensor['name']}" for tensor in names]):
        shared = {key: result[key] for key in ("codec", "date", "machine")}
        measured = result.get("rows", [])
        if not measured:
            rows.append(result)
        for target in sorted({row["target_bpw"] for row in measured}):
            same = [row for row in measured if row["target_bpw"] == target and row["bpw"] > 0]  # 0: failed, with a note
            mean = {key: sum(row[key] for row in same) / len(same) for key in ("bpw", "snr_db", "gap_db")}
            rows.append({**shared, **mean, "tensors": len(same)})
    return rows


RATE_COLUMNS = [("codec", lambda r: r["codec"]), ("asked bpw", lambda r: f"{r['target']:g}"), ("bpw", lambda r: f"{r['bpw']:.3f}"),
                ("SNR dB", lambda r: f"{r['snr_db']:.2f}")]
COLUMNS = {
    "encoders": RATE_COLUMNS + [("encode Mweights/s", lambda r: measure.mws(r, "encode_seconds")),
                                ("decode Mweights/s", lambda r: measure.mws(r, "decode_seconds"))],
    "models": [("codec", lambda r: r["codec"]), ("bpw", lambda r: f"{r['bpw']:.3f}"), ("bpw weights", lambda r: f"{r['bpw_weights']:.3f}"),
               ("SNR dB", lambda r: f"{r['snr_db']:.2f}"), ("compress CPU s", lambda r: f"{r['compress_cpu']:.0f}"),
               ("decompress CPU s", lambda r: f"{r['decompress_cpu']:.0f}"),
               ("perplexity", lambda r: f"{r['perplexity']:.2f}"), ("KL", lambda r: f"{r['kl']:.4f} ± {r['kl_error']:.4f}"),
               ("99.9 % KL", lambda r: f"{r['kl_999']:.2f}"), ("top-1", lambda r: f"{r['top1_percent']:.1f} %")],
    "tensors": [("codec", lambda r: r["codec"]), ("tensors", lambda r: str(r["tensors"])), ("bpw", lambda r: f"{r['bpw']:.3f}"),
                ("SNR dB", lambda r: f"{r['snr_db']:.2f}"), ("6.02 bpw - SNR", lambda r: f"{r['gap_db']:.2f}")],
    "gaussian": [("codec", lambda r: r["codec"]), ("bpw", lambda r: f"{r['bpw']:.3f}"), ("SNR dB", lambda r: f"{r['snr_db']:.2f}"),
                 ("gap dB", lambda r: f"{r['gap_db']:.2f}"), ("encode Mweights/s", lambda r: f"{r['encode_mws']:.3f}"),
                 ("decode Mweights/s", lambda r: f"{r['decode_mws']:.2f}")],
    **quality_table.COLUMNS,
    **speed_tables.COLUMNS}
TABLES = {"gaussian": gaussian_table, "tensors": tensors_table, "encoders": encoders_table, "models": models_table,
          **quality_table.TABLES, **speed_tables.TABLES}


def source_line(rows, name):
    machines = sorted({row["machine"] for row in rows})
    dates = sorted({row["date"] for row in rows})
    return f"`./dev bench {name}`, {'; '.join(machines)}, {' to '.join(sorted({dates[0], dates[-1]}))}."


def report(document, name, rows, columns):
    """Replaces what stands between this table's marks."""
    measure.write_marked(document, name, f"{source_line(rows, name)}\n\n{measure.table(rows, columns)}")


def libraries_of(program):
    """Shared libraries of a program and its loader, as ldd sees them."""
    lines = subprocess.run(["ldd", program], stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
    return [match.group(0) for match in (re.search(r"/\S+", line) for line in lines) if match]


def pack(folder, program, tools):
    """A folder `bench` with program, loader, libraries, FFmpeg, llama.cpp, model, text, sample and these scripts."""
    folder.mkdir(parents=True, exist_ok=True)
    bench = folder / "bench"
    shutil.rmtree(bench, ignore_errors=True)
    (bench / "lib").mkdir(parents=True)
    shutil.copy(program, bench / "llmcodec.bin")
    for library in libraries_of(program):
        shutil.copy(library, bench / "lib")
    loader = next(path.name for path in (bench / "lib").iterdir() if path.name.startswith("ld-linux"))
    here = "here=$(dirname \"$(readlink -f \"$0\")\")\n"
    scripts = {"llmcodec": f"exec \"$here/lib/{loader}\" --library-path \"$here/lib\" \"$here/llmcodec.bin\" \"$@\"\n",
               "run": "export LLMCODEC=$here/llmcodec LLMCODEC_FFMPEG=$here/ffmpeg LLMCODEC_LLAMA_DIR=$here/llama/bin\n"
                      "[[ -f $here/model.gguf ]] || \"$here/llama/bin/llama-quantize\" --allow-requantize \"$here/q4_1.gguf\" \"$here/model.gguf\" F16\n"
                      "exec python3 \"$here/tools/run_benchmarks.py\" --model \"$here/model.gguf\" --text \"$here/eval.txt\" "
                      "--sample \"$here/sample.safetensors\" --crops \"$here/crops.safetensors\" --results \"${OUT:-$here}/results\" --document \"${OUT:-$here}/benchmarks.md\" \"$@\"\n"}
    for name, body in scripts.items():
        (bench / name).write_text("#!/bin/bash\n" + here + body)
        (bench / name).chmod(0o755)
    (bench / "tools").mkdir()
    for name in ("run_benchmarks.py", "quality_table.py", "speed_tables.py", "measure.py"):
        shutil.copy(pathlib.Path(__file__).parent / name, bench / "tools")
    shutil.copy(tools / "ffmpeg/ffmpeg", bench)
    shutil.copytree(tools / "llama", bench / "llama", symlinks=True)
    shutil.copy(tools / "smollm2/smollm2-q4.gguf", bench / "q4_1.gguf")
    shutil.copy(tools / "text/eval.txt", bench)
    for sample in ("sample.safetensors", "crops.safetensors"):
        shutil.copy(tools / sample, bench)
    for old in folder.glob("piece.*"):
        old.unlink()
    subprocess.run("tar -C {0} -c bench | xz -T0 -3 | split -b 55M - {0}/piece.".format(folder), shell=True, check=True)
    shutil.rmtree(bench)
    print("\n".join(f"{p} {p.stat().st_size:,}" for p in sorted(folder.glob("piece.*"))))
    print(f"there: cat {folder}/piece.* | xz -d | tar x; bench/run")


def find_model(options):
    """Turns the name of a model into its path. Tables of other models than SmolLM2 are told apart by it."""
    options.model_name = options.model if options.model in measure.MODELS else None
    options.model = measure.model_path(options.model)
    options.is_reference = options.model_name in (None, "smollm2")
    if not options.document:
        options.document = measure.ROOT / ("docs/benchmarks.md" if options.is_reference else "docs/other-models.md")
    if not options.is_reference and options.tables != ["quality"]:
        raise SystemExit("of other models than smollm2 there is the table quality alone")


def parse():
    tools = measure.ROOT / "build/tools"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", metavar="TABLE", help="default: gaussian tensors encoders models")
    parser.add_argument("--jobs", type=int, default=1, help="rows at a time")
    parser.add_argument("--timing-jobs", type=int, default=1, help="rows at a time of the table gaussian")
    parser.add_argument("--threads", type=int, default=0, help="threads of each run (default: all cores)")
    parser.add_argument("--quick", action="store_true", help="three codecs only")
    parser.add_argument("--codecs", help="codecs separated by spaces, instead of the standard list")
    parser.add_argument("--model", default="smollm2", help=f"an F16 GGUF, or one of {', '.join(measure.MODELS)} (fetched if it is not there)")
    parser.add_argument("--text", type=pathlib.Path, default=tools / "text/eval.txt")
    parser.add_argument("--calibration", type=pathlib.Path, help="text or .jsonl to collect moments from, another than --text")
    parser.add_argument("--self-tokens", type=int, default=0, help="of --model NAME: rows calibrated on so many tokens that it writes itself")
    parser.add_argument("--known", default="", metavar="REGEX", help="of --model NAME: only these rows, which are printed and not written")
    parser.add_argument("--task-folder", type=pathlib.Path, help="of the table tasks: piqa.jsonl, winogrande.jsonl, arc_easy.jsonl, arc_challenge.jsonl")
    parser.add_argument("--sample", type=pathlib.Path, default=tools / "sample.safetensors")
    parser.add_argument("--crops", type=pathlib.Path, default=tools / "crops.safetensors")
    parser.add_argument("--results", type=pathlib.Path, default=measure.ROOT / "build/bench")
    parser.add_argument("--document", type=pathlib.Path, help="default: docs/benchmarks.md; docs/other-models.md for --model NAME")
    parser.add_argument("--vvdec", type=pathlib.Path, help="VVdeC's vvdecapp, for the table decoders")
    parser.add_argument("--billions", default="4", choices=("4", "8"), help="of parameters, for the table synthetic")
    parser.add_argument("--pack", type=pathlib.Path)
    options = parser.parse_args()
    options.tools = tools
    find_model(options)
    options.encoders = options.codecs.split() if options.codecs else QUICK if options.quick else ENCODERS
    unknown = set(options.tables) - set(TABLES)
    if unknown:
        parser.error(f"no table {', '.join(sorted(unknown))}: {', '.join(TABLES)}")
    return options


def main():
    options = parse()
    if not options.is_reference:
        rows = quality_table.other_model(measure.Lab(measure.find_program(), options.results, options.threads), options)
        if options.known:
            return print(measure.table(rows, quality_table.OTHER_COLUMNS))
        return report(options.document, f"quality --model {options.model_name}", rows, quality_table.OTHER_COLUMNS)
    make_sample(options.sample, options)
    if options.pack:
        make_sample(options.crops, options, "--crops")
        return pack(options.pack, measure.find_program(), options.tools)
    lab = measure.Lab(measure.find_program(), options.results, options.threads)
    if not options.document.exists():
        options.document.write_text("# Benchmarks\n", encoding="utf-8")
    for name in options.tables or ["gaussian", "tensors", "encoders", "models"]:
        rows = TABLES[name](lab, options)
        report(options.document, name, rows, COLUMNS[name])
        print(f"{name}: {len(rows)} rows in {options.document}", flush=True)
    return None


if __name__ == "__main__":
    main()
