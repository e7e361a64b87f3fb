"""Interval charts of a page: one lane per value, with its interval and what chance reaches, as plain geometry."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from frbias.core.reporting.figures.drawing import decades
from frbias.core.reporting.tracing import rate as rate_words
from frbias.core.reporting.tracing import resolve
from frbias.core.reporting.verdict import floor_path, why_undefined

Document = dict[str, Any]


@dataclass(frozen=True)
class Side:
    """One of the evaluations a document holds.

    Attributes:
        prefix: Path of the evaluation, ending in a dot; empty when it is the document itself.
        css: ``a`` (baseline or only one) or ``b``.
        index: Position of the headline target in its ``targets``.
    """

    prefix: str
    css: str
    index: int

    def at(self, path: str = "") -> str:
        """Path of something in the record of the headline target."""
        return f"{self.prefix}targets.{self.index}.{path}"


@dataclass(frozen=True)
class Scale:
    """From values to places on a track.

    Attributes:
        low, high: Values at its ends.
        logarithmic: Whether equal ratios are equal distances; what is below ``low`` is then drawn at the left end.
    """

    low: float
    high: float
    logarithmic: bool = False

    def place(self, value: float) -> float:
        """Where a value is, per cent of the width."""
        if self.logarithmic:
            share = math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return round(100 * min(max(share, 0.0), 1.0), 3)


@dataclass(frozen=True)
class Lane:
    """One value on a chart; the paths lead to the numbers, the rest is geometry in per cent of the width.

    Attributes:
        css: Colour class.
        name: Path of the model's name.
        value, low, high: Paths; ``low`` and ``high`` empty without an interval.
        dot, start, width: Where the dot is, where the interval starts and how wide it is.
        chance: Right end of the noise floor; None without one.
        floor: Path of the noise floor's p95, empty without one.
        why: Why the value is undefined, empty when it is not.
    """

    css: str
    name: str
    value: str
    low: str
    high: str
    dot: float | None
    start: float
    width: float
    chance: float | None = None
    floor: str = ""
    why: str = ""


@dataclass(frozen=True)
class LaneGroup:
    """Lanes under one heading (a target, a group), and the path of their paired difference.

    Attributes:
        head: Path of what the heading shows.
        lanes: One per side.
        change: Path of the difference record, empty for a single evaluation.
    """

    head: str
    lanes: tuple[Lane, ...]
    change: str = ""


def measure_lanes(document: Document, sides: Sequence[Side], measure: str) -> list[LaneGroup]:
    """GARBE or one of its halves at every target, one lane per side, on 0..1, with the noise floor."""
    groups = []
    for i in range(len(document["targets"])):
        lanes = []
        for side in sides:
            target = document["targets"][i]["target"]
            records = resolve(document, f"{side.prefix}targets")
            position = next(k for k, r in enumerate(records) if r["target"] == target)
            base = f"{side.prefix}targets.{position}"
            lanes.append(
                _lane(
                    document, side, f"{base}.{measure}", _measure_band(document, base, measure), Scale(0.0, 1.0), base
                )
            )
        groups.append(
            LaneGroup(f"targets.{i}.target", tuple(lanes), f"targets.{i}.{measure}" if len(sides) > 1 else "")
        )
    return groups


def rate_lanes(document: Document, sides: Sequence[Side], rate: str, index: int) -> list[LaneGroup]:
    """FMR or FNMR of every group at the headline target, on a common scale: FNMR from 0, FMR logarithmic."""
    records = [resolve(document, side.at("groups")) for side in sides]
    low, high = rate_band(rate)
    scale = _scale(document, sides, rate)
    result = []
    for i in range(len(records[0])):
        lanes = []
        for side in sides:
            base = side.at(f"groups.{i}")
            lanes.append(_lane(document, side, f"{base}.{rate}", (f"{base}.{low}", f"{base}.{high}"), scale))
        change = f"targets.{index}.groups.{i}.{rate}" if len(sides) > 1 else ""
        result.append(LaneGroup(sides[0].at(f"groups.{i}.name"), tuple(lanes), change))
    return result


def fmr_ticks(document: Document, sides: Sequence[Side]) -> list[tuple[float, str]]:
    """Places (per cent of the width) and labels of round numbers on the scale of the FMR lanes."""
    scale = _scale(document, sides, "fmr")
    return [(scale.place(value), rate_words(value)) for value in decades(scale.low, scale.high)]


def _scale(document: Document, sides: Sequence[Side], rate: str) -> "Scale":
    _, high = rate_band(rate)
    groups = [group for side in sides for group in resolve(document, side.at("groups"))]
    top = max([max(resolve(g, high), g[rate]) for g in groups] + [1e-9]) * 1.04
    if rate != "fmr":
        return Scale(0.0, top)
    ends = [value for g in groups for value in (g[rate], resolve(g, rate_band(rate)[0])) if value > 0]
    return Scale(min([*ends, top / 10]) / 1.1, top, logarithmic=True)


def rate_band(rate: str) -> tuple[str, str]:
    """Paths of the bounds of the interval that is shown beside a group's rate."""
    return f"{rate}_interval.low", f"{rate}_interval.high"


def _measure_band(document: Document, base: str, measure: str) -> tuple[str, str]:
    band = resolve(document, f"{base}.measures.{measure}").get("bootstrap")
    if band is None or band["low"] is None:
        return "", ""
    return f"{base}.measures.{measure}.bootstrap.low", f"{base}.measures.{measure}.bootstrap.high"


def _lane(document: Document, side: Side, value: str, band: tuple[str, str], scale: "Scale", record: str = "") -> Lane:
    def place(path: str) -> float | None:
        number = resolve(document, path) if path else None
        return None if number is None or not math.isfinite(number) else scale.place(number)

    measure = value.rpartition(".")[2]
    why = why_undefined(resolve(document, record), measure) if record else ""
    below = floor_path(resolve(document, record), measure) if record else None
    floor = f"{record}.{below}.p95" if below else ""
    start, end = place(band[0]), place(band[1])
    width = 0.0 if start is None or end is None else round(end - start, 3)
    return Lane(
        side.css, f"{side.prefix}name", value, *band, place(value), start or 0.0, width, place(floor), floor, why
    )
