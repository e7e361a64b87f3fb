"""Tables for papers: error rates by group and measures, of an evaluation or of both recognisers of a comparison.

Each is written as Markdown and as LaTeX (package ``booktabs``), from the JSON document
alone and with the numbers of the page.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from frbias.core.foundation.files import write_text
from frbias.core.reporting.figures.drawing import at_target
from frbias.core.reporting.tracing import MINUS, decimals, percent, signed, signed_points
from frbias.core.reporting.tracing import rate as short_rate
from frbias.core.verification.measures.table import is_rate, label_of, measures_shown

Document = dict[str, Any]
_RULES = {"fmr": ("false_matches", "non_mated"), "fnmr": ("false_non_matches", "mated")}
_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", MINUS: "$-$", "\u202f": r"\,", "\u2032": "$'$",
}  # fmt: skip


@dataclass(frozen=True)
class Table:
    """A table of text.

    Attributes:
        name: File name without suffix.
        caption: What it shows.
        heads: Column heads.
        rows: Cells.
        words: How many of the first columns hold words; the others are numbers, set to the right.
    """

    name: str
    caption: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: int

    def to_markdown(self) -> str:
        """A pipe table below its caption."""
        rule = [*("---" for _ in range(self.words)), *("---:" for _ in self.heads[self.words :])]
        lines = [self.heads, tuple(rule), *self.rows]
        cells = ["| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in lines]
        return "\n".join([f"*{self.caption}*", "", *cells]) + "\n"

    def to_latex(self) -> str:
        """A ``table`` with ``booktabs`` rules, label ``tab:<name>``."""
        columns = "l" * self.words + "r" * (len(self.heads) - self.words)
        body = [" & ".join(map(_escaped, row)) + r" \\" for row in self.rows]
        return "\n".join(
            [
                "% needs \\usepackage{booktabs}",
                r"\begin{table}",
                r"\centering",
                rf"\caption{{{_escaped(self.caption)}}}",
                rf"\label{{tab:{self.name.replace('_', '-')}}}",
                rf"\begin{{tabular}}{{{columns}}}",
                r"\toprule",
                " & ".join(map(_escaped, self.heads)) + r" \\",
                r"\midrule",
                *body,
                r"\bottomrule",
                r"\end{tabular}",
                r"\end{table}",
                "",
            ]
        )


def write_tables(document: Document, folder: Path, target: float) -> tuple[Path, ...]:
    """Write the tables of a document as ``<name>.md`` and ``<name>.tex``.

    Args:
        document: JSON document of an evaluation or a comparison.
        folder: Where to.
        target: Target FMR, one that was evaluated.
    """
    written = []
    for table in tables_of(document, target):
        for suffix, text in (("md", table.to_markdown()), ("tex", table.to_latex())):
            path = Path(folder) / f"{table.name}.{suffix}"
            write_text(path, text)
            written.append(path)
    return tuple(written)


def tables_of(document: Document, target: float) -> tuple[Table, ...]:
    """Rates by group and measures; of a comparison also the paired differences."""
    paired = document["schema"] == "frbias.comparison"
    models = [document["baseline"], document["other"]] if paired else [document]
    tables = (_rates(models, target), _measures(models, target))
    return (*tables, _differences(document, target)) if paired else tables


def _rates(models: Sequence[Document], target: float) -> Table:
    rows: list[tuple[str, ...]] = []
    for model in models:
        record = at_target(model, target)
        whole = {**record, "name": "all groups", "fmr": record["achieved_fmr"]}
        rows += [
            (model["name"], group["name"], *_rate_cells(group, "fnmr"), *_rate_cells(group, "fmr"))
            for group in (*record["groups"], whole)
        ]
    heads = ("recogniser", "group", "FNMR", "interval", "errors / mated", "FMR", "interval", "errors / non-mated")
    caption = f"Error rates by group at FMR {short_rate(target)}, one threshold a recogniser, {short_rate(models[0]['confidence'])} intervals."
    return Table("rates_by_group", caption, heads, tuple(rows), 2)


def _rate_cells(record: Document, which: str) -> tuple[str, str, str]:
    errors, trials = _RULES[which]
    band = record[f"{which}_interval"]
    counts = f"{record[errors]:,} / {record[trials]:,}"
    return percent(record[which]), _band(band, percent), counts


def _measures(models: Sequence[Document], target: float) -> Table:
    records = [at_target(model, target)["measures"] for model in models]
    rows = [("EER", *(cell for m in models for cell in _value(m["overall"]["eer"], is_a_rate=True)))]
    for entry in measures_shown("terminal"):
        if all(entry.name in found for found in records):
            cells = (cell for found in records for cell in _value(found[entry.name], is_a_rate=entry.is_rate))
            rows.append((entry.label, *cells))
    heads = ("measure", *(head for model in models for head in (model["name"], "interval")))
    return Table("fairness", f"Fairness measures at FMR {short_rate(target)}.", heads, tuple(rows), 1)


def _value(found: Document, *, is_a_rate: bool) -> tuple[str, str]:
    show = percent if is_a_rate else decimals
    return ("undefined" if found["value"] is None else show(found["value"])), _band(found.get("bootstrap"), show)


def _differences(document: Document, target: float) -> Table:
    record = at_target(document, target)
    lines = [(label_of(e.name), record[e.name], is_rate(e.name)) for e in measures_shown("paired") if e.name in record]
    lines += [("FNMR, all groups", record["fnmr"], True)]
    lines += [(f"{r.upper()}, {g['name']}", g[r], True) for r in ("fnmr", "fmr") for g in record["groups"]]
    rows = []
    for label, change, of_rates in lines:
        show = signed_points if of_rates else signed
        value = "undefined" if change["difference"] is None else show(change["difference"])
        rows.append((label, value, _band(change["bootstrap"], show), str(change["verdict"])))
    names = document["other"]["name"], document["baseline"]["name"]
    caption = f"{names[0]} minus {names[1]} at FMR {short_rate(target)}, paired; rates in percentage points."
    return Table("differences", caption, ("quantity", "difference", "paired interval", "verdict"), tuple(rows), 1)


def _band(band: Document | None, show: Any) -> str:
    if band is None or band["low"] is None or band["high"] is None:
        return ""
    return f"{show(band['low'])} to {show(band['high'])}"


def _escaped(text: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in text)


__all__ = ["Table", "tables_of", "write_tables"]
