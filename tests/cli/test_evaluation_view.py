"""What evaluations and comparisons look like on a terminal of 80 columns."""

import json
import re
from typing import Any

import numpy as np
import pytest

from frbias.cli import comparison_view, console
from frbias.cli import evaluation_view as view
from frbias.cli.numerals import percent, points
from frbias.core.verification.counted import Rate
from frbias.core.verification.evaluation import evaluate_embeddings
from frbias.core.verification.groups import group_by_value
from frbias.core.verification.paired import compare_embeddings

LONG = "a group with a name that is longer than anybody would wish for [really]"


def people(noise: float, images: int = 320) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(4)
    who = rng.integers(0, 40, images)
    ages = rng.integers(5, 70, images).astype(float)
    spread = noise * (1 + 0.4 * (ages < 20))[:, None]
    matrix = rng.normal(size=(40, 20))[who] + spread * rng.normal(size=(images, 20))
    return matrix.astype(np.float32), who, ages


@pytest.fixture(scope="module")
def comparison() -> dict[str, Any]:
    (one, who, ages), (two, _, _) = people(1.2), people(0.9)
    found = compare_embeddings(
        one, two, who, ages, groups="5-19,20-39,40-69", targets=(0.1, 0.001), bootstrap=150, names=("old", "new")
    )
    return json.loads(json.dumps(found.to_json()))


@pytest.fixture(autouse=True)
def eighty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    console.reset()
    monkeypatch.setenv("COLUMNS", "80")


def tables(text: str) -> list[str]:
    """Lines of tables: those with columns, which are padded or hold an interval."""
    rows = [line.rstrip() for line in text.splitlines() if " .. " in line or line.startswith(("group", "measure"))]
    return [row for row in rows if not row.startswith(("EER", "d' "))]


def test_an_evaluation_fits_and_loses_nothing(comparison: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    view.show_evaluation(comparison["baseline"])
    printed = capsys.readouterr().out
    assert max(map(len, tables(printed))) <= 80
    for record in comparison["baseline"]["targets"]:
        for group in record["groups"]:
            for rate, errors, trials in (("fmr", "false_matches", "non_mated"), ("fnmr", "false_non_matches", "mated")):
                mark = {(): "", ("below_rule_of_30",): "*", ("rule_of_3", "below_rule_of_30"): "**"}[
                    tuple(group[f"{rate}_flags"])
                ]
                line = rf"^{group['name']} +{group[errors]:,} / {group[trials]:,} +{percent(group[rate])} .*"
                found = re.search(line, printed, re.MULTILINE)
                assert found is not None, line
                assert re.fullmatch(r"[^*]*", found[0]) if not mark else found[0].rstrip().endswith(f"% {mark}")
    assert "false non-matches" in printed
    cell = comparison["baseline"]["targets"][0]["cross_groups"]["worst_cell"]
    assert f"largest FMR at FMR 10%: {percent(cell['fmr'])} " in printed
    projected = comparison["baseline"]["targets"][0]["fpir_projected"][1]
    assert f"gallery of 1,000 people at FMR 10%: a false positive in {percent(projected['fpir'])}" in printed
    assert "..." not in printed
    assert "…" not in printed


def test_flags_mean_what_the_note_says() -> None:
    assert [view.flag(Rate.of(n, 1000)) for n in (0, 1, 29, 30)] == ["**", "*", "*", ""]
    few, none = view.FLAGS_EXPLAINED.split("; ")
    assert few.startswith("* fewer than 30 errors")
    assert none.startswith("** no error")


def test_a_comparison_fits_with_the_verdict_first(
    comparison: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    comparison_view.show_comparison(comparison)
    whole = capsys.readouterr().out
    assert max(map(len, tables(whole))) <= 80
    rows = [line for line in whole.splitlines() if line.startswith("FNMR, 5-19")]
    assert len(rows) == 2
    change = comparison["targets"][0]["groups"][0]["fnmr"]
    assert f" {points(change['difference'])} " in rows[0]
    assert re.search(r"[+-]\d+\.?\d* points", rows[0])
    judgements = re.findall(r"(better|worse|no clear difference|no interval)$", "\n".join(line.rstrip() for line in whole.splitlines()), re.MULTILINE)  # fmt: skip
    assert "no clear difference" in judgements
    assert judgements.count("better") >= 3
    lines = whole.splitlines()
    places = [
        next(k for k, line in enumerate(lines) if line.startswith(start))
        for start in (comparison["verdict"]["sentence"][:40], "EER ", "d' ", " " * 13 + "before")
    ]
    assert places == sorted(places)
    eer = lines[places[1]]
    assert eer.endswith(": better, lower is better")
    assert "points; 95% interval" in eer
    assert lines[places[2]].endswith(": better, higher is better")

    comparison_view.show_comparison(comparison, brief=True)
    brief = capsys.readouterr().out
    assert whole.startswith(brief.rstrip())
    assert "d' " in brief
    assert " before " not in brief
    view.show_evaluation(comparison["other"], brief=True)
    assert "EER" in (short := capsys.readouterr().out)
    assert "false matches" not in short


def test_a_comparison_repeats_what_was_guarded(comparison: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    comparison_view.show_comparison(comparison, brief=True)
    assert "looked at" not in capsys.readouterr().out
    changed = json.loads(json.dumps(comparison))
    sentences = {"baseline": "Guard albums [a]: scores drifted.", "other": "No photographs were looked at."}
    for side, sentence in sentences.items():
        changed[side]["provenance"] = {**changed[side]["provenance"], "backbone": {"guarded": [sentence]}}
    for brief in (False, True):
        comparison_view.show_comparison(changed, brief=brief)
        printed = capsys.readouterr().out
        for side, sentence in sentences.items():
            assert f"\n{changed[side]['name']}: {sentence}\n" in printed


def test_long_names_are_whole_and_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    matrix, who, _ = people(1.2)
    groups = group_by_value([LONG if k % 2 else "b" for k in range(len(who))], "camera")
    done = evaluate_embeddings(matrix, who, groups=groups, targets=(0.1,), bootstrap=0, name="a [bold]name")
    view.show_evaluation(json.loads(json.dumps(done.to_json())))
    printed = capsys.readouterr().out
    assert printed.count(f"\n{LONG} ") == 2
    assert "a [bold]name" in printed


def test_without_a_bootstrap_and_without_ages_it_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    matrix, who, _ = people(1.2)
    done = evaluate_embeddings(matrix, who, targets=(0.1,), bootstrap=0)
    view.show_evaluation(json.loads(json.dumps(done.to_json())))
    printed = capsys.readouterr().out
    assert "no image has an age" in printed
    assert ", 1 group\n" in printed
    assert "Fairness measures need two groups" in printed
    assert "no subject bootstrap" in printed
    again = compare_embeddings(matrix, matrix, who, targets=(0.1,), bootstrap=0, curves=False)
    comparison_view.show_comparison(json.loads(json.dumps(again.to_json())))
    printed = capsys.readouterr().out
    assert "Undecided: without intervals" in printed
    assert "no interval" in printed


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.0000823, "0.00823%"), (0.00000012345, "0.0000123%"), (0.5, "50%"), (1.0, "100%"), (0.0, "0%"),
        (0.2834, "28.3%"), (0.099951, "10%"), (None, "undefined"),
    ],
)  # fmt: skip
def test_rates_are_written_out(value: float | None, words: str) -> None:
    assert percent(value) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.0745, "+7.45 points"), (-0.0745, "-7.45 points"), (0.1, "+10 points"), (-0.0001234, "-0.012 points"),
        (0.00000123, "+0.00012 points"), (0.0, "0 points"), (0.2, "+20 points"), (None, ""),
    ],
)  # fmt: skip
def test_differences_of_rates_are_points(value: float | None, words: str) -> None:
    assert points(value) == words
