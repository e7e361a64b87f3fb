"""The figure of an identification: cumulative match characteristic, all searches and per group of the probe."""

from pathlib import Path

from frbias.core.reporting.figures.drawing import (
    INK,
    Document,
    Drawn,
    Points,
    Sketch,
    colours,
    new_figure,
    percent_axis,
    save,
    styled,
)


def draw_searches(document: Document, folder: Path) -> tuple[Drawn, ...]:
    """Draw what an identification has data for into ``folder``."""
    with styled():
        sketch = cmc(document)
    return (save(sketch, folder),)


def cmc(document: Document) -> Sketch:
    """Share of the mated searches with the mate among the first r identities."""
    figure, axes = new_figure(1, 2.7)
    ax = axes[0, 0]
    groups = [group for group in document["groups"] if group.get("cmc")]
    curves = [("all", document["all"]["mated_searches"], document["cmc"])]
    curves += [(group["name"], group["mated_searches"], group["cmc"]) for group in groups]
    lines: list[tuple[object, ...]] = []
    for (name, searches, shares), colour in zip(curves, [INK, *colours(len(groups))], strict=True):
        ranks = range(1, len(shares) + 1)
        style = "--" if name == "all" else "-"
        ax.plot(ranks, shares, style, color=colour, marker="o", markersize=2.5, label=f"{name} ({searches:,} searches)")
        lines += [(name, searches, rank, share) for rank, share in zip(ranks, shares, strict=True)]
    low = min(share for _, _, shares in curves for share in shares)
    ax.set_ylim(max(0.0, low - 0.05), 1.005)
    ax.set_xlim(0.7, len(document["cmc"]) + 0.3)
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.yaxis.set_major_formatter(percent_axis())
    ax.set_xlabel("rank")
    ax.set_ylabel("mate among the first")
    ax.legend(loc="lower right")
    gallery = document["gallery"]
    return Sketch(
        "cmc",
        "Cumulative match characteristic",
        f"{document['name']}: share of searches whose mate is among the first r identities; gallery {gallery['rule']}, "
        f"{gallery['images']:,} images of {gallery['subjects']:,} people. A lower line is a group that is found less "
        "often; a line that stays flat has mates that no longer list helps to find.",
        figure,
        Points(("group", "searches", "rank", "share"), lines),
    )
