"""Figures on the plane of the two error rates: operating points of the groups, DET curves before and after."""

from typing import Any

import numpy as np
import numpy.typing as npt

from frbias.core.reporting.figures.drawing import (
    BASELINE_COLOUR,
    MARKS,
    OTHER_COLOUR,
    SMALL,
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
from frbias.core.reporting.figures.scales import Range, Scales

Float = npt.NDArray[np.float64]
_COLUMNS = ("model", "group", "fmr", "fnmr", "fmr_low", "fmr_high", "fnmr_low", "fnmr_high", "rank_correlation")
_JOINT = float(np.sqrt(-2 * np.log(0.05)) / 1.959963984540054)
"""Radius of the 95 % region of two normal variables over half the width of a 95 % interval of one."""
_SAMPLED = 64


def operating_points(document: Document, target: float, scales: Scales) -> Sketch:
    """Where every group lands on the plane of FMR and FNMR at the one threshold, with error ellipses."""
    groups = at_target(document, target)["groups"]
    figure, axes = new_figure(1, 3.3)
    ax, rows = axes[0, 0], []
    floor = plane_axes(ax, scales)
    for mark, group, colour in zip(_marks(groups), groups, colours(len(groups)), strict=True):
        rows.append(_point(ax, document["name"], group, floor, colour, mark, label=group["name"]))
    if ax.get_xlim()[0] <= target <= ax.get_xlim()[1]:
        ax.plot(target, 0, "|", color="#5b6168", markersize=9, clip_on=False)
    _legend(ax, "group")
    return Sketch(
        "operating_points",
        f"Groups on the plane of errors, FMR {percent(target)}",
        f"{document['name']}: one mark a group, all at one threshold. Equal groups would lie on one another; up is not "
        "recognised more often, right is taken for others more often (logarithmic). Ellipses: "
        f"{percent(document['confidence'])} of the bootstrap, both rates together; left edge: no false match.",
        figure,
        Points(_COLUMNS, rows),
    )


def operating_points_of_both(document: Document, target: float) -> Sketch:
    """Where every group lands before and after, joined by an arrow."""
    pair = (document["baseline"], document["other"])
    scales, records = Scales.of(pair, target), [at_target(one, target)["groups"] for one in pair]
    figure, axes = new_figure(1, 3.3)
    ax, rows = axes[0, 0], []
    floor = plane_axes(ax, scales)
    for mark, before, after in zip(_marks(records[0]), *records, strict=True):
        rows.append(_point(ax, pair[0]["name"], before, floor, BASELINE_COLOUR, mark, hollow=True))
        rows.append(_point(ax, pair[1]["name"], after, floor, OTHER_COLOUR, mark))
        ends = [(max(one["fmr"], floor), one["fnmr"]) for one in (before, after)]
        arrow = {"arrowstyle": "->", "color": "#5b6168", "linewidth": 0.7, "shrinkA": 3, "shrinkB": 3}
        ax.annotate("", ends[1], ends[0], arrowprops=arrow)
        ax.plot([], [], mark, color=OTHER_COLOUR, linestyle="none", label=after["name"])
    _legend(ax, f"hollow: {pair[0]['name']}\nfull: {pair[1]['name']}")
    return Sketch(
        "operating_points",
        f"Groups at FMR {percent(target)}, before and after",
        "One mark a group, each recogniser at its own threshold, arrows from before to after. Arrows that all point down "
        "help everybody; marks that draw together make the groups more equal; both together is the aim. Ellipses: "
        f"{percent(document['baseline']['confidence'])} of the bootstrap, both rates together; FMR is logarithmic, "
        "left edge: no false match.",
        figure,
        Points(_COLUMNS, rows),
    )


def det_of_both(document: Document, target: float) -> Sketch | None:
    """DET curves before and after, one panel for all groups and for each, on the same normal-deviate axes."""
    pair = (document["baseline"], document["other"])
    curves = [{c["name"]: c for c in (one.get("curves") or {}).get("det") or []} for one in pair]
    names = [name for name in curves[0] if name in curves[1]]
    if not names:
        return None
    scales = Scales.of(pair, target)
    across = min(3, len(names))
    down = -(-len(names) // across)
    figure, axes = new_figure(2, 0.7 + 1.55 * down, down, across, sharex=True, sharey=True)
    rows: list[tuple[Any, ...]] = []
    for ax, name in zip(axes.flat, names, strict=False):
        for one, found, colour, style in zip(pair, curves, (BASELINE_COLOUR, OTHER_COLOUR), ("--", "-"), strict=True):
            curve = found[name]
            fmr, fnmr = np.array(curve["fmr"]), np.array(curve["fnmr"])
            inside = (fmr > 0) & (fmr < 1) & (fnmr > 0) & (fnmr < 1)
            ax.plot(deviate(fmr[inside]), deviate(fnmr[inside]), style, color=colour, label=one["name"])
            rows += [(one["name"], name, *v) for v in zip(curve["threshold"], curve["fmr"], curve["fnmr"], strict=True)]
            _mark_threshold(ax, one, name, target, colour)
        ax.set_title(name)
        deviate_axes(ax, scales.fmr, scales.fnmr, few=True)
    for ax in axes.flat[len(names) :]:
        ax.set_visible(False)
    for ax in (*axes[-1], *axes.flat[len(names) - across : len(names)]):
        ax.set_xlabel("false match rate")
        ax.tick_params(labelbottom=True)
    for ax in axes[:, 0]:
        ax.set_ylabel("false non-match rate")
    axes[0, 0].legend(loc="upper right")
    return Sketch(
        "det_of_both",
        "Detection error trade-off, before and after",
        "One panel a group, all on the same normal-deviate axes; lower left is better. A full line below the dashed one "
        f"is a recogniser that serves that group better at every threshold; dots: each one's threshold for FMR {percent(target)}. "
        "Dots at different places in different panels mean unequal groups.",
        figure,
        Points(("model", "group", "threshold", "fmr", "fnmr"), rows),
    )


def plane_axes(ax: Any, scales: Scales) -> float:
    """Axes of FMR (logarithmic) and FNMR; returns the left end, where groups without false match are drawn."""
    low, high = scales.group_fmr or (1e-4, 1.0)
    if low <= 0:  # no rate is above 0: nothing says how far down to go
        low, high = 1e-4, high or 1.0
    floor, top = 0.6 * low, 1.6 * high
    ax.set_xlim(floor, top)
    logarithmic_rates(ax.xaxis, (floor, top))
    ax.set_ylim(0, 1.12 * ((scales.group_fnmr or (0.0, 1.0))[1] or 1.0))
    ax.yaxis.set_major_formatter(percent_axis())
    ax.set_xlabel("false match rate")
    ax.set_ylabel("false non-match rate")
    return floor


def ellipse(group: Document, floor: float) -> tuple[Float, Float] | None:
    """Outline of the joint region of a group's two rates, shape (n,) each; None where the bootstrap gives none.

    The region is that of two normal variables, log FMR and FNMR, whose half-widths are those of the group's two
    intervals and whose correlation is that of their ranks over the replicates.

    Args:
        group: Record of a group at a target.
        floor: Smallest FMR that is drawn.
    """
    bands = [group[f"{rate}_bootstrap"] for rate in ("fmr", "fnmr")]
    correlation = group.get("rates_correlation")
    if correlation is None or any(band is None or band["low"] is None for band in bands):
        return None
    if not (bands[0]["low"] > 0 and group["fmr"] > 0):
        return None
    x = np.log([max(bands[0]["low"], floor), max(bands[0]["high"], floor)])
    y = np.array([bands[1]["low"], bands[1]["high"]])
    turn = np.linspace(0, 2 * np.pi, _SAMPLED)
    first, second = np.cos(turn), correlation * np.cos(turn) + np.sqrt(1 - correlation**2) * np.sin(turn)
    outline = np.exp(x.mean() + _JOINT * (x[1] - x[0]) / 2 * first)
    return outline, y.mean() + _JOINT * (y[1] - y[0]) / 2 * second


def deviate(rates: Any) -> Float:
    """Normal deviates of rates between 0 and 1."""
    from scipy.special import ndtri

    return np.asarray(ndtri(rates))


def deviate_axes(ax: Any, fmr: Range | None, fnmr: Range | None, *, few: bool = False) -> None:
    """Axes of normal deviates, labelled with the rates; ``few`` labels across for a narrow panel."""
    every = [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.05, 0.2, 0.4, 0.6, 0.8, 0.95]
    for ends, axis, limits in ((fmr, ax.xaxis, ax.set_xlim), (fnmr, ax.yaxis, ax.set_ylim)):
        ticks = [1e-6, 1e-4, 1e-2, 0.1, 0.4, 0.8] if few and axis is ax.xaxis else every
        axis.set_ticks(deviate(ticks), [percent(t) for t in ticks])
        if ends:
            limits(deviate(max(ends[0], 1e-7)) - 0.1, deviate(min(ends[1], 0.95)) + 0.1)


def _marks(groups: list[Document]) -> list[str]:
    return [MARKS[k % len(MARKS)] for k in range(len(groups))]


def _point(
    ax: Any, model: str, group: Document, floor: float, colour: Any, mark: str, *, hollow: bool = False, label: str = ""
) -> tuple[Any, ...]:
    outline = ellipse(group, floor)
    if outline is not None:
        ax.fill(*outline, facecolor=colour, alpha=0.1, linewidth=0)
        ax.plot(*outline, color=colour, linewidth=0.6, linestyle="--" if hollow else "-")
    face = "white" if hollow else colour
    ax.plot(
        max(group["fmr"], floor), group["fnmr"], mark, color=colour, markerfacecolor=face, markersize=5,
        linestyle="none", label=label or None, clip_on=False, zorder=3,
    )  # fmt: skip
    ends = [group[f"{rate}_interval"][end] for rate in ("fmr", "fnmr") for end in ("low", "high")]
    return (model, group["name"], group["fmr"], group["fnmr"], *ends, group.get("rates_correlation"))


def _mark_threshold(ax: Any, evaluation: Document, name: str, target: float, colour: str) -> None:
    record = at_target(evaluation, target)
    found = [(g["fmr"], g["fnmr"]) for g in record["groups"] if g["name"] == name]
    found = found or [(record["achieved_fmr"], record["fnmr"])]
    if all(0 < rate < 1 for rate in found[0]):
        ax.plot(*deviate(found[0]), "o", color=colour, markeredgecolor="white", markersize=5)


def _legend(ax: Any, title: str) -> None:
    ax.legend(title=title, fontsize=SMALL, loc="best", alignment="left")
