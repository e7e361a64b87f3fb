"""Figures are drawn from the document alone, and their CSV holds the document's numbers."""

import csv
import json
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from frbias.core.reporting.figures.drawing import Drawn, Points, Sketch, colours, nearest_target
from frbias.core.reporting.figures.every import draw_all, sketches
from frbias.core.reporting.figures.seen import seen
from frbias.core.verification.evaluation import evaluate_embeddings
from frbias.core.verification.groups import group_by_protocol
from frbias.core.verification.paired import compare_embeddings


def people(noise: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(4)
    who = rng.integers(0, 30, 260)
    ages = rng.integers(5, 70, 260).astype(float)
    matrix = rng.normal(size=(30, 16))[who] + noise * rng.normal(size=(260, 16))
    return matrix.astype(np.float32), who, ages


@pytest.fixture(scope="module")
def evaluation() -> dict[str, Any]:
    matrix, who, ages = people(1.2)
    done = evaluate_embeddings(
        matrix, who, ages, groups=group_by_protocol(ages, "thesis"), targets=(0.1, 0.01), bootstrap=150, name="sim"
    )
    return json.loads(json.dumps(done.to_json()))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("figures")


@pytest.fixture(scope="module")
def drawn(evaluation: dict[str, Any], folder: Path) -> tuple[Drawn, ...]:
    return draw_all(evaluation, folder)


@pytest.fixture(scope="module")
def comparison() -> dict[str, Any]:
    (one, who, ages), (two, _, _) = people(1.3), people(1.0)
    found = compare_embeddings(one, two, who, ages, groups="5-29,30-69", targets=(0.1, 0.02), bootstrap=150)
    return json.loads(json.dumps(found.to_json()))


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_every_figure_in_four_files(drawn: tuple[Drawn, ...]) -> None:
    names = [figure.name for figure in drawn]
    assert names == [
        "rates_by_group", "fairness_over_fmr", "det", "distributions_by_group", "distributions_by_age_gap",
        "distributions_by_protocol", "fnmr_by_age", "score_by_age", "fmr_by_groups",
    ]  # fmt: skip
    for figure in drawn:
        assert figure.png.read_bytes().startswith(b"\x89PNG")
        assert b"<svg" in figure.svg.read_bytes()[:1000]
        assert figure.title
        assert "sim" in figure.caption
        assert rows(figure.csv)


def test_plotted_points_are_the_documents_numbers(
    evaluation: dict[str, Any], drawn: tuple[Drawn, ...], folder: Path
) -> None:
    assert drawn
    record = next(t for t in evaluation["targets"] if t["target"] == 0.01)
    plotted = {(r["group"], r["rate"]): r for r in rows(folder / "rates_by_group.csv")}
    for group in record["groups"]:
        assert float(plotted[group["name"], "fmr"]["value"]) == group["fmr"]
        assert int(plotted[group["name"], "fnmr"]["errors"]) == group["false_non_matches"]
    curve = [r for r in rows(folder / "fairness_over_fmr.csv") if r["measure"] == "garbe"]
    by_target = {float(r["target_fmr"]): r["value"] for r in curve}
    assert float(by_target[0.01]) == record["garbe"]
    heat = rows(folder / "fnmr_by_age.csv")
    assert sum(int(r["comparisons"]) for r in heat) == evaluation["comparisons"]["mated_everywhere"]
    det = rows(folder / "det.csv")
    assert {r["group"] for r in det} == {"all groups", *(g["name"] for g in record["groups"])}


def test_same_document_same_bytes(
    evaluation: dict[str, Any], drawn: tuple[Drawn, ...], folder: Path, tmp_path: Path
) -> None:
    assert len(draw_all(evaluation, tmp_path)) == len(drawn)
    for first in sorted(folder.iterdir()):
        assert first.read_bytes() == (tmp_path / first.name).read_bytes(), first.name


def test_comparison_figures(comparison: dict[str, Any], tmp_path: Path) -> None:
    drawn = draw_all(comparison, tmp_path, target=0.1)
    assert [figure.name for figure in drawn] == ["slope", "differences", "fairness_of_both", "rates_of_both"]
    record = next(t for t in comparison["targets"] if t["target"] == 0.1)
    shown = {r["line"]: r for r in rows(tmp_path / "slope.csv") if r["quantity"] == "fnmr"}
    for group in record["groups"]:
        assert float(shown[group["name"]]["difference"]) == group["fnmr"]["difference"]


def test_a_document_without_curves_and_bootstrap_still_draws(tmp_path: Path) -> None:
    matrix, who, _ = people(1.2)
    done = evaluate_embeddings(
        matrix, who, groups=group_by_protocol(np.full(260, 10.0), "thesis"), targets=[0.1], bootstrap=0, curves=False
    )
    assert [figure.name for figure in draw_all(done, tmp_path)] == ["rates_by_group", "fmr_by_groups"]


def test_compared_models_are_drawn_on_the_same_scales(comparison: dict[str, Any]) -> None:
    pair = [comparison["baseline"], comparison["other"]]
    alone = [sketches(one, target=0.1) for one in pair]
    shared = [sketches(one, target=0.1, beside=pair) for one in pair]
    assert axes_of(*alone) != []
    assert axes_of(*shared) == []


def axes_of(first: list[Sketch], second: list[Sketch]) -> list[str]:
    """The figures whose colour scale, or axis of scores or rates, differs."""
    differing = []
    for one, two in zip(first, second, strict=True):
        pair = [
            [(ax.get_xlim(), [image.get_clim() for image in ax.get_images()]) for ax in sketch.figure.axes[:2]]
            for sketch in (one, two)
        ]
        heights = [sketch.figure.axes[0].get_ylim() for sketch in (one, two)] if one.name == "det" else [0, 0]
        if pair[0] != pair[1] or heights[0] != heights[1]:
            differing.append(one.name)
    return differing


def test_every_groups_colour_can_be_read_on_white() -> None:
    for count in range(1, 9):
        for red, green, blue, _ in colours(count):
            linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (red, green, blue)]
            luminance = float(np.dot([0.2126, 0.7152, 0.0722], linear))
            assert 1.05 / (luminance + 0.05) >= 3, count


def test_words_say_what_is_seen(evaluation: dict[str, Any], drawn: tuple[Drawn, ...]) -> None:
    figure = next(f for f in drawn if f.name == "rates_by_group")
    record = next(t for t in evaluation["targets"] if t["target"] == 0.01)
    worst = max(record["groups"], key=lambda g: g["fnmr"])
    said = seen(figure.name, figure.title, figure.points)
    assert f"({worst['name']})." in said.partition("fnmr: ")[2]
    words = {f.name: seen(f.name, f.title, f.points) for f in drawn}
    assert "median score about" in words["distributions_by_group"]
    assert [name for name, text in words.items() if not any(c.isdigit() for c in text)] == ["det"]


def test_differences_keep_quantities_apart(comparison: dict[str, Any]) -> None:
    figure = next(s.figure for s in sketches(comparison, target=0.1) if s.name == "differences")
    panels = {ax.get_title(loc="left"): [t.get_text() for t in ax.get_yticklabels()] for ax in figure.axes}
    assert set(panels) == {"Fairness", "False match rate", "False non-match rate"}
    assert "GARBE" in panels["Fairness"]
    assert not any(name.startswith(("FMR", "FNMR")) for name in panels["Fairness"])
    assert "FMR, 5-29" in panels["False match rate"]
    assert "FNMR, 30-69" in panels["False non-match rate"]


def test_text_stays_text(drawn: tuple[Drawn, ...]) -> None:
    for figure in drawn:
        svg = figure.svg.read_text(encoding="utf-8")
        assert "<text" in svg
        assert figure.title in unescape(svg)
        assert figure.pdf.read_bytes().startswith(b"%PDF")


def test_nearest_target_is_by_ratio() -> None:
    document = {"targets": [{"target": 0.1}, {"target": 0.001}]}
    assert nearest_target(document, None) == 0.1
    assert nearest_target(document, 0.002) == 0.001


def test_csv_leaves_unknown_values_empty() -> None:
    assert Points(("a", "b"), [(1, None), (0.1, "x,y")]).to_csv() == 'a,b\n1,\n0.1,"x,y"\n'
