"""The figures of one evaluation, drawn from its JSON document."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from frbias.core.reporting.figures.drawing import (
    ACCENT,
    CHANCE_COLOUR,
    INK,
    MATED_COLOUR,
    NON_MATED_COLOUR,
    TINY,
    Document,
    Points,
    Sketch,
    at_target,
    colours,
    logarithmic_rates,
    new_figure,
    percent,
    percent_axis,
)
from frbias.core.reporting.figures.heatmaps import fmr_by_groups, fnmr_by_age, score_by_age
from frbias.core.reporting.figures.plane import deviate, deviate_axes, operating_points
from frbias.core.reporting.figures.scales import Range, Scales
from frbias.core.verification.measures.table import measures_shown

Float = npt.NDArray[np.float64]
Maker = Callable[[Document, float, Scales], Sketch | None]


def rates_by_group(document: Document, target: float, scales: Scales) -> Sketch:
    """FMR and FNMR of every group with intervals, beside the pooled rate."""
    record = at_target(document, target)
    groups = record["groups"]
    figure, axes = new_figure(1, 1.2 + 0.36 * len(groups), 2, 1)
    rows: list[tuple[Any, ...]] = []
    shared = {"fmr": record["achieved_fmr"], "fnmr": record["fnmr"]}
    for ax, rate, words in zip(axes[:, 0], ("fmr", "fnmr"), ("False match rate", "False non-match rate"), strict=True):
        limits = _rate_axis(ax, rate, scales)
        for position, (group, colour) in enumerate(zip(groups, colours(len(groups)), strict=True)):
            low, high, kind = (group[f"{rate}_interval"][key] for key in ("low", "high", "method"))
            value = group[rate]
            shown = [max(v, limits[0]) for v in (low, high, value)]
            ax.plot(shown[:2], [position, position], color=colour, linewidth=2.4, alpha=0.45, solid_capstyle="butt")
            ax.plot(shown[2], position, "o" if value >= limits[0] else "<", color=colour, markersize=5, clip_on=False)
            errors = group["false_matches" if rate == "fmr" else "false_non_matches"]
            trials = group["non_mated" if rate == "fmr" else "mated"]
            ax.text(
                1.02,
                position,
                f"{errors:,} / {trials:,}",
                transform=ax.get_yaxis_transform(),
                va="center",
                fontsize=TINY,
            )
            rows.append((group["name"], rate, errors, trials, value, low, high, kind))
        if shared[rate] >= limits[0]:
            ax.axvline(shared[rate], color=ACCENT, linewidth=0.9, linestyle="--", label="all groups")
        ax.set_yticks(range(len(groups)), [g["name"] for g in groups])
        ax.set_ylim(len(groups) - 0.4, -0.7)
        ax.set_title(words)
    axes[1, 0].legend(loc="lower right")
    return Sketch(
        "rates_by_group",
        f"Error rates by group at FMR {percent(target)}",
        f"{document['name']}: one threshold ({record['tau']:.4f}) for all groups. Equal groups would line up on the "
        f"dashed line, all groups together; a dot right of it pays more. Bars: {percent(document['confidence'])} interval "
        "(subject bootstrap; binomial where there is no error); beside them errors / comparisons. FMR on a logarithmic "
        "axis, a triangle at its end: no error.",
        figure,
        Points(("group", "rate", "errors", "comparisons", "value", "low", "high", "interval"), rows),
    )


def distributions_by_group(document: Document, target: float, scales: Scales) -> Sketch | None:
    """Mated and non-mated score densities of every group, one below the other, with the threshold."""
    data = document.get("curves", {}).get("distributions")
    if not data or not data["groups"]:
        return None
    edges, groups = np.array(data["edges"]), data["groups"]
    figure, axes = new_figure(1, 0.9 + 0.44 * len(groups), len(groups), 1, sharex=True)
    rows = []
    for position, (ax, group) in enumerate(zip(axes[:, 0], groups, strict=True)):
        for kind, colour in (("non_mated", NON_MATED_COLOUR), ("mated", MATED_COLOUR)):
            density, middles = smooth(group[kind], edges), (edges[:-1] + edges[1:]) / 2
            ax.fill_between(middles, density, color=colour, alpha=0.35, linewidth=0)
            ax.plot(middles, density, color=colour, linewidth=0.9, label=kind.replace("_", "-"))
            rows += _histogram_rows(group["name"], kind, edges, group[kind], density)
        _threshold(ax, document, target)
        ax.set_yticks([])
        ax.set_ylim(bottom=0)
        ax.grid(visible=False)
        ax.spines["left"].set_visible(False)
        ax.text(0.005, 0.78, group["name"], transform=ax.transAxes, fontweight="bold")
        if position == 0:
            ax.legend(loc="upper right", ncols=3, bbox_to_anchor=(1, 1.6))
    _score_axis(axes[-1, 0], scales)
    axes[-1, 0].set_xlabel("comparison score")
    return Sketch(
        "distributions_by_group",
        "Score distributions by group",
        f"{document['name']}: within-group comparisons, each area is 1, smoothed the more, the fewer there are. Mated scores left of the dashed threshold are "
        "false non-matches, non-mated scores right of it are false matches. Look for humps that sit elsewhere than "
        "those of the other groups: there the one threshold fits worst.",
        figure,
        Points(("group", "kind", "score_from", "score_to", "count", "density"), rows),
    )


def distributions_by_age_gap(document: Document, target: float, scales: Scales) -> Sketch | None:
    """Mated score densities by age gap, overlaid."""
    data = document.get("curves", {}).get("distributions")
    if not data or not data["age_gaps"]:
        return None
    edges, gaps = np.array(data["edges"]), data["age_gaps"]
    figure, axes = new_figure(1, 2.3)
    ax, rows = axes[0, 0], []
    for gap, colour in zip(gaps, colours(len(gaps)), strict=True):
        density = smooth(gap["mated"], edges)
        ax.plot(
            (edges[:-1] + edges[1:]) / 2, density, color=colour, label=f"{gap['gap_years']} y ({sum(gap['mated']):,})"
        )
        rows += _histogram_rows(gap["gap_years"], "mated", edges, gap["mated"], density)
    _threshold(ax, document, target)
    _score_axis(ax, scales)
    ax.set_xlabel("comparison score")
    ax.set_ylabel("density (smoothed)")
    ax.set_ylim(bottom=0)
    ax.legend(title="age gap (mated comparisons)")
    return Sketch(
        "distributions_by_age_gap",
        "Mated scores by age gap",
        f"{document['name']}: all mated comparisons, within and across groups, by the years between the two images. The "
        "more a curve lies left of the dashed threshold, the more often people of that gap are not recognised. Smoothed "
        "the more, the fewer comparisons there are (in brackets).",
        figure,
        Points(("gap_years", "kind", "score_from", "score_to", "count", "density"), rows),
    )


def distributions_by_protocol(document: Document, target: float, scales: Scales) -> Sketch | None:
    """Score densities of the kinds of comparison that the protocol names, overlaid."""
    data = document.get("curves", {}).get("distributions") or {}
    if not data.get("classes"):
        return None
    edges, classes = np.array(data["edges"]), data["classes"]
    figure, axes = new_figure(1, 2.3)
    ax, rows = axes[0, 0], []
    for kind, colour in zip(classes, colours(len(classes)), strict=True):
        density = smooth(kind["counts"], edges)
        style = "-" if kind["kind"] == "mated" else "--"
        ax.plot(
            (edges[:-1] + edges[1:]) / 2,
            density,
            style,
            color=colour,
            label=f"{kind['name']} ({kind['comparisons']:,})",
        )
        rows += _histogram_rows(kind["name"], kind["kind"], edges, kind["counts"], density)
    _threshold(ax, document, target)
    _score_axis(ax, scales)
    ax.set_xlabel("comparison score")
    ax.set_ylabel("density (smoothed)")
    ax.set_ylim(bottom=0)
    ax.legend()
    return Sketch(
        "distributions_by_protocol",
        f"Score distributions of the protocol {document['groups']['protocol']}",
        f"{document['name']}: single comparisons, not means per identity; full lines: mated, dashed: non-mated. Mated "
        "curves of equal groups would lie on one another, all right of the red threshold.",
        figure,
        Points(("class", "kind", "score_from", "score_to", "count", "density"), rows),
    )


def det(document: Document, target: float, scales: Scales) -> Sketch | None:
    """DET curves of all groups and of each, on normal-deviate axes, operating points marked."""
    data = document.get("curves", {}).get("det")
    if not data:
        return None
    figure, axes = new_figure(1, 3.5)
    ax, rows = axes[0, 0], []
    palette = [INK, *colours(len(data) - 1)]
    for curve, colour in zip(data, palette, strict=True):
        fmr, fnmr = np.array(curve["fmr"]), np.array(curve["fnmr"])
        inside = (fmr > 0) & (fmr < 1) & (fnmr > 0) & (fnmr < 1)
        style: dict[str, Any] = {"linestyle": "--", "linewidth": 1.1} if curve["name"] == "all groups" else {}
        ax.plot(deviate(fmr[inside]), deviate(fnmr[inside]), color=colour, label=curve["name"], **style)
        rows += [(curve["name"], *v) for v in zip(curve["threshold"], curve["fmr"], curve["fnmr"], strict=True)]
    marks = ("o", "s", "^", "D", "v")
    by_name = dict(zip((c["name"] for c in data), palette, strict=True))
    for mark, record in zip(marks, document["targets"], strict=False):
        for group in record["groups"]:
            if 0 < group["fmr"] < 1 and 0 < group["fnmr"] < 1:
                ax.plot(
                    deviate(group["fmr"]), deviate(group["fnmr"]), mark, color=by_name[group["name"]],
                    markeredgecolor="white", markersize=5,
                )  # fmt: skip
        ax.plot(
            [], [], mark, color="#777777", linestyle="none", label=f"global threshold, FMR {percent(record['target'])}"
        )
    deviate_axes(ax, scales.fmr, scales.fnmr)
    ax.set_xlabel("false match rate")
    ax.set_ylabel("false non-match rate")
    ax.legend()
    return Sketch(
        "det",
        "Detection error trade-off",
        f"{document['name']}: normal-deviate axes, lower left is better. Marks show where each group lands at the one "
        "global threshold: marks of one shape that lie apart mean unequal groups, curves that lie apart groups that no "
        "threshold makes equal.",
        figure,
        Points(("group", "threshold", "fmr", "fnmr"), rows),
    )


def fairness_over_fmr(document: Document, target: float, scales: Scales) -> Sketch | None:
    """GARBE and its parts over the target FMR, with confidence band and noise floor."""
    data = document.get("curves", {}).get("fairness")
    if not data:
        return None
    names = {entry.name: entry.label for entry in measures_shown("curve")}
    figure, axes = new_figure(2, 2.3, 1, len(names), sharey=True, sharex=True)
    x = np.array([p["target"] for p in data])
    rows: list[tuple[Any, ...]] = []
    for ax, (name, title) in zip(axes[0], names.items(), strict=True):
        value = _column([p[name] for p in data])
        bands = [p.get("band", {}).get(name, [None, None]) for p in data]
        band = [_column([b[k] for b in bands]) for k in (0, 1)]
        floor = _column([p["noise_floor"][name]["p95"] for p in data])
        ax.fill_between(
            x,
            *band,
            color=MATED_COLOUR,
            alpha=0.18,
            linewidth=0,
            label=f"{percent(document['confidence'])} subject bootstrap",
        )
        ax.fill_between(x, 0, floor, color=CHANCE_COLOUR, alpha=0.25, linewidth=0, label="chance (95%)")
        ax.plot(x, value, color=MATED_COLOUR)
        for record in document["targets"]:
            if record[name] is not None:
                ax.plot(record["target"], record[name], "o", color=ACCENT, markeredgecolor="white", markersize=4.5)
        ax.set_xscale("log")
        ax.set_xlim(x.min() / 1.2, x.max() * 1.2)  # also where no measure is defined, so that nothing has a place
        ax.set_ylim(0, 1)
        ax.set_title(title)
        ax.set_xlabel("target FMR")
        rows += [
            (name, p["target"], p["achieved_fmr"], p[name], *p.get("band", {}).get(name, [None, None]),
             p["noise_floor"][name]["p95"])
            for p in data
        ]  # fmt: skip
    axes[0, 0].legend(loc="upper right")
    return Sketch(
        "fairness_over_fmr",
        "Fairness over the target FMR",
        f"{document['name']}: 0 is equal, 1 is worst. Only where the line is above the grey (what equal groups reach by "
        "chance in 95% of cases, independent comparisons) is there a difference to speak of; dots: reported operating "
        "points.",
        figure,
        Points(("measure", "target_fmr", "achieved_fmr", "value", "band_low", "band_high", "chance_p95"), rows),
    )


MAKERS: tuple[Maker, ...] = (
    rates_by_group,
    operating_points,
    fairness_over_fmr,
    det,
    distributions_by_group,
    distributions_by_age_gap,
    distributions_by_protocol,
    fnmr_by_age,
    score_by_age,
    fmr_by_groups,
)


ALONE: tuple[Maker, ...] = (rates_by_group, operating_points, fairness_over_fmr, det)
"""What is not drawn of recognisers that are compared, since there is a figure of both."""


def _rate_axis(ax: Any, rate: str, scales: Scales) -> Range:
    """Scale an axis of a rate over the groups, FMR logarithmically; returns its ends."""
    ends = scales.group_fmr if rate == "fmr" else scales.group_fnmr
    low, high = ends or (1e-3, 1.0)
    limits = (0.7 * low, 1.4 * high) if rate == "fmr" else (0.0, 1.05 * high)
    ax.set_xlim(*limits)
    if rate == "fmr":
        logarithmic_rates(ax.xaxis, limits)
    else:
        ax.xaxis.set_major_formatter(percent_axis())
    return limits


def _threshold(ax: Any, document: Document, target: float) -> None:
    words = f"threshold at FMR {percent(target)}"
    ax.axvline(at_target(document, target)["tau"], color=ACCENT, linewidth=0.9, linestyle="--", label=words)


def _score_axis(ax: Any, scales: Scales) -> None:
    if scales.scores:
        ax.set_xlim(*scales.scores)


def _density(counts: list[int], edges: Float) -> Float:
    values = np.array(counts, dtype=np.float64)
    total = values.sum()
    return values / (total * np.diff(edges)) if total else values


def smooth(counts: list[int], edges: Float) -> Float:
    """Density of a histogram, smoothed the more the fewer scores it has (Silverman's rule), at least over one bin.

    The width is 0.9 s n^(-1/5), where s is the standard deviation (Silverman, Density Estimation, 1986, eq. 3.31,
    without the interquartile range). What would leave the histogram is mirrored at its ends, so the area stays 1.
    """
    density, middles = _density(counts, edges), (edges[:-1] + edges[1:]) / 2
    total = sum(counts)
    if len(density) < 2 or not total:
        return density
    weights = np.array(counts) / total
    spread = float(np.sqrt(weights @ (middles - weights @ middles) ** 2))
    width = max(0.9 * spread * total**-0.2 / float(edges[1] - edges[0]), 1.0)
    from scipy.ndimage import gaussian_filter1d

    return np.asarray(gaussian_filter1d(density, width, mode="reflect"))


def _histogram_rows(name: str, kind: str, edges: Float, counts: list[int], density: Float) -> list[tuple[Any, ...]]:
    return [
        (name, kind, float(low), float(high), int(n), float(d))
        for low, high, n, d in zip(edges[:-1], edges[1:], counts, density, strict=True)
    ]


def _column(values: list[float | None]) -> Float:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
