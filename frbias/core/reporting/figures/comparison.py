"""The figures of a comparison of two recognisers, drawn from its JSON document."""

from collections.abc import Callable
from typing import Any

from frbias.core.reporting.figures.drawing import (
    ACCENT,
    MATED_COLOUR,
    Document,
    Points,
    Sketch,
    at_target,
    colours,
    new_figure,
    percent,
    percent_axis,
)
from frbias.core.reporting.figures.scales import Scales
from frbias.core.verification.measures.table import HIGHER_IS_BETTER, measures_shown

_RATES = {
    "fdr_range_fmr": "False match rate",
    "fmr_worst": "False match rate",
    "fdr_range_fnmr": "False non-match rate",
    "fnmr_worst": "False non-match rate",
}


def slope(document: Document, target: float) -> Sketch:
    """GARBE at every target and FNMR of every group, baseline on the left and the other model on the right."""
    record = next(t for t in document["targets"] if t["target"] == target)
    figure, axes = new_figure(8.6, 4.2, 1, 2)
    names = (document["baseline"]["name"], document["other"]["name"])
    fairness = [(f"FMR {percent(t['target'])}", t["garbe"]) for t in document["targets"]]
    errors = [(g["name"], g["fnmr"]) for g in record["groups"]]
    rows: list[tuple[Any, ...]] = []
    for ax, lines, quantity in ((axes[0, 0], fairness, "garbe"), (axes[0, 1], errors, "fnmr")):
        lines = [line for line in lines if line[1]["difference"] is not None]
        heights = _spread([change["other"] for _, change in lines], [change["baseline"] for _, change in lines])
        for (label, change), height, colour in zip(lines, heights, colours(len(lines)), strict=True):
            pair = [change["baseline"], change["other"]]
            ax.plot([0, 1], pair, "o-", color=colour, markersize=6)
            ax.text(1.06, height, f"{label}{_arrow(change)}", va="center", fontsize=8, color=colour)
            band = change["bootstrap"] or {}
            rows.append(
                (quantity, label, *pair, change["difference"], band.get("low"), band.get("high"), change["verdict"])
            )
        ax.set_xlim(-0.15, 1.75)
        ax.set_ylim(bottom=0)
        ax.set_xticks([0, 1], names)
        ax.grid(axis="x", visible=False)
    axes[0, 0].set_title("GARBE (0 is equal)")
    axes[0, 1].set_title(f"FNMR by group at FMR {percent(target)}")
    return Sketch(
        "slope",
        f"{names[0]} and {names[1]}",
        f"Each model at its own threshold for the target FMR. Arrows: the paired {_confidence(document)} interval of the difference "
        "excludes 0; no arrow: no clear difference.",
        figure,
        Points(("quantity", "line", "baseline", "other", "difference", "low", "high", "verdict"), rows),
    )


def differences(document: Document, target: float) -> Sketch | None:
    """Paired differences with intervals at one target, one panel for each kind of quantity."""
    panels = [(title, lines) for title, found in _kinds(document, target) if (lines := _with_interval(found))]
    if not panels:
        return None
    sizes = [len(lines) for _, lines in panels]
    figure, axes = new_figure(7.4, 0.9 + 0.75 * len(panels) + 0.3 * sum(sizes), len(panels), 1, height_ratios=sizes)
    rows: list[tuple[Any, ...]] = []
    for ax, (title, lines) in zip(axes[:, 0], panels, strict=True):
        for position, (label, change) in enumerate(lines):
            low, high = change["bootstrap"]["low"], change["bootstrap"]["high"]
            colour = {"better": MATED_COLOUR, "worse": ACCENT}.get(change["verdict"], "#8a8d91")
            ax.plot([low, high], [position, position], color=colour, linewidth=3, alpha=0.5, solid_capstyle="butt")
            ax.plot(change["difference"], position, "o", color=colour, markersize=7)
            rows.append((label, change["difference"], low, high, change["improved_share"], change["verdict"]))
        ax.axvline(0, color="#5b6168", linewidth=1)
        ax.set_yticks(range(len(lines)), [label for label, _ in lines])
        ax.set_ylim(len(lines) - 0.4, -0.6)
        ax.set_title(title)
        if "rate" in title:
            ax.xaxis.set_major_formatter(percent_axis())
    axes[-1, 0].set_xlabel(
        f"{document['other']['name']} minus {document['baseline']['name']} (left of 0 is better, unless said)"
    )
    return Sketch(
        "differences",
        f"Paired differences at FMR {percent(target)}",
        f"Bars: {_confidence(document)} interval over the same subjects drawn for both models. Grey: no clear "
        "difference. Every panel has its own axis.",
        figure,
        Points(("quantity", "difference", "low", "high", "improved_share", "verdict"), rows),
    )


def _kinds(document: Document, target: float) -> list[tuple[str, list[tuple[str, Document]]]]:
    """The quantities that can share an axis: fairness without unit, rates of false matches, of false non-matches."""
    record = at_target(document, target)
    found: dict[str, list[tuple[str, Document]]] = {"Fairness": [], "False match rate": [], "False non-match rate": []}
    for entry in measures_shown("paired"):
        if entry.name in record:
            kind = _RATES.get(entry.name, "Fairness")
            found[kind].append((_directed(entry.label, record[entry.name]), record[entry.name]))
    found["False non-match rate"].append(("FNMR, all groups", record["fnmr"]))
    for group in record["groups"]:
        found["False non-match rate"].append((f"FNMR, {group['name']}", group["fnmr"]))
        found["False match rate"].append((f"FMR, {group['name']}", group["fmr"]))
    return list(found.items())


def _with_interval(lines: list[tuple[str, Document]]) -> list[tuple[str, Document]]:
    return [
        (label, change)
        for label, change in lines
        if change["difference"] is not None and change["bootstrap"] and change["bootstrap"]["low"] is not None
    ]


def fairness_of_both(document: Document, target: float) -> Sketch | None:
    """GARBE of both models over the target FMR."""
    pair = [(document[k]["name"], document[k].get("curves", {}).get("fairness")) for k in ("baseline", "other")]
    if not all(data for _, data in pair):
        return None
    figure, axes = new_figure(6.6, 3.8)
    ax, rows = axes[0, 0], []
    for (name, data), colour in zip(pair, ("#8a8d91", MATED_COLOUR), strict=True):
        shown = [p for p in data if p["garbe"] is not None]
        x = [p["target"] for p in shown]
        banded = [p for p in shown if (p.get("band") or {}).get("garbe", [None])[0] is not None]
        ax.fill_between(
            [p["target"] for p in banded],
            [p["band"]["garbe"][0] for p in banded],
            [p["band"]["garbe"][1] for p in banded],
            color=colour,
            alpha=0.18,
            linewidth=0,
        )
        ax.plot(x, [p["garbe"] for p in shown], color=colour, label=name)
        rows += [(name, p["target"], p["garbe"], *(p.get("band") or {}).get("garbe", [None, None])) for p in shown]
    floor = [(p["target"], p["noise_floor"]["garbe"]["p95"]) for p in pair[0][1] if p["noise_floor"]["garbe"]["p95"]]
    if not rows and not floor:
        return None
    ax.plot(*zip(*floor, strict=True), color="#9aa0a6", linestyle=":", linewidth=1.4, label="chance (95%)")
    ax.set_xscale("log")
    ax.set_ylim(0, 1)
    ax.set_xlabel("target FMR")
    ax.set_ylabel("GARBE (0 is equal)")
    ax.legend(fontsize=8)
    return Sketch(
        "fairness_of_both",
        "GARBE over the target FMR",
        f"Bands: {_confidence(document)} subject bootstrap of each model by itself; dotted: what equal groups reach by chance.",
        figure,
        Points(("model", "target_fmr", "garbe", "low", "high"), rows),
    )


def rates_of_both(document: Document, target: float) -> Sketch:
    """FMR and FNMR of every group for both models."""
    figure, axes = new_figure(8.2, 3.6, 1, 2)
    rows: list[tuple[Any, ...]] = []
    models = [(document[k]["name"], at_target(document[k], target)["groups"]) for k in ("baseline", "other")]
    scales = Scales.of([document["baseline"], document["other"]], target)
    for ax, rate, title in zip(axes[0], ("fmr", "fnmr"), ("False match rate", "False non-match rate"), strict=True):
        floor = _rate_axis(ax, rate, scales)
        for shift, (name, groups), colour in zip((-0.12, 0.12), models, ("#8a8d91", MATED_COLOUR), strict=True):
            for k, g in enumerate(groups):
                low, high = g[f"{rate}_interval"]["low"], g[f"{rate}_interval"]["high"]
                ax.plot([k + shift] * 2, [max(low, floor), max(high, floor)], color=colour, linewidth=3, alpha=0.45)
                mark = "o" if g[rate] >= floor else "v"
                ax.plot(
                    k + shift, max(g[rate], floor), mark, color=colour, label=name if k == 0 else None, clip_on=False
                )
                rows.append((name, g["name"], rate, g[rate], low, high))
        ax.set_xticks(range(len(models[0][1])), [g["name"] for g in models[0][1]])
        ax.set_title(title)
        ax.grid(axis="x", visible=False)
    axes[0, 1].legend(fontsize=8)
    return Sketch(
        "rates_of_both",
        f"Error rates by group at FMR {percent(target)}",
        f"Each model at its own global threshold; bars: {_confidence(document)} interval. FMR on a logarithmic axis (a triangle "
        "at its end: no error).",
        figure,
        Points(("model", "group", "rate", "value", "low", "high"), rows),
    )


def _rate_axis(ax: Any, rate: str, scales: Scales) -> float:
    """Scale the upright axis of a rate, FMR logarithmically; returns its lower end."""
    ends = scales.group_fmr if rate == "fmr" else scales.group_fnmr
    low, high = ends or (1e-3, 1.0)
    bottom = 0.7 * low if rate == "fmr" else 0.0
    if rate == "fmr":
        ax.set_yscale("log")
        ax.minorticks_off()
    ax.set_ylim(bottom, 1.4 * high if rate == "fmr" else 1.05 * high)
    ax.yaxis.set_major_formatter(percent_axis())
    return bottom


MAKERS: tuple[Callable[[Document, float], Sketch | None], ...] = (slope, differences, fairness_of_both, rates_of_both)


def _confidence(document: Document) -> str:
    return percent(document["baseline"]["confidence"])


def _directed(label: str, change: Document) -> str:
    """The label of a quantity, saying so where more is better."""
    return f"{label} (right is better)" if change["direction"] == HIGHER_IS_BETTER else label


def _arrow(change: Document) -> str:
    if change["verdict"] not in ("better", "worse"):
        return ""
    return " ↓" if change["difference"] < 0 else " ↑"


def _spread(ends: list[float], starts: list[float]) -> list[float]:
    """Heights of labels near ``ends``, at least 5 % of the axis apart."""
    gap = 0.05 * max([*ends, *starts, 1e-9])
    heights = [0.0] * len(ends)
    lowest = -gap
    for position in sorted(range(len(ends)), key=lambda k: ends[k]):
        lowest = max(ends[position], lowest + gap)
        heights[position] = lowest
    return heights
