"""Tables for papers hold the document's numbers, in Markdown and in LaTeX."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from frbias.core.reporting.tables import Table, tables_of, write_tables
from frbias.core.reporting.tracing import decimals, percent, signed, signed_points
from frbias.core.verification.paired import compare_embeddings


@pytest.fixture(scope="module")
def comparison() -> dict[str, Any]:
    rng, who = np.random.default_rng(2), np.repeat(np.arange(20), 6)
    base = rng.normal(size=(20, 16))[who] + 1.2 * rng.normal(size=(120, 16))
    other = base + 0.2 * rng.normal(size=base.shape)
    found = compare_embeddings(
        base.astype(np.float32), other.astype(np.float32), who, np.tile([5.0, 8, 30, 33, 70, 72], 20),
        names=("a_1", "b&2"), groups="0-12,13-59,60+", targets=(0.1,), bootstrap=100,
    )  # fmt: skip
    return json.loads(json.dumps(found.to_json()))


def by_name(document: dict[str, Any]) -> dict[str, Table]:
    return {table.name: table for table in tables_of(document, 0.1)}


def test_rates_are_those_of_the_document(comparison: dict[str, Any]) -> None:
    table = by_name(comparison)["rates_by_group"]
    rows = {row[:2]: row[2:] for row in table.rows}
    assert len(rows) == 2 * (3 + 1)
    for side in ("baseline", "other"):
        record = comparison[side]["targets"][0]
        for group in record["groups"]:
            cells = rows[comparison[side]["name"], group["name"]]
            assert cells[0] == percent(group["fnmr"])
            assert cells[1] == f"{percent(group['fnmr_interval']['low'])} to {percent(group['fnmr_interval']['high'])}"
            assert cells[5] == f"{group['false_matches']:,} / {group['non_mated']:,}"
        assert rows[comparison[side]["name"], "all groups"][3] == percent(record["achieved_fmr"])


def test_measures_and_differences_are_those_of_the_document(comparison: dict[str, Any]) -> None:
    tables = by_name(comparison)
    garbe = next(row for row in tables["fairness"].rows if row[0] == "GARBE")
    assert garbe[1] == decimals(comparison["baseline"]["targets"][0]["garbe"])
    assert garbe[3] == decimals(comparison["other"]["targets"][0]["garbe"])
    record = comparison["targets"][0]
    rows = {row[0]: row[1:] for row in tables["differences"].rows}
    assert rows["GARBE"][0] == signed(record["garbe"]["difference"])
    assert rows["GARBE"][2] == record["garbe"]["verdict"]
    assert rows["FNMR, 60+"][0] == signed_points(record["groups"][2]["fnmr"]["difference"])


def test_one_evaluation_has_no_differences(comparison: dict[str, Any]) -> None:
    assert list(by_name(comparison["baseline"])) == ["rates_by_group", "fairness"]


def test_both_forms_can_be_read_back(comparison: dict[str, Any], tmp_path: Path) -> None:
    written = write_tables(comparison, tmp_path, 0.1)
    assert [path.name for path in written] == [
        f"{name}.{suffix}" for name in ("rates_by_group", "fairness", "differences") for suffix in ("md", "tex")
    ]
    for table in tables_of(comparison, 0.1):
        lines = (tmp_path / f"{table.name}.md").read_text().splitlines()[2:]
        cells = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines]
        assert cells[0] == table.heads
        assert [tuple(c.strip() for c in row) for row in table.rows] == cells[2:]
        latex = (tmp_path / f"{table.name}.tex").read_text()
        body = latex[latex.index("\\midrule") : latex.index("\\bottomrule")].splitlines()[1:]
        assert len(body) == len(table.rows)
        assert all(line.replace(r"\&", "").count("&") == len(table.heads) - 1 for line in body)
        assert latex.count("{") == latex.count("}")
        assert r"b\&2" in latex
        assert "b&2" not in latex


def test_what_latex_would_take_for_a_command_is_escaped() -> None:
    table = Table("x_y", "50 % of $_a", ("a|b", "n"), (("{\\}~^#", "\u22121"),), 1)
    latex, markdown = table.to_latex(), table.to_markdown()
    assert r"\caption{50 \% of \$\_a}" in latex
    assert r"\{\textbackslash{}\}\textasciitilde{}\textasciicircum{}\# & $-$1 \\" in latex
    assert r"\label{tab:x-y}" in latex
    assert r"| a\|b | n |" in markdown
