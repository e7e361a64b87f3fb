"""The figures of a comparison of two recognisers, drawn from its JSON document."""

from collections.abc import Callable
from typing import Any

from frbias.core.reporting.figures.drawing import (
    ACCENT,
    BASELINE_COLOUR,
    CHANCE_COLOUR,
    OTHER_COLOUR,
    UNCLEAR_COLOUR,
    Document,
    Points,
    Sketch,
    at_target,
    logarithmic_rates,
    new_figure,
    percent,
    percent_axis,
)
from frbias.core.reporting.figures.plane import det_of_both, operating_points_of_both
from frbias.core.reporting.figures.scales import Scales
from frbias.core.verification.measures.table import HIGHER_IS_BETTER, measures_shown

_RATES = {
    "fdr_range_fmr": "False match rate",
    "fmr_worst": "False match rate",
    "fdr_range_fnmr": "False non-match rate",
    "fnmr_worst": "False non-match rate",
}


def differences(document: Document, target: float) -> Sketch | None:
    """Paired differences with intervals at one target, one panel for each kind of quantity."""
    panels = [(title, lines) for title, found in _kinds(document, target) if (lines := _with_interval(found))]
    if not panels:
        return None
    most = max(len(lines) for _, lines in panels)
    figure, axes = new_figure(2, 0.9 + 0.19 * most, 1, len(panels))
    rows: list[tuple[Any, ...]] = []
    for ax, (title, lines) in zip(axes[0], panels, strict=True):
        for position, (label, change) in enumerate(lines):
            low, high = change["bootstrap"]["low"], change["bootstrap"]["high"]
            colour = {"better": OTHER_COLOUR, "worse": ACCENT}.get(change["verdict"], UNCLEAR_COLOUR)
            ax.plot([low, high], [position, position], color=colour, linewidth=2.2, alpha=0.5, solid_capstyle="butt")
            ax.plot(change["difference"], position, "o", color=colour, markersize=4.5)
            rows.append((label, change["difference"], low, high, change["improved_share"], change["verdict"]))
        ax.axvline(0, color="#5b6168", linewidth=1)
        ax.set_yticks(range(len(lines)), [label for label, _ in lines])
        ax.set_ylim(most - 0.4, -0.6)
        ax.locator_params(axis="x", nbins=5)
        ax.set_title(title)
        if "rate" in title:
            ax.xaxis.set_major_formatter(percent_axis())
        ax.set_xlabel("left of 0 is better" + (", unless said" if title == "Fairness" else ""))
    return Sketch(
        "differences",
        f"Paired differences at FMR {percent(target)}",
        f"{document['other']['name']} minus {document['baseline']['name']}. Left of 0 is better (unless said). A bar that touches 0 (grey) is no clear difference; coloured ones are: "
        f"blue better, red worse. Bars: {_confidence(document)} interval over the same subjects drawn for both. Look at "
        "the groups' FNMR first: a smaller GARBE with all of them right of 0 is levelling down. Every panel has its own "
        "axis.",
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
    """GARBE and its halves over the target FMR, of both models."""
    pair = [(document[k]["name"], document[k].get("curves", {}).get("fairness")) for k in ("baseline", "other")]
    if not all(data for _, data in pair):
        return None
    names = {entry.name: entry.label for entry in measures_shown("curve")}
    figure, axes = new_figure(2, 2.2, 1, len(names), sharey=True, sharex=True)
    rows: list[tuple[Any, ...]] = []
    chance = False
    for ax, (measure, label) in zip(axes[0], names.items(), strict=True):
        for (name, data), colour in zip(pair, (BASELINE_COLOUR, OTHER_COLOUR), strict=True):
            rows += _curve(ax, name, data, measure, colour)
        floors = [(p["target"], p["noise_floor"][measure]["p95"]) for p in pair[0][1]]
        floor = [point for point in floors if point[1]]
        chance = chance or bool(floor)
        if floor:
            ax.plot(*zip(*floor, strict=True), color=CHANCE_COLOUR, linestyle=":", linewidth=1.2, label="chance (95%)")
        ax.set_xscale("log")
        ax.set_ylim(0, 1)
        ax.set_title(label)
        ax.set_xlabel("target FMR")
    if not rows and not chance:
        return None
    axes[0, 0].set_ylabel("0 is equal")
    axes[0, 0].legend()
    return Sketch(
        "fairness_of_both",
        "Fairness over the target FMR, before and after",
        f"0 is equal groups. Below the dotted line (what equal groups reach by chance) nothing can be told. Bands: "
        f"{_confidence(document)} subject bootstrap of each model by itself, so overlapping bands may still differ: the "
        "paired differences tell.",
        figure,
        Points(("model", "measure", "target_fmr", "value", "low", "high"), rows),
    )


def _curve(ax: Any, name: str, data: list[Document], measure: str, colour: str) -> list[tuple[Any, ...]]:
    """Draw a measure of one model over the targets, with its band; returns the points."""
    shown = [p for p in data if p[measure] is not None]
    bands = {p["target"]: (p.get("band") or {}).get(measure, [None, None]) for p in shown}
    banded = [(target, *band) for target, band in bands.items() if band[0] is not None]
    if banded:
        ax.fill_between(*zip(*banded, strict=True), color=colour, alpha=0.18, linewidth=0)
    ax.plot([p["target"] for p in shown], [p[measure] for p in shown], color=colour, label=name)
    return [(name, measure, p["target"], p[measure], *bands[p["target"]]) for p in shown]


def rates_of_both(document: Document, target: float) -> Sketch:
    """FMR and FNMR of every group for both models."""
    figure, axes = new_figure(1, 3.3, 2, 1, sharex=True)
    rows: list[tuple[Any, ...]] = []
    models = [(document[k]["name"], at_target(document[k], target)["groups"]) for k in ("baseline", "other")]
    scales = Scales.of([document["baseline"], document["other"]], target)
    for ax, rate, title in zip(axes[:, 0], ("fmr", "fnmr"), ("False match rate", "False non-match rate"), strict=True):
        floor = _rate_axis(ax, rate, scales)
        for shift, (name, groups), colour in zip((-0.12, 0.12), models, (BASELINE_COLOUR, OTHER_COLOUR), strict=True):
            for k, g in enumerate(groups):
                low, high = g[f"{rate}_interval"]["low"], g[f"{rate}_interval"]["high"]
                ax.plot([k + shift] * 2, [max(low, floor), max(high, floor)], color=colour, linewidth=2.2, alpha=0.45)
                mark = "o" if g[rate] >= floor else "v"
                face = "white" if colour == BASELINE_COLOUR else colour
                ax.plot(
                    k + shift, max(g[rate], floor), mark, color=colour, markerfacecolor=face, linestyle="none",
                    label=name if k == 0 else None, clip_on=False,
                )  # fmt: skip
                rows.append((name, g["name"], rate, g[rate], low, high))
        ax.set_xticks(range(len(models[0][1])), [g["name"] for g in models[0][1]])
        ax.set_title(title)
        ax.grid(axis="x", visible=False)
    axes[1, 0].legend()
    return Sketch(
        "rates_of_both",
        f"Error rates by group at FMR {percent(target)}",
        "Each model at its own global threshold. Equal groups would stand at one height; what to see is whether the full "
        f"marks lie below the hollow ones in every group. Bars: {_confidence(document)} interval; FMR on a logarithmic axis "
        "(a triangle at its end: no error).",
        figure,
        Points(("model", "group", "rate", "value", "low", "high"), rows),
    )


def _rate_axis(ax: Any, rate: str, scales: Scales) -> float:
    """Scale the upright axis of a rate, FMR logarithmically; returns its lower end."""
    ends = scales.group_fmr if rate == "fmr" else scales.group_fnmr
    low, high = ends or (1e-3, 1.0)
    limits = (0.7 * low, 1.4 * high) if rate == "fmr" else (0.0, 1.05 * high)
    ax.set_ylim(*limits)
    if rate == "fmr":
        logarithmic_rates(ax.yaxis, limits)
    else:
        ax.yaxis.set_major_formatter(percent_axis())
    return limits[0]


MAKERS: tuple[Callable[[Document, float], Sketch | None], ...] = (
    differences,
    fairness_of_both,
    rates_of_both,
    operating_points_of_both,
    det_of_both,
)


def _confidence(document: Document) -> str:
    return percent(document["baseline"]["confidence"])


def _directed(label: str, change: Document) -> str:
    """The label of a quantity, saying so where more is better."""
    return f"{label} (right is better)" if change["direction"] == HIGHER_IS_BETTER else label
