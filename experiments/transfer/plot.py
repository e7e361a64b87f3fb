"""Draw gain against cost from ``measured.csv``: FNMR on FG-NET 001-040 by how many images pass through the network.

    python experiments/transfer/plot.py

writes ``docs/images/transfer.png``. Images are renders and their damaged copies; seeds are people with no one in common.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

HERE = Path(__file__).resolve().parent
OUT = HERE.parents[1] / "docs" / "images" / "transfer.png"
OURS = "nuisance"
COLUMNS = (("fnmr_1", "all ages, FMR 1 %"), ("children_1", "ages 0-12, FMR 1 %"), ("fnmr_01", "all ages, FMR 0.1 %"))


def main() -> None:
    """Draw what is measured side by side."""
    rows = pd.read_csv(HERE / "measured.csv")
    start = rows[rows["recipe"] == "start"].iloc[0]
    others = rows[~rows["recipe"].isin(["start", OURS])].groupby("recipe", sort=False).mean(numeric_only=True)
    figure, axes = plt.subplots(1, len(COLUMNS), figsize=(13, 4), layout="constrained")
    for axis, (column, title) in zip(axes, COLUMNS, strict=True):
        axis.axhline(start[column], color="0.5", linestyle=":", label="start model")
        for seed, curve in rows[rows["recipe"] == OURS].groupby("seed"):
            axis.plot(curve["images"], curve[column], "o-", label=f"adapt, people of seed {seed:.0f}")
        for (name, row), mark in zip(others.iterrows(), "sD^vPX*<>", strict=False):
            axis.plot(row["images"], row[column], mark, color="0.35", label=name)
        axis.set(xscale="log", xlabel="images through the network", ylabel="FNMR, %", title=f"FG-NET 001-040, {title}")
        axis.margins(y=0.12)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, fontsize=8, loc="outside right center")
    figure.savefig(OUT, dpi=120)


if __name__ == "__main__":
    main()
