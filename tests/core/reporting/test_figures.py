"""Figures are drawn from the document alone, and their CSV holds the document's numbers."""

import csv
import itertools
import json
import re
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.path import Path as MplPath

from frbias.core.reporting.figures import comparison as comparison_figures
from frbias.core.reporting.figures import evaluation as evaluation_figures
from frbias.core.reporting.figures.drawing import (
    ACCENT,
    BASELINE_COLOUR,
    CHANCE_COLOUR,
    COLUMN_WIDTHS,
    INK,
    MATED_COLOUR,
    NON_MATED_COLOUR,
    OTHER_COLOUR,
    UNCLEAR_COLOUR,
    Drawn,
    Points,
    Sketch,
    colours,
    nearest_target,
)
from frbias.core.reporting.figures.evaluation import smooth
from frbias.core.reporting.figures.every import draw_all, draw_document, sketches
from frbias.core.reporting.figures.plane import ellipse
from frbias.core.reporting.figures.seen import seen
from frbias.core.reporting.html import SHOWN
from frbias.core.verification.evaluation import evaluate_embeddings
from frbias.core.verification.groups import group_by_protocol
from frbias.core.verification.operating import rank_correlation
from frbias.core.verification.paired import compare_embeddings

pytestmark = pytest.mark.xdist_group("figures")  # what they share takes longer to make than they take


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
        "rates_by_group", "operating_points", "fairness_over_fmr", "det", "distributions_by_group", "distributions_by_age_gap",
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
    assert [figure.name for figure in drawn] == [
        "differences", "fairness_of_both", "rates_of_both", "operating_points", "det_of_both",
    ]  # fmt: skip
    record = next(t for t in comparison["targets"] if t["target"] == 0.1)
    shown = {r["quantity"]: r for r in rows(tmp_path / "differences.csv")}
    for group in record["groups"]:
        assert float(shown[f"FNMR, {group['name']}"]["difference"]) == group["fnmr"]["difference"]
    for side in ("baseline", "other"):
        name, found = comparison[side]["name"], next(t for t in comparison[side]["targets"] if t["target"] == 0.1)
        points = {r["group"]: r for r in rows(tmp_path / "operating_points.csv") if r["model"] == name}
        assert {g["name"]: (g["fmr"], g["fnmr"]) for g in found["groups"]} == {
            group: (float(r["fmr"]), float(r["fnmr"])) for group, r in points.items()
        }
        curves = [r for r in rows(tmp_path / "det_of_both.csv") if r["model"] == name]
        for curve in comparison[side]["curves"]["det"]:
            assert [float(r["fnmr"]) for r in curves if r["group"] == curve["name"]] == curve["fnmr"]


def test_figures_of_one_side_lie_below_those_of_both(
    comparison: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparison_figures, "MAKERS", (comparison_figures.rates_of_both,))
    monkeypatch.setattr(evaluation_figures, "MAKERS", (evaluation_figures.det, evaluation_figures.fmr_by_groups))
    gallery = draw_document(comparison, tmp_path, target=0.1)
    assert gallery.names == ["rates_of_both", "baseline/fmr_by_groups", "other/fmr_by_groups"]
    assert all((tmp_path / f"{name}.svg").is_file() for name in gallery.names)


def test_every_figure_has_its_place_on_the_page() -> None:
    known = [make.__name__ for make in (*evaluation_figures.MAKERS, *comparison_figures.MAKERS)]
    assert {name.removesuffix("_of_both") if name == "operating_points_of_both" else name for name in known} == SHOWN


def test_ellipses_hold_what_the_bootstrap_draws() -> None:
    rng = np.random.default_rng(3)
    deviates = rng.multivariate_normal([0, 0], [[1, -0.7], [-0.7, 1]], 40_000)
    fmr, fnmr = 0.01 * np.exp(0.3 * deviates[:, 0]), 0.4 + 0.05 * deviates[:, 1]
    bands = [dict(zip(("low", "high"), np.quantile(v, [0.025, 0.975]), strict=True)) for v in (fmr, fnmr)]
    group = {
        "fmr": 0.01,
        "fmr_bootstrap": bands[0],
        "fnmr_bootstrap": bands[1],
        "rates_correlation": rank_correlation(fmr, fnmr),
    }
    outline = ellipse(group, 1e-6)
    assert outline is not None
    inside = MplPath(np.c_[np.log(outline[0]), outline[1]]).contains_points(np.c_[np.log(fmr), fnmr])
    assert inside.mean() == pytest.approx(0.95, abs=0.01)
    assert ellipse({**group, "rates_correlation": None}, 1e-6) is None
    assert ellipse({**group, "fmr": 0.0}, 1e-6) is None


@pytest.mark.parametrize(("count", "widest"), [(30, 3), (3000, 1.3)])
def test_few_scores_are_smoothed_more_than_many(count: int, widest: float) -> None:
    rng, edges = np.random.default_rng(1), np.linspace(-1, 1, 101)
    counts = np.histogram(rng.normal(0, 0.2, count), edges)[0].tolist()
    density = smooth(counts, edges)
    assert (density * np.diff(edges)).sum() == pytest.approx(1)
    rough = np.abs(np.diff(np.array(counts) / count)).sum()
    assert np.abs(np.diff(density * np.diff(edges))).sum() * widest < rough * 1.3
    assert smooth([7], np.array([0.5, 0.6])).tolist() == pytest.approx([10])


def test_figures_fit_one_or_two_columns_of_a_paper(drawn: tuple[Drawn, ...]) -> None:
    for figure in drawn:
        width = float(re.search(r'<svg[^>]* width="([\d.]+)pt"', figure.svg.read_text()).group(1)) / 72
        assert width == pytest.approx(COLUMN_WIDTHS[figure.columns], abs=0.01), figure.name
        sizes = [float(s) for s in re.findall(r"font-size: ([\d.]+)px", figure.svg.read_text())]
        assert min(sizes) >= 4, figure.name
    assert {figure.columns for figure in drawn} == {1, 2}


def test_a_document_without_curves_and_bootstrap_still_draws(tmp_path: Path) -> None:
    matrix, who, _ = people(1.2)
    done = evaluate_embeddings(
        matrix, who, groups=group_by_protocol(np.full(260, 10.0), "thesis"), targets=[0.1], bootstrap=0, curves=False
    )
    assert [figure.name for figure in draw_all(done, tmp_path)] == [
        "rates_by_group", "operating_points", "fmr_by_groups",
    ]  # fmt: skip


def test_compared_models_are_drawn_on_the_same_scales(comparison: dict[str, Any]) -> None:
    pair = [comparison["baseline"], comparison["other"]]
    alone = [sketches(one, target=0.1) for one in pair]
    shared = [sketches(one, target=0.1, beside=pair) for one in pair]
    assert axes_of(*alone) != []
    assert not {"det", "rates_by_group", "fairness_over_fmr"} & {sketch.name for sketch in shared[0]}
    assert axes_of(*shared) == []


def axes_of(first: list[Sketch], second: list[Sketch]) -> list[str]:
    """The figures whose colour scale, or axis of scores or rates, differs."""
    differing = []
    for one, two in zip(first, second, strict=True):
        pair = [
            [(ax.get_xlim(), [image.get_clim() for image in ax.get_images()]) for ax in sketch.figure.axes[:2]]
            for sketch in (one, two)
        ]
        if pair[0] != pair[1]:
            differing.append(one.name)
    return differing


def linear(colour: Any) -> np.ndarray:
    """Linear light of a colour, shape (3,)."""
    found = np.array(to_rgb(colour))
    return np.where(found <= 0.04045, found / 12.92, ((found + 0.055) / 1.055) ** 2.4)


def contrast_on_white(colour: Any) -> float:
    """WCAG 2 contrast ratio with white."""
    return 1.05 / (float(np.dot([0.2126, 0.7152, 0.0722], linear(colour))) + 0.05)


def lab(light: np.ndarray) -> np.ndarray:
    """CIE 1976 L*a*b* (D65) of linear sRGB."""
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ light
    f = np.cbrt(np.clip(xyz, 0, None) / [0.9505, 1.0, 1.089])
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


# Machado, Oliveira and Fernandes, IEEE TVCG 15(6), 2009, table 1, severity 1.
BLINDNESS = {
    "none": np.eye(3),
    "protanopia": np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]),
    "deuteranopia": np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]),
    "tritanopia": np.array([[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]),
}  # fmt: skip


def test_every_colour_can_be_read_on_white() -> None:
    for colour in (
        MATED_COLOUR,
        NON_MATED_COLOUR,
        BASELINE_COLOUR,
        OTHER_COLOUR,
        ACCENT,
        CHANCE_COLOUR,
        UNCLEAR_COLOUR,
        INK,
    ):
        assert contrast_on_white(colour) >= 3, colour
    for count in range(1, 9):
        assert all(contrast_on_white(colour) >= 3 for colour in colours(count)), count


@pytest.mark.parametrize("kind", BLINDNESS)
def test_colours_are_told_apart_with_every_kind_of_colour_vision(kind: str) -> None:
    def seen_as(colour: Any) -> np.ndarray:
        return lab(np.clip(BLINDNESS[kind] @ linear(colour), 0, 1))

    for one, two in ((BASELINE_COLOUR, OTHER_COLOUR), (OTHER_COLOUR, ACCENT), (MATED_COLOUR, NON_MATED_COLOUR)):
        assert np.linalg.norm(seen_as(one) - seen_as(two)) > 12, (one, two)
    for count in range(2, 6):
        shades = [seen_as(colour) for colour in colours(count)]
        for one, two in itertools.pairwise(shades):
            assert np.linalg.norm(one - two) > 8, count


def test_words_say_what_is_seen(evaluation: dict[str, Any], drawn: tuple[Drawn, ...]) -> None:
    figure = next(f for f in drawn if f.name == "rates_by_group")
    record = next(t for t in evaluation["targets"] if t["target"] == 0.01)
    worst = max(record["groups"], key=lambda g: g["fnmr"])
    said = seen(figure.name, figure.title, figure.points)
    assert f"({worst['name']})." in said.partition("fnmr: ")[2]
    words = {f.name: seen(f.name, f.title, f.points) for f in drawn}
    assert "median score about" in words["distributions_by_group"]
    assert not [name for name, text in words.items() if not any(c.isdigit() for c in text.removeprefix(name))]
    assert f"sim, {worst['name']}: FMR " in words["operating_points"]
    meet = re.search(r"all groups: rates meet at about ([\d.]+)%", words["det"])
    assert float(meet.group(1)) / 100 == pytest.approx(evaluation["overall"]["eer"]["value"], abs=0.02)


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
