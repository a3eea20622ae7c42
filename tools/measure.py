# SPDX-License-Identifier: BSD-3-Clause
"""What demo.py and run_benchmarks.py share: runs of the program, rows of results, tables. Standard library only, so that
it also runs on a machine where nothing can be installed."""
import concurrent.futures
import datetime
import hashlib
import json
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import threading

ROOT = pathlib.Path(__file__).resolve().parent.parent


class Failed(Exception):
    """A command ended with an error; the message is its own."""


def find_program():
    for path in (os.environ.get("LLMCODEC"), ROOT / "build/release/llmcodec"):
        if path and os.access(path, os.X_OK):
            return str(path)
    raise SystemExit("no llmcodec program: run ./dev build, or set LLMCODEC")


def run(arguments):
    """(standard output, seconds of user time) of one finished child; Failed with its message."""
    process = subprocess.Popen([str(a) for a in arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
    errors = []
    with process.stdout, process.stderr:
        reader = threading.Thread(target=lambda: errors.append(process.stderr.read()))
        reader.start()
        output = process.stdout.read()
        reader.join()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        lines = errors[0].decode(errors="replace").strip().splitlines() or ["no message"]
        raise Failed(f"exit code {process.returncode}: {lines[-1]}")
    return output.decode(), usage.ru_utime


def run_json(arguments):
    output, user_seconds = run([*arguments, "--json"])
    return {**json.loads(output), "user_seconds": user_seconds}


class Lab:
    """One model, one program ("" where none is run), one folder for what comes out. Rows are kept, so that a stopped run goes on."""

    def __init__(self, program, folder, threads=0, keep_files=False):
        self.folder, self.threads, self.keep_files = pathlib.Path(folder), threads, keep_files
        (self.folder / "rows").mkdir(parents=True, exist_ok=True)
        self.program = self.own_copy(program) if ROOT / "build" in pathlib.Path(program).parents else program

    def own_copy(self, program):
        """A copy in the folder of what a build may replace: hours of rows are one program's, whatever is built meanwhile."""
        copy = self.folder / "llmcodec"
        shutil.copy2(program, copy.with_suffix(".new"))
        os.replace(copy.with_suffix(".new"), copy)
        return str(copy)

    def thread_options(self):
        return ["--threads", self.threads] if self.threads else []

    def row(self, key, make):
        """make()'s result, from an earlier run if there is one. A failure is a row too, with the message under "error"."""
        path = self.folder / "rows" / (hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:20] + ".json")
        if path.exists():
            return json.loads(path.read_text())
        try:
            row = {**key, **make()}
        except Failed as failure:
            row = {**key, "error": str(failure)}
        row["date"] = datetime.date.today().isoformat()
        row["machine"] = machine()
        path.with_suffix(".partial").write_text(json.dumps(row, indent=1))
        os.replace(path.with_suffix(".partial"), path)
        return row

    def archive(self, source, codec, options, suffix):
        name = hashlib.sha256(repr((str(source), codec, options)).encode()).hexdigest()[:16]
        return self.folder / f"{name}{suffix}"

    def code(self, source, codec, options):
        """compress, then verify against the source: sizes, SNR and both times."""
        archive = self.archive(source, codec, options, ".safetensors")
        compressed = run_json([self.program, "compress", source, "-o", archive, "--codec", codec, *options, *self.thread_options()])
        verified = run_json([self.program, "verify", archive, "--against", source, *self.thread_options()])
        row = {key: compressed[key] for key in ("parameters", "bytes", "bpw", "bpw_weights", "encode_seconds", "wall_seconds")}
        row.update(snr_db=verified["snr_db"], relative_mse=verified["relative_mse"], decode_seconds=verified["decode_seconds"],
                   compress_cpu=compressed["user_seconds"], peak_bytes=compressed["peak_bytes"], archive=str(archive))
        return row

    def score(self, source, codec, options, text, text_bytes):
        """code(), and the restored GGUF scored by llama.cpp."""
        row = self.code(source, codec, options)
        restored = pathlib.Path(row["archive"]).with_suffix(".gguf")
        restoring = run_json([self.program, "decompress", row["archive"], "-o", restored, *self.thread_options()])
        row["decompress_cpu"] = restoring["user_seconds"]
        report = run_json([self.program, "eval", restored, "--original", source, "--text", text, "--max-bytes", text_bytes,
                           "--cache", self.folder / "cache", *self.thread_options()])
        row.update({key: report[key] for key in ("perplexity", "original_perplexity", "kl", "kl_error", "kl_999", "top1_percent", "chunks")})
        if not self.keep_files:
            restored.unlink()
        return row

    def clean(self, row):
        if not self.keep_files and "archive" in row:
            pathlib.Path(row.pop("archive")).unlink(missing_ok=True)
        return row


def in_parallel(jobs, calls):
    """Results of calls (functions without arguments), in order, `jobs` at a time; each finished one is announced."""
    def announce(number, call):
        result = call()
        print(f"[{number + 1}/{len(calls)}] {summary(result)}", file=sys.stderr, flush=True)
        return result

    with concurrent.futures.ThreadPoolExecutor(max_workers=jobs) as pool:
        return list(pool.map(announce, range(len(calls)), calls))


def summary(row):
    shown = [str(row.get("codec", "")), *(f"{key} {row[key]:.4g}" for key in ("target", "bpw", "snr_db", "perplexity", "kl") if key in row)]
    return " ".join(shown + ([row["error"]] if "error" in row else []))


def machine():
    """Processor, cores and memory in words."""
    name = platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            name = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), name)
        pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return name
    return f"{name}, {cores()} cores, {pages / 2**30:.0f} GiB"


def cores():
    return os.cpu_count() or 1


MODELS = ("smollm2", "gemma270m", "qwen05b", "qwen15b")  # of get_model.sh


def model_path(model):
    """Where the F16 GGUF of one of MODELS is, which is fetched if it is not there; any other text is a path itself."""
    if model not in MODELS:
        return pathlib.Path(model)
    path = ROOT / "build/tools" / model / f"{model}-f16.gguf"
    if not path.exists():
        subprocess.run([str(ROOT / "tools/get_model.sh"), model, str(path.parent)], check=True)
    return path


def write_marked(document, name, content):
    """Replaces what stands between the marks of `name` in a document; at its end where there are none yet."""
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    text = document.read_text(encoding="utf-8")
    if begin not in text:
        text = text.rstrip() + f"\n\n{begin}\n{end}\n"
    made = f"{begin}\n{content}\n{end}"
    document.write_text(re.sub(re.escape(begin) + ".*?" + re.escape(end), lambda _: made, text, flags=re.S), encoding="utf-8")


def table(rows, columns):
    """Markdown. columns: (title, function of a row -> text). Rows that failed show their message."""
    lines = ["| " + " | ".join(title for title, _ in columns) + " |", "|" + " --- |" * len(columns)]
    for row in rows:
        cells = []
        for _, cell in columns:
            try:
                cells.append(cell(row))
            except KeyError:
                cells.append("")
        if "error" in row:
            cells[-1] = row["error"].replace("|", "/")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def mws(row, key):
    """Million weights per second."""
    return f"{row['parameters'] / row[key] / 1e6:.2f}" if row.get(key) else ""


def free_bytes(folder):
    return shutil.disk_usage(folder).free
