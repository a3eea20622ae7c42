# SPDX-License-Identifier: BSD-3-Clause
"""What is compared: encoders, and around the setting of each, one thing changed at a time, or one of the named pairs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from llmcodec._errors import InvalidArgumentError

PROFILES = ("intra", "low_delay", "random_access")
# Quantisation alone, with an entropy coder that is not built but counted: what a codec of pictures has to beat.
CONTROLS = ("control:zstd", "control:uniform", "control:trellis4", "control:trellis8")
ESTIMATE_REASON = "an estimate of the inputs lowers the error of the model's outputs, not of its weights: docs/importance.md"


@dataclass(frozen=True)
class Encoder:
    """One line of the comparison. `seconds`: about what a million weights take on one core, until it is measured."""

    name: str
    spec: str
    seconds: float = 1.0
    presets: tuple[tuple[str, str, float], ...] = ()  # its name, its options, and how many times a point of `spec` takes
    tools: tuple[tuple[str, str], ...] = ()
    profiles: tuple[str, ...] = ("intra",)
    bit_depth: int = 10
    grey: bool = False  # takes grey frames, so that 4:2:0 is another choice
    core: bool = False  # layouts, scales and pairs are tried with these


def _steps(option: str, *steps: tuple[object, float]) -> tuple[tuple[str, str, float], ...]:
    return tuple((f"{option}={value}", f"{option}={value}", factor) for value, factor in steps)


def _switches(parameters: str, *switches: str, before: str = "") -> tuple[tuple[str, str], ...]:
    return tuple((switch, f"{before}{parameters}={switch}") for switch in switches)


_ALL = PROFILES
_STILL = "quality_option=none,muxer=image2pipe"
ENCODERS: tuple[Encoder, ...] = (
    Encoder("vvc", "vvc", 0.2, core=True),
    Encoder("vvc spectral", "vvc:layout=spectral", 0.1),
    Encoder(
        "libvvenc",
        "libvvenc",
        0.4,
        _steps("preset", ("faster", 1.5), ("fast", 4), ("medium", 8), ("slow", 20), ("slower", 90)),
        (
            ("DepQuant=0", "vvenc-params=DepQuant=0"),
            *_switches(
                "vvenc-params",
                *("DepQuant=1:SignHideFlag=0", "RDOQ=0", "MTS=1", "LFNST=1", "ISP=1", "MIP=1", "MaxMTTDepthI=2", "ALF=1"),
                before="preset=faster,",
            ),
        ),
        ("intra", "random_access"),
        core=True,
    ),
    Encoder(
        "libx265",
        "libx265",
        0.35,
        _steps("preset", ("ultrafast", 0.5), ("medium", 2), ("slow", 4), ("veryslow", 12)),
        _switches(
            "x265-params",
            *("rdoq-level=0", "rdoq-level=1", "signhide=0", "tskip=1", "sao=1", "deblock=1", "ctu=64:min-cu-size=8"),
        ),
        _ALL,
        grey=True,
        core=True,
    ),
    Encoder("libx264", "libx264", 0.15, _steps("preset", ("ultrafast", 0.5), ("veryslow", 1.5)), (), _ALL, grey=True),
    Encoder("libsvtav1", "libsvtav1", 0.25, _steps("preset", (12, 0.6), (4, 8), (0, 60)), (), _ALL, core=True),
    Encoder("libaom-av1", "libaom-av1", 0.6, _steps("cpu-used", (8, 0.6), (4, 4), (2, 10)), (), _ALL, grey=True),
    Encoder("librav1e", "librav1e", 0.5, _steps("speed", (6, 2), (2, 12)), (), _ALL),
    Encoder("libvpx-vp9", "libvpx-vp9", 0.8, _steps("cpu-used", (5, 0.6), (0, 3)), (), _ALL),
    Encoder("libkvazaar", "libkvazaar", 0.35, (), (), _ALL, 8),
    Encoder("libjxl", "libjxl", 0.05, _steps("effort", (7, 8)), grey=False),
    Encoder("libopenjpeg", "libopenjpeg", 0.2),
    Encoder("AVIF (libaom still)", "libaom-av1:cpu-used=6,still-picture=1", 0.6),
    Encoder(
        "JPEG",
        "mjpeg:quality_option=q:v,pixel_formats=yuv420p,strict=unofficial,huffman=optimal,muxer=image2pipe,demuxer=jpeg_pipe",
        0.2,
        bit_depth=8,
    ),
    Encoder(
        "WebP",
        "libwebp:quality_option=quality,quality_from=100,quality_min=0,quality_max=100,quality_per_octave=25,"
        "pixel_formats=yuv420p,muxer=image2pipe,demuxer=webp_pipe",
        0.3,
        bit_depth=8,
    ),
    Encoder("ffv1 (lossless)", "ffv1", 0.1),
    Encoder(
        "JPEG XL (lossless)",
        f"libjxl_anim:{_STILL},demuxer=jpegxl_pipe,pixel_formats=gray gray16le,distance=0,modular=1",
        0.3,
        bit_depth=8,
    ),
    Encoder("JPEG-LS (lossless)", f"jpegls:{_STILL},demuxer=jpegls_pipe,pixel_formats=gray", 0.1, bit_depth=8),
    Encoder("raw", "raw", 0.02),
    *(Encoder(name, name, cost) for name, cost in zip(CONTROLS, (0.7, 0.3, 6.0, 9.0), strict=True)),
)
_DEFAULT_ANCHOR = "libx265"


@dataclass(frozen=True)
class Combination:
    """One setting of one encoder. `spec` is all of its options as `llmcodec bench --codec` takes them."""

    codec: str
    spec: str
    preset: str = "own"
    profile: str = "intra"
    bit_depth: int = 10
    frames: str = "preferred"
    layout: str = "plain"
    tools: str = "own"
    scales: str = "dual"
    varies: tuple[str, ...] = ()  # of these fields, those that are not as in the encoder's base setting
    cost: float = field(default=1.0, compare=False)  # seconds for a million weights, before it is measured
    base_cost: float = field(default=1.0, compare=False)

    def key(self) -> str:
        """What tells it from all others, in one line."""
        parts = (self.preset, self.profile, str(self.bit_depth), self.frames, self.layout, self.tools, self.scales)
        return " | ".join((self.codec, *parts))

    def described(self) -> dict[str, Any]:
        """As results.json has it."""
        values = asdict(self)
        del values["cost"], values["base_cost"]
        return values | {"varies": list(self.varies), "id": self.key()}


def select_encoders(wanted: Sequence[str]) -> list[Encoder]:
    """ "all", names of the table, and specifications of one's own; InvalidArgumentError for an empty list."""
    if not wanted or list(wanted) == ["all"]:
        return list(ENCODERS)
    known = {encoder.name: encoder for encoder in ENCODERS} | {encoder.spec: encoder for encoder in ENCODERS}
    chosen: list[Encoder] = []
    for name in wanted:
        encoder = known.get(name) or Encoder(name, name)
        if name not in known and name.startswith("control:"):
            raise InvalidArgumentError(f"control '{name}' is none of {', '.join(CONTROLS)}")
        if encoder not in chosen:
            chosen.append(encoder)
    return chosen


def select_profiles(wanted: Sequence[str]) -> tuple[str, ...]:
    """ "all", or some of PROFILES."""
    if not wanted or list(wanted) == ["all"]:
        return PROFILES
    for name in wanted:
        if name not in PROFILES:
            raise InvalidArgumentError(f"profile '{name}' is none of {', '.join(PROFILES)}")
    return tuple(profile for profile in PROFILES if profile in wanted)


def anchor_of(encoders: Sequence[Encoder], wanted: str | None) -> str:
    """The name of the encoder that the others are compared with."""
    names = [encoder.name for encoder in encoders]
    if wanted is not None and wanted not in names:
        raise InvalidArgumentError(f"anchor '{wanted}' is none of the codecs that are compared: {', '.join(names)}")
    return wanted or (_DEFAULT_ANCHOR if _DEFAULT_ANCHOR in names else names[0])


def with_options(spec: str, *more: str) -> str:
    """The specification with further options."""
    for options in more:
        if options:
            spec += ("," if ":" in spec else ":") + options
    return spec


def base_of(encoder: Encoder) -> Combination:
    """The setting that everything else of this encoder is compared with."""
    layout = "spectral" if "layout=spectral" in encoder.spec else "plain"
    return Combination(
        encoder.name, encoder.spec, bit_depth=encoder.bit_depth, layout=layout, cost=encoder.seconds, base_cost=encoder.seconds
    )


def grid(encoders: Iterable[Encoder], profiles: Sequence[str]) -> list[Combination]:
    """All combinations, those first that matter most: the encoders themselves, then what is cheap to ask."""
    chosen = list(encoders)
    made = [base_of(encoder) for encoder in chosen]
    for variants in (_depths, _frames, _scales, _layouts, _profiles(profiles), _presets, _tools, _pairs):
        for encoder in chosen:
            made.extend(variants(encoder, base_of(encoder)))
    return made


def _is_picture_codec(encoder: Encoder) -> bool:
    return not encoder.name.startswith("control:")


def _depths(encoder: Encoder, base: Combination) -> Iterator[Combination]:
    if base.bit_depth == 10 and base.layout != "spectral" and _is_picture_codec(encoder) and encoder.name != "raw":
        yield replace(base, bit_depth=8, varies=("bit_depth",))


def _frames(encoder: Encoder, base: Combination) -> Iterator[Combination]:
    if encoder.grey:
        spec = with_options(base.spec, "pixel_formats=yuv420p yuv420p10le")
        yield replace(base, spec=spec, frames="4:2:0", varies=("frames",))


def _scales(encoder: Encoder, base: Combination) -> Iterator[Combination]:
    if encoder.core or base.layout == "spectral":
        for scales in ("tensor", "row", "estimate"):
            yield replace(base, scales=scales, varies=("scales",))


def _layouts(encoder: Encoder, base: Combination) -> Iterator[Combination]:
    if encoder.core:
        for layout in ("transposed", "sorted", "frames", "stacked"):
            yield replace(base, layout=layout, varies=("layout",))


def _profiles(profiles: Sequence[str]) -> Any:
    def variants(encoder: Encoder, base: Combination) -> Iterator[Combination]:
        """Inter prediction needs pictures before this one: blocks of rows of one tensor, or the same place in other layers."""
        for profile in profiles:
            if profile == "intra" or profile not in encoder.profiles:
                continue
            for layout in ("frames", "stacked") if encoder.core else ("frames",):
                spec = with_options(base.spec, f"profile={profile}")
                yield replace(base, spec=spec, profile=profile, layout=layout, varies=("profile", "layout"))
        others = [profile for profile in profiles if profile != "intra" and profile in encoder.profiles]
        if others and not encoder.core:  # of the core it is among the layouts
            yield replace(base, layout="frames", varies=("layout",))

    return variants


def _presets(encoder: Encoder, base: Combination) -> Iterator[Combination]:
    for name, options, factor in encoder.presets:
        spec = with_options(base.spec, options)
        yield replace(base, spec=spec, preset=name, varies=("preset",), cost=base.cost * factor)


def _tools(encoder: Encoder, base: Combination) -> Iterator[Combination]:
    """A switch is compared with the encoder's base setting, or with the preset that it needs."""
    for name, options in encoder.tools:
        needed = next((preset for preset in encoder.presets if options.startswith(preset[1] + ",")), None)
        combination = replace(base, spec=with_options(base.spec, options), tools=name, varies=("tools",))
        if needed is not None:
            combination = replace(combination, preset=needed[0], varies=("preset", "tools"), cost=base.cost * needed[2])
        yield combination


def _pairs(encoder: Encoder, base: Combination) -> Iterator[Combination]:
    """Pairs whose effects may not add up: 8 bits hold less where one scale serves all rows, or where the order is by scale."""
    if not encoder.core:
        return
    yield replace(base, bit_depth=8, scales="tensor", varies=("bit_depth", "scales"))
    yield replace(base, layout="sorted", scales="tensor", varies=("layout", "scales"))


def reference_of(combination: Combination) -> tuple[str, ...]:
    """Which of the varied fields its reference has too: intra of the same pictures, the preset without the switch.

    >>> reference_of(Combination("x", "x", varies=("profile", "layout")))
    ('layout',)
    """
    varies = combination.varies
    if varies == ("profile", "layout"):
        return ("layout",)
    if varies == ("preset", "tools"):
        return ("preset",)
    return ()
