# SPDX-License-Identifier: BSD-3-Clause
"""docs/study.md and README.md out of docs/study/*.json: the blocks between marks are written here and nowhere else, numbers, verdicts and all.

A verdict is worked out, by rules that stand beside each claim: a new run may change it.
"""
import re

import numpy as np

import measure
import study_claims
from study_evidence import Evidence, at_rate, mean_accuracy, name_of, tasks_of, weighted_difference, with_interval

from llmcodec.compare.models import table_of

RESULTS = measure.ROOT / "docs/study"
DOCUMENTS = ("docs/study.md", "README.md")
MARK = re.compile(r"(<!-- begin study ([a-z-]+) -->\n).*?(<!-- end study \2 -->)", re.S)
SHOWN = (1.5, 2.5, 4.0)  # bits of the tables


def markdown(cells):
    """A table; the first row is its headings."""
    lines = ["| " + " | ".join(str(cell).replace("|", "/") for cell in row) + " |" for row in cells]
    return "\n".join([lines[0], "|" + " --- |" * len(cells[0]), *lines[1:]])


def claims(evidence):
    """Every claim with its verdict, what was measured, and by which rule the verdict follows."""
    rows = [(claim.title, f"**{found.verdict}**", found.words, claim.rule, claim.command) for claim in study_claims.CLAIMS for found in [claim.judge(evidence)]]
    return markdown([("claim", "verdict", "what we measured", "the rule of the verdict", "command"), *rows])


def codecs(evidence):
    """Codecs in their own settings: SmolLM2 in full, of the other models the gap in the middle."""
    main, others = evidence.main, evidence.grids[1:]
    gaps = [{line.name: line.gaps for line in grid.study.codecs()} for grid in others]
    head = ["codec", *(f"gap at {rate:g} bits" for rate in SHOWN), f"SNR against {main.study.anchor}, dB", "encode", "decode, million weights/s",
            *(f"{grid.name}: gap at {SHOWN[1]:g} bits" for grid in others)]
    rows = []
    for line in main.study.codecs():
        speeds = [f"{value:.2g}" if value else "" for value in (line.encode_mws, line.decode_mws)]
        rows.append([f"`{line.name}`", *(at_rate(line.gaps, rate) for rate in SHOWN), with_interval(line.snr_db), *speeds,
                     *(at_rate(of.get(line.name, {}), SHOWN[1]) for of in gaps)])
    alike = [f"{grid.name} {rank_correlation(main, grid, SHOWN[1]):.3f}" for grid in others]
    words = f"\n\nRank correlation of the gaps at {SHOWN[1]:g} bits with those of {main.name}: {', '.join(alike)}." if alike else ""
    return markdown([head, *rows]) + words


def rank_correlation(grid, other, rate):
    """Spearman's, over the codecs that both have."""
    shared = [codec for codec in grid.study.bases if grid.gap(codec, rate) is not None and other.gap(codec, rate) is not None]
    ranks = [np.argsort(np.argsort([of.gap(codec, rate) for codec in shared])) for of in (grid, other)]
    return float(np.corrcoef(*ranks)[0, 1])


def varied(evidence):
    """All that was changed, each against the same codec without it; of a codec with several values the table has a line each."""
    rows = [(", ".join(line.row["varies"]).replace("_", " "), f"`{line.codec}`", line.name, with_interval(line.snr_db), line.snr_db.tensors,
             f"{line.encode_mws:.2g}" if line.encode_mws else "") for line in evidence.main.study.variants() if line.snr_db is not None]
    return markdown([("what", "codec", "value", "SNR, dB", "tensors", "encode, million weights/s"), *rows])


def models(evidence):
    """The table of the report, rows of one rate together."""
    rows = [{key: value for key, value in row.items() if key != "tasks"} for row in evidence.models if row.get("perplexity")]
    return markdown(table_of(rows)) if rows else "None yet."


def tasks(evidence):
    """What rows with tasks have of each and of all, and how far all are from the original's."""
    rows = sorted((row for row in evidence.models if row.get("tasks_right")), key=lambda row: (row["model"], -row["asked_bpw"], row["codec"]))
    if not rows:
        return "None yet."
    names = tasks_of(rows[0])
    lines = []
    for row in rows:
        original = evidence.model_row("FP16", 16, row["model"])
        change = "" if row is original else with_error(weighted_difference(row, original), "+.1f")
        cells = [f"{row['tasks'][name]:.1f} ± {row['tasks_error'][name]:.1f}" for name in names]
        lines.append([row["model"], row["codec"], f"{row['bpw']:.2f}", with_error(mean_accuracy(row), ".1f"), change, *cells])
    head = ["model", "codec", "bits per weight", "mean, %", "change from FP16, points", *(f"{name}, {rows[0]['tasks_items'][name]} items" for name in names)]
    return markdown([head, *lines])


def with_error(found, digits):
    """A mean and its standard error."""
    return f"{found[0]:{digits}} ± {found[1]:.1f}"


def tensors(evidence):
    """Gap at 3 bits by kind of tensor and codec."""
    grid = evidence.others
    if grid is None:
        return "None yet."
    rate = 3.0
    lines = sorted(grid.study.bases)
    found = {codec: grid.study.gaps_by(codec, rate, "kind") for codec in lines}
    kinds = sorted({kind for of in found.values() for kind in of})
    rows = [[kind, *(f"{found[codec][kind].mean:.2f}" if kind in found[codec] else "" for codec in lines)] for kind in kinds]
    return markdown([["gap at 3 bits, dB", *(f"`{codec}`" for codec in lines)], *rows])


def advice(evidence):
    """Ten lines for practitioners."""
    return "\n".join(f"{number}. {line}" for number, line in enumerate(study_claims.advice(evidence), 1))


def runs(evidence):
    """What was run: commands, points, time, machine, versions."""
    parts = []
    for grid in evidence.all:
        loaded = grid.loaded
        machine = loaded["machine"]
        failed = len(grid.study.failed)
        parts.append(f"* **{grid.name}**: `{loaded['command']}`; {len(grid.study.rows)} points measured, {failed} rows with a reason instead, "
                     f"{minutes(loaded['seconds'])}, {machine['processor']}, {machine['cores']} cores, {loaded['created'][:10]}. {loaded.get('remark', '')}")
    texts = {f"{key} {value}" if key in ("python", "numpy") else part for grid in evidence.all for key, value in grid.loaded["versions"].items()
             if key not in ("llmcodec", "raw") for part in value.split(", ")}
    parts.append(f"* Versions: {', '.join(sorted(texts, key=str.lower))}.")
    for model in dict.fromkeys(row["model"] for row in evidence.models):
        rows = [row for row in evidence.models if row["model"] == model]
        load = max(max(row["load_average"]) for row in rows)
        texts = {text: size for row in rows for text, size in row.get("bytes_scored", {}).items()}
        scored = [f"{sum(text in row.get('perplexity', {}) for row in rows)} rows on {size:,} bytes of {text}" for text, size in texts.items()]
        scored += [f"{count} rows on tasks" for count in [sum("tasks_right" in row for row in rows)] if count]
        parts.append(f"* **Whole {name_of(model)}**: {', '.join(scored)}, {rows[0]['machine']}, {rows[0]['date']}, load average up to {load:.1f}.")
    return "\n".join(parts)


def minutes(seconds):
    return f"{int(seconds) // 60} min {int(seconds) % 60} s"


def seconds_in(reason):
    """Of "no room in the budget: about 3.2 s a point"; None of other reasons."""
    found = re.search(r"about ([\d.]+) s a point", reason)
    return float(found[1]) if found else None


def left(evidence):
    """What a grid had no room for, codec by codec, and what could not be done."""
    lines = []
    for grid in evidence.all:
        costs = {}
        for entry in grid.loaded["left_out"]:
            costs.setdefault(entry["codec"], []).append(seconds_in(entry["reason"]))
        for codec, seconds in sorted(costs.items()):
            known = sorted({value for value in seconds if value is not None})
            each = f", {known[0]:.3g} to {known[-1]:.3g} s a point" if len(known) > 1 else f", {known[0]:.3g} s a point" if known else ""
            lines.append(f"* {grid.name}, no room: `{codec}`, {len(seconds)} setting{'s' if len(seconds) > 1 else ''}{each} by the plan's estimate.")
        reasons = {}
        for row in grid.study.failed:
            reasons.setdefault(row["failed"], set()).add(f"`{row['codec']}`")
        lines += [f"* {grid.name}, {', '.join(sorted(codecs))}: {reason}." for reason, codecs in sorted(reasons.items())]
    lines += [f"* {name_of(row['model'])}: {row['codec']}, {row['asked_bpw']:g} bits: {row['failed']}" for row in evidence.models if "failed" in row]
    return "\n".join(lines) or "Nothing."


def summary(evidence):
    """One paragraph, for README.md."""
    rate = SHOWN[1]
    lines = {line.name: line for line in evidence.main.study.codecs()}
    shown = [f"`{name}` {lines[name].gaps[rate]:.2f}" for name in ("vvc", "vvc spectral", "libvvenc", "libsvtav1", "libx265", "libx264") if name in lines]
    control = min((line for name, line in lines.items() if name.startswith("control:")), key=lambda line: line.gaps[rate])
    return (f"Distance to the rate-distortion bound of Gaussian weights on {evidence.main.name} at {rate:g} bits, in dB: {', '.join(shown)}; "
            f"an ideal trellis quantiser without any picture {control.gaps[rate]:.2f}.\n")


BLOCKS = {"claims": claims, "codecs": codecs, "varied": varied, "models": models, "tasks": tasks, "tensors": tensors, "advice": advice, "runs": runs, "left": left,
          "summary": summary}


def filled(text, evidence):
    """The text with its marked blocks written anew."""
    return MARK.sub(lambda mark: f"{mark[1]}{BLOCKS[mark[2]](evidence).rstrip()}\n{mark[3]}", text)


def update(check, results=RESULTS):
    """Documents that do not say what the results say; without `check` they are rewritten."""
    evidence, stale = Evidence(results), []
    for name in DOCUMENTS:
        path = measure.ROOT / name
        text = path.read_text(encoding="utf-8")
        fresh = filled(text, evidence)
        if fresh != text:
            stale.append(name)
            if not check:
                path.write_text(fresh, encoding="utf-8")
    return stale
