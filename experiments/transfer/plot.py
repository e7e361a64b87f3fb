"""Draw gain against cost from ``measured.csv``: FNMR on FG-NET 001-040 by how many renders pass through the network.

    python experiments/transfer/plot.py

writes ``docs/images/transfer.png``.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

HERE = Path(__file__).resolve().parent
OUT = HERE.parents[1] / "docs" / "images" / "transfer.png"
OURS = "nuisance"


def main() -> None:
    """Draw both targets side by side."""
    rows = pd.read_csv(HERE / "measured.csv")
    start = rows[rows["recipe"] == "start"].iloc[0]
    curve = rows[rows["recipe"] == OURS]
    others = rows[~rows["recipe"].isin(["start", OURS])]
    figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for axis, column, title in zip(axes, ("fnmr_1", "fnmr_01"), ("FMR 1 %", "FMR 0.1 %"), strict=True):
        axis.axhline(start[column], color="0.5", linestyle=":", label="start model")
        axis.plot(curve["images"], curve[column], "o-", label="nuisance projection")
        for (name, row), mark in zip(others.set_index("recipe").iterrows(), "sD^v", strict=True):
            axis.plot(row["images"], row[column], mark, label=name)
        for _, row in curve.iterrows():
            place = (row["images"], row[column])
            axis.annotate(f"{row['people']}", place, (0, -13), textcoords="offset points", ha="center", fontsize=8)
        axis.set(
            xscale="log", xlabel="images through the network", ylabel="FNMR, %", title=f"FG-NET 001-040 at {title}"
        )
        axis.margins(y=0.12)
    axes[0].legend(fontsize=8, loc=(0.02, 0.6))
    figure.savefig(OUT, dpi=120)


if __name__ == "__main__":
    main()
