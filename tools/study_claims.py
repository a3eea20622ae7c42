# SPDX-License-Identifier: BSD-3-Clause
"""The claims of the founding paper and of LLM.265, each judged by a rule on what was measured, and what a practitioner should use."""
import math
from collections.abc import Callable
from dataclasses import dataclass

from study_evidence import decibels, mean_accuracy, score, tasks_of, weighted_difference, with_interval

NOTICEABLE = 0.1  # dB; smaller differences are called none
ALIKE = 0.3  # dB between codecs that are said not to differ
PEERS = ("RTN", "HQQ", "SINQ")
FAMILIES = ("libvvenc", "libx265", "libsvtav1")  # VVC, HEVC, AV1
VIDEO = ("libvvenc", "libx265", "libx264", "libsvtav1", "libaom-av1", "librav1e", "libvpx-vp9", "libkvazaar")
GUESSING = 30.0  # per cent, the mean of tasks with four, four, any, two and two choices
CONFIRMED, REFUTED, DEPENDS, UNKNOWN = "confirmed", "refuted", "depends", "not measured"


@dataclass(frozen=True)
class Finding:
    verdict: str
    words: str


@dataclass(frozen=True)
class Claim:
    title: str
    judge: Callable
    rule: str
    command: str = "`llmcodec compare`"


NOTHING = Finding(UNKNOWN, "")
WHOLE, OTHERS = "`./dev bench study models`", "`llmcodec compare` on `./dev bench study tensors`"


def verdict(holds, fails):
    """Of a claim that holds in some measurements and fails in others."""
    return CONFIRMED if holds and not fails else REFUTED if fails and not holds else DEPENDS


def by_size(lines):
    """From the worst to the best, in words."""
    ordered = sorted(lines, key=lambda line: line.snr_db.mean)
    return "; ".join(f"`{line.codec}` {line.name} {with_interval(line.snr_db)}" for line in ordered)


def extremes(lines):
    """How many lose and gain noticeably, and the two ends."""
    if not lines:
        return ""
    low, high = (end(lines, key=lambda line: line.snr_db.mean) for end in (min, max))
    losing, gaining = (sum(line.snr_db.mean * sign > NOTICEABLE for line in lines) for sign in (-1, 1))
    return (f"{losing} of {len(lines)} lose more than {NOTICEABLE} dB, {gaining} gain more; from {decibels(low.snr_db.mean)} (`{low.codec}`, {low.name}) "
            f"to {decibels(high.snr_db.mean)} (`{high.codec}`, {high.name})")


def in_all(evidence, words):
    """What each grid has to say, where it has something."""
    said = [(grid.name, words(grid)) for grid in evidence.grids]
    return "; ".join(f"{name}: {text}" for name, text in said if text)


def peers_at(evidence, bits):
    return [row for row in (evidence.model_row(name, bits) for name in PEERS) if row]


def perplexity(evidence):
    """At 2 bits, against the best method that uses no data either."""
    ours, peers = evidence.model_row("llmcodec", 2), peers_at(evidence, 2)
    if ours is None or not peers:
        return NOTHING
    best = min(peers, key=lambda row: score(row, "perplexity"))
    ratio = score(best, "perplexity") / score(ours, "perplexity")
    original = evidence.model_row("FP16", 16)
    words = (f"SmolLM2: `llmcodec` {score(ours, 'perplexity'):,.0f} with {ours['bpw']:.2f} bits; best of {', '.join(row['codec'] for row in peers)}: "
             f"{best['codec']} {score(best, 'perplexity'):,.0f} with {best['bpw']:.2f} bits: {ratio:,.{1 if ratio < 100 else 0}f} times. The original has {score(original, 'perplexity'):.1f}")
    alone = [f"`{name}` {score(row, 'perplexity'):,.0f}" for name in ("vvc spectral", *FAMILIES) for row in [evidence.model_row(name, 2)] if row]
    words += f". With scales of each tensor alone: {', '.join(alone)}" if alone else ""
    return Finding(CONFIRMED if ratio > 1.5 else REFUTED, words)


def tasks(evidence):
    """At 2 bits, against the best method that uses no data either. The ratio's error is that of (ours - ratio * theirs) / theirs."""
    ours, peers = evidence.model_row("llmcodec", 2), [row for row in peers_at(evidence, 2) if row.get("tasks_right")]
    if ours is None or not ours.get("tasks_right") or not peers:
        return NOTHING
    best = max(peers, key=lambda row: mean_accuracy(row)[0])
    least = mean_accuracy(best)[0]
    ratio = mean_accuracy(ours)[0] / least
    error = weighted_difference(ours, best, ratio)[1] / least
    rows = [evidence.model_row("FP16", 16), ours, *peers, *(row for row in [evidence.model_row("libx265", 2)] if row and row.get("tasks_right"))]
    shown = ", ".join(f"`{row['codec']}` {mean_accuracy(row)[0]:.1f} ± {mean_accuracy(row)[1]:.1f} %" for row in rows)
    words = (f"SmolLM2, mean of {', '.join(tasks_of(ours))}, {min(ours['tasks_items'].values())} items each: {shown}; guessing gives {GUESSING:.0f} %. "
             f"`llmcodec` is {100 * (ratio - 1):+.0f} ± {100 * error:.0f} % from {best['codec']} (standard error over the same items)")
    gain, limit = ratio - 1, 0.21
    judged = DEPENDS if abs(gain - limit) < 2 * error else CONFIRMED if gain >= limit else REFUTED
    return Finding(judged, words)


def intra(evidence):
    lines = [line for grid in evidence.grids for line in grid.variants("profile", "layout")]
    if not lines:
        return NOTHING
    holds = any(line.snr_db.mean < -NOTICEABLE for line in lines)
    fails = any(line.snr_db.mean > NOTICEABLE for line in lines)
    return Finding(verdict(holds, fails), in_all(evidence, lambda grid: extremes(grid.variants("profile", "layout"))))


def layers_as_frames(evidence):
    lines = [line for grid in evidence.grids for line in grid.variants("profile", "layout") if line.row["layout"] == "stacked"]
    if not lines:
        return NOTHING
    gains = [line for line in lines if line.snr_db.mean > NOTICEABLE]
    return Finding(CONFIRMED if not gains else DEPENDS, by_size(line for line in evidence.main.variants("profile", "layout")
                                                               if line.row["layout"] == "stacked"))


def vvc_first(evidence):
    def order(grid):
        lines = [line for line in grid.study.codecs() if line.codec in VIDEO]
        return [line.codec for line in lines]

    def words(grid):
        first, second = order(grid)[:2]
        lead = grid.paired(first, second)
        return f"`{first}` before `{second}` by {with_interval(lead)} dB; `vvc` before `libvvenc` by {with_interval(grid.paired('vvc', 'libvvenc'))}"

    firsts = [order(grid)[0] == "libvvenc" for grid in evidence.grids]
    return Finding(verdict(any(firsts), not all(firsts)), in_all(evidence, words))


def families(evidence):
    """How far the best encoders of three standards are apart, rate by rate."""
    def spreads(grid):
        found = {}
        for rate in grid.study.rates:
            gaps = [gap for gap in (grid.gap(codec, rate) for codec in FAMILIES) if gap is not None]
            if len(gaps) == len(FAMILIES):
                found[rate] = max(gaps) - min(gaps)
        return found

    def words(grid):
        return ", ".join(f"{spread:.2f} dB at {rate:g} bits" for rate, spread in spreads(grid).items())

    above = [spread for grid in evidence.grids for rate, spread in spreads(grid).items() if rate > 1.8]
    return Finding(verdict(all(spread < ALIKE for spread in above), any(spread >= ALIKE for spread in above)), in_all(evidence, words))


def switches(*names):
    """A claim that these tools gain."""
    def lines_of(grid):
        return [line for varies in (("tools",), ("preset", "tools")) for line in grid.variants(*varies) if line.row["tools"] in names]

    def judge(evidence):
        gains = [line.snr_db.mean > NOTICEABLE for grid in evidence.grids for line in lines_of(grid)]
        if not gains:
            return NOTHING
        return Finding(verdict(any(gains), not all(gains)), in_all(evidence, lambda grid: by_size(lines_of(grid))))
    return judge


def transforms(evidence):
    def lead(grid):
        return grid.paired("vvc", "control:trellis4")

    leads = [lead(grid).mean for grid in evidence.grids]
    words = in_all(evidence, lambda grid: f"`vvc` {with_interval(lead(grid))} dB against the same trellis without transform, `libvvenc` "
                                          f"{with_interval(grid.paired('libvvenc', 'control:uniform'))} dB against a uniform quantiser without")
    return Finding(verdict(any(value > NOTICEABLE for value in leads), any(value <= NOTICEABLE for value in leads)), words)


def video_in_8_bits(grid):
    """Of ours and of video encoders; what codes pictures is in the table of what was varied."""
    return [line for line in grid.variants("bit_depth") if line.codec in ("vvc", *VIDEO)]


def eight_bits(evidence):
    losses = [-line.snr_db.mean for grid in evidence.grids for line in video_in_8_bits(grid)]
    if not losses:
        return NOTHING
    judged = CONFIRMED if max(losses) <= NOTICEABLE else DEPENDS if max(losses) <= ALIKE else REFUTED
    return Finding(judged, in_all(evidence, lambda grid: extremes(video_in_8_bits(grid))))


def affine(evidence):
    """How much of the fall of the divergence is due to scales, and how much to the codec that is given them."""
    lines = evidence.main.variants("scales")
    of_weights = f"SNR of the weights with other scales than one for each row and column: {by_size(lines)}" if lines else ""
    names = ("vvc spectral, one scale a tensor", "vvc spectral", "llmcodec", "libx265")
    rows = [evidence.model_row(name, 3) for name in names]
    if not all(rows):
        return Finding(UNKNOWN, of_weights)
    plain, dual, ours, x265 = (score(row, "kl") for row in rows)
    by_scales, by_codec = math.log(plain / ours), math.log(x265 / dual)
    share = by_scales / (by_scales + max(by_codec, 0))
    words = (f"SmolLM2 at 3 bits, KL by `vvc spectral`: one scale a tensor {plain:.3f}, rows and columns {dual:.3f}, by an estimate of the inputs (and with steps by tensor) {ours:.3f}; "
             f"`libx265` with rows and columns {x265:.3f}. Scales have {100 * share:.0f} % of the fall. {of_weights}")
    return Finding(CONFIRMED if share >= 0.8 else DEPENDS if share >= 0.5 else REFUTED, words)


def robust(evidence):
    """Whether pictures are nowhere worse than quantisation alone: Gaussian weights are no measure for what is not Gaussian."""
    grid = evidence.others
    if grid is None:
        return NOTHING
    ours, control = (grid.study.gaps_by(codec, 3.0, "kind") for codec in ("vvc", "control:uniform"))
    lead = {kind.removesuffix(".weight").replace(".*", ""): control[kind].mean - ours[kind].mean for kind in ours.keys() & control.keys()}
    text = ", ".join(f"{kind} {decibels(lead[kind])}" for kind in sorted(lead, key=lead.get))
    behind = [kind for kind in lead if lead[kind] < -ALIKE]
    words = f"`vvc` at 3 bits against a uniform quantiser without picture, dB: {text}; behind by more than {ALIKE} on {len(behind)} of {len(lead)} kinds"
    return Finding(verdict(len(behind) < len(lead), bool(behind)), words)


CLAIMS = (
    Claim("At 2 bits the perplexity is more than 1.5 times lower than that of the best other method", perplexity,
          "the best of RTN, HQQ and SINQ, which use no data either, has more than 1.5 times the perplexity", WHOLE),
    Claim("At 2 bits tasks are 21 % better than with the best other method", tasks, "mean accuracy 21 % above that of the best of RTN, HQQ and SINQ of which tasks were scored; within two standard errors of that: depends",
          "`./dev bench study tasks`"),
    Claim("All-intra is the best profile", intra, f"no inter profile gains more than {NOTICEABLE} dB, and some lose more; with some gains: depends"),
    Claim("Prediction between layers does not help", layers_as_frames, f"layers as frames gain {NOTICEABLE} dB with no codec"),
    Claim("VVC comes first", vvc_first, "libvvenc has the best SNR of the video encoders, each in its own setting, on every model"),
    Claim("Below 2 bits VVC, HEVC and AV1 differ, above 1.8 bits they do not", families, f"at all rates above 1.8 bits the three lie within {ALIKE} dB"),
    Claim("Block splitting gains", switches("ctu=64:min-cu-size=8", "MaxMTTDepthI=2"), f"each of the switches gains more than {NOTICEABLE} dB"),
    Claim("Further transforms gain", switches("MTS=1", "LFNST=1", "tskip=1"), f"each of the switches gains more than {NOTICEABLE} dB"),
    Claim("Intra prediction tools gain", switches("ISP=1", "MIP=1"), f"each of the switches gains more than {NOTICEABLE} dB"),
    Claim("The transform itself gains", transforms, f"our VVC is more than {NOTICEABLE} dB above the same quantiser without transform and prediction, whose entropy coder is ideal and only counted"),
    Claim("8-bit planes suffice", eight_bits, f"no video codec loses more than {NOTICEABLE} dB; some lose, none {ALIKE}: depends"),
    Claim("The affine transform carries nearly all of the gain", affine,
          "of the fall of the divergence (in logarithms) by better scales and by a better codec, 80 % are by scales; half: depends", WHOLE),
    Claim("Robust over kinds of tensors", robust,
          f"on no kind our VVC is {ALIKE} dB behind the quantiser, whose entropy coder is ideal and only counted", OTHERS),
)


def ranked(evidence, rate):
    """(gap, codec) of what can be used, the nearest to the bound first."""
    lines = [line for line in evidence.main.study.codecs() if rate in line.gaps and not line.name.startswith("control:") and "lossless" not in line.name]
    return sorted((line.gaps[rate], line.name) for line in lines)


def advice(evidence):
    """What to use, in ten lines; numbers are of SmolLM2 unless another model is named."""
    rate = 2.5
    lines = {line.name: line for line in evidence.main.study.codecs()}
    gap = {name: line.gaps[rate] for name, line in lines.items() if rate in line.gaps}
    speed = {name: line.encode_mws for name, line in lines.items() if line.encode_mws}
    presets = [line for line in evidence.main.variants("preset") if line.encode_mws and line.codec in FAMILIES]
    slow = max(presets, key=lambda line: line.snr_db.mean)
    cost = sorted(-line.snr_db.mean for line in video_in_8_bits(evidence.main))
    controls = {name: value for name, value in gap.items() if name.startswith("control:")}
    foreign = [(value, name) for value, name in ranked(evidence, rate) if name in VIDEO]
    yield (f"Use `llmcodec compress` as it is: `vvc spectral` is {gap['vvc spectral']:.2f} dB from the bound at {rate:g} bits and encodes {speed['vvc spectral']:.2g} million "
           f"weights a second on a loaded core; `vvc` gains {gap['vvc spectral'] - gap['vvc']:+.2f} dB at {speed['vvc']:.2g}.")
    yield (f"If others must decode it with what they have, take `{foreign[0][1]}` ({foreign[0][0]:.2f} dB, {speed[foreign[0][1]]:.2g} million a second), then "
           f"`{foreign[1][1]}` ({foreign[1][0]:.2f} dB); HEVC by `libx265` costs {gap['libx265'] - foreign[0][0]:.2f} dB more, H.264 {gap['libx264'] - foreign[0][0]:.2f} dB.")
    inter = [line.snr_db.mean for line in evidence.main.variants("profile", "layout") if line.codec in FAMILIES]
    yield (f"Code every picture alone: predicting rows from rows or layers from layers changes {decibels(min(inter))} to {decibels(max(inter))} dB in VVC, HEVC and AV1, "
           "and makes one tensor wait for another.")
    yield f"Take planes of 10 bits where an encoder has them; 8 bits cost {cost[0]:.2f} to {cost[-1]:.2f} dB."
    yield (f"Do not pay for slow presets: the largest gain of any of VVC, HEVC and AV1 is {with_interval(slow.snr_db)} dB ({slow.codec}, {slow.name}), and it encodes "
           f"{speed[slow.codec] / slow.encode_mws:.0f} times as slowly as our setting of that encoder.")
    yield "Do not turn or sort matrices; " + ordering(evidence)
    yield "Spend the effort on scales instead: " + scales(evidence)
    yield floor(evidence)
    yield (f"Pictures are not the last word: a trellis quantiser with an ideal entropy coder and no picture is at {min(controls.values()):.2f} dB; {quantiser(evidence)}"
           "what a video codec has over it is that decoders exist everywhere.")
    yield "Ask your own model: `llmcodec compare MODEL --budget 10m -o results.json`, then `llmcodec report results.json -o report.html`."


def quantiser(evidence):
    """What of VVenC gains, if its switches were measured."""
    gain = {line.row["tools"]: line.snr_db.mean for line in evidence.main.variants("preset", "tools")}
    others = [gain[name] for name in ("MTS=1", "LFNST=1", "ISP=1", "MIP=1", "MaxMTTDepthI=2") if name in gain]
    trellis = gain.get("DepQuant=1:SignHideFlag=0")
    if trellis is None or not others:
        return ""
    return (f"in VVenC the trellis (dependent quantisation) gains {decibels(trellis)} dB, and transforms, prediction and splitting {decibels(min(others))} "
            f"to {decibels(max(others))} each; ")


def ordering(evidence):
    lines = [line for line in evidence.main.variants("layout") if line.row["layout"] in ("transposed", "sorted")]
    return f"that changes {min(line.snr_db.mean for line in lines):+.2f} to {max(line.snr_db.mean for line in lines):+.2f} dB."


def scales(evidence):
    plain, ours = evidence.model_row("vvc spectral", 3), evidence.model_row("llmcodec", 3)
    if plain is None or ours is None:
        return "not measured here."
    return (f"at 3 bits the default, which estimates the layers' inputs from the weights, has a KL of {score(ours, 'kl'):.3f} instead of {score(plain, 'kl'):.3f}, "
            f"with {ours['snr_db'] - plain['snr_db']:+.1f} dB of the weights' SNR: SNR ranks codecs, not scales.")


def floor(evidence):
    rows = {bits: evidence.model_row("llmcodec", bits) for bits in (4, 3, 2)}
    original = evidence.model_row("FP16", 16)
    found = ", ".join(f"{score(row, 'perplexity'):.4g} at {bits} bits" for bits, row in rows.items() if row)
    return (f"Stay at 3 bits or more for models as small as this one: perplexity {found}, of the original {score(original, 'perplexity'):.4g}."
            if original and found else "Whole models were not measured.")
