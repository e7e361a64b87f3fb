"""Documents are read back as they were written, and what is wrong in one is named with its place."""

import copy
import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from populations import population

from frbias.cli import evaluation_view
from frbias.cli.numerals import percent
from frbias.core.foundation.errors import BadInputError
from frbias.core.foundation.files import write_json
from frbias.core.reporting.documents import checked, read_document
from frbias.core.reporting.figures import evaluation as figures
from frbias.core.reporting.figures.scales import Scales
from frbias.core.reporting.lanes import Side, rate_lanes
from frbias.core.reporting.tracing import resolve
from frbias.core.verification.evaluation import evaluate_embeddings
from frbias.core.verification.groups import group_by_protocol
from frbias.core.verification.paired import Comparison, compare_embeddings
from frbias.core.verification.ratetable import rates_csv
from frbias.core.verification.records import Record, from_json
from frbias.core.verification.results import Evaluation


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    matrix, who, ages = population(images=260, subjects=30)
    other, _, _ = population(images=260, subjects=30, noise=0.9)
    return compare_embeddings(matrix, other, who, ages, groups="0-14,15+", targets=(0.1, 0.02), bootstrap=150)


@pytest.fixture(scope="module")
def document(comparison: Comparison) -> dict[str, Any]:
    return json.loads(json.dumps(comparison.to_json(), allow_nan=False))


def test_a_comparison_is_read_back_as_it_was_written(comparison: Comparison, document: dict[str, Any]) -> None:
    again = Comparison.from_json(document)
    assert again.to_json() == document
    assert again.at(0.1) == comparison.at(0.1)
    assert again.baseline.at(0.1) == comparison.baseline.at(0.1)
    assert again.baseline.replicates is None


@pytest.mark.parametrize("protocol", ["thesis", "decades"])
def test_an_evaluation_of_any_shape_is_read_back(protocol: str) -> None:
    matrix, who, ages = population(images=260, subjects=30)
    groups = group_by_protocol(ages, protocol)
    for options in ({"bootstrap": 0, "curves": False}, {"bootstrap": 120, "drop_duplicates": 0.99}):
        done = evaluate_embeddings(matrix, who, ages, groups=groups, targets=(0.1, 1e-9), **options)
        written = json.loads(json.dumps(done.to_json()))
        assert Evaluation.from_json(written).to_json() == written
        assert Evaluation.from_json(written).at(0.1) == done.at(0.1)


@pytest.mark.parametrize(
    ("version", "words"), [(99, "update frbias"), (1, "make it again"), (None, "make it again"), ("2", "make it again")]
)
def test_another_schema_version_is_refused(document: dict[str, Any], tmp_path: Path, version: Any, words: str) -> None:
    for part, name in ((document, "comparison"), (document["other"], "evaluation")):
        write_json(tmp_path / "d.json", {**part, "schema_version": version})
        with pytest.raises(BadInputError, match=f"{name} has schema version {version}.*{words}") as caught:
            read_document(tmp_path / "d.json")
        assert "\n" not in str(caught.value)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Places of a document: every member, and of every list the first entry."""
    found = [path] if path else []
    if isinstance(value, dict):
        return found + [p for key in value for p in places(value[key], (*path, key))]
    return found + (places(value[0], (*path, 0)) if isinstance(value, list) and value else [])


FREE = {"provenance", "definitions", "schema", "schema_version", "self_check"}
DERIVED = {"tar", "far", "frr", "failure_to_acquire", "acquisition"}


@pytest.mark.parametrize("part", ["comparison", "evaluation"])
def test_every_member_of_the_wrong_type_is_named(document: dict[str, Any], part: str) -> None:
    """A member replaced by something that nothing can be; those that the reader works out itself are left alone."""
    thin = _thin(document["other"])
    kind: Any = Evaluation
    if part == "comparison":
        bare = {k: v for k, v in thin.items() if k != "curves"} | {"targets": thin["targets"][:1]}
        thin, kind = {**document, "baseline": bare, "other": bare}, Comparison
    checked = 0
    for path in places({k: v for k, v in thin.items() if k not in ("baseline", "other")}):
        if set(path) & FREE or path[-1] in DERIVED or _repeated(path):
            continue
        broken = copy.copy(thin)
        inner: Any = broken
        for key in path[:-1]:
            inner[key] = copy.copy(inner[key])
            inner = inner[key]
        inner[path[-1]] = {"": [None]} if not isinstance(inner[path[-1]], dict) else [3]
        with pytest.raises(BadInputError) as caught:
            kind.from_json(broken)
        dotted = ".".join(map(str, path))
        assert str(caught.value).startswith(f"{dotted}"), (dotted, str(caught.value))
        assert "expected" in str(caught.value), dotted
        checked += 1
    assert checked > 250


def _thin(evaluation: dict[str, Any]) -> dict[str, Any]:
    """The evaluation with the first entries of its curves."""
    curves = json.loads(json.dumps(evaluation["curves"]), object_hook=lambda o: {k: _first(v) for k, v in o.items()})
    return {**evaluation, "curves": curves}


def _first(value: Any) -> Any:
    return value[:2] if isinstance(value, list) else value


def _repeated(path: tuple[Any, ...]) -> bool:
    """Measures that an evaluation's target repeats from its ``measures`` for easy reading."""
    return len(path) == 3 and path[0] == "targets" and path[2] in ("garbe", "gini_fmr", "gini_fnmr", "fdr", "ir")


def test_a_missing_member_is_named(document: dict[str, Any]) -> None:
    broken = copy.deepcopy(document)
    del broken["other"]["targets"][1]["groups"][0]["fnmr_interval"]["high"]
    with pytest.raises(BadInputError, match=r"other\.targets\.1\.groups\.0\.fnmr_interval\.high is missing"):
        Comparison.from_json(broken)


def test_numbers_are_not_truth_values_and_not_infinite() -> None:
    assert from_json(float, 3) == 3.0
    for value in (True, "3", float("nan"), float("inf"), None, [3]):
        with pytest.raises(BadInputError, match="expected a number"):
            from_json(float, value, "x")
    with pytest.raises(BadInputError, match="expected a list of 2"):
        from_json(tuple[float, float], [1.0], "x")
    with pytest.raises(BadInputError, match=r"x\.1: expected text"):
        from_json(tuple[str | None, ...], [None, 3], "x")


def test_the_interval_that_is_shown_is_the_same_everywhere(capsys: pytest.CaptureFixture[str]) -> None:
    """A group without errors has Wilson's interval, one with errors the bootstrap's: in every place that shows it."""
    matrix, who, ages = population(images=260, subjects=30)
    far = matrix.copy()
    far[ages >= 30] += (
        40 * (population(images=30, subjects=30, seed=3)[0][who] / 3)[ages >= 30]
    )  # nobody older is missed
    done = evaluate_embeddings(far, who, ages, groups="0-14,15-29,30+", targets=(0.1,), bootstrap=150, confidence=0.9)
    document = json.loads(json.dumps(done.to_json()))
    record = document["targets"][0]
    old = record["groups"][2]
    assert (old["false_non_matches"], old["fnmr_interval"]["method"]) == (0, "wilson")
    assert old["fnmr_bootstrap"]["high"] == 0 < old["fnmr_interval"]["high"]
    assert record["groups"][0]["fnmr_interval"]["method"] == "subject bootstrap"
    assert record["groups"][0]["fnmr_interval"]["low"] == record["groups"][0]["fnmr_bootstrap"]["low"]

    rows = list(csv.DictReader(io.StringIO(rates_csv(done))))
    sketch = figures.rates_by_group(document, 0.1, Scales.of([document], 0.1))
    drawn = {(row[0], row[1]): row[5:] for row in sketch.points.rows}
    assert "90% interval" in sketch.caption
    evaluation_view.show_evaluation(document)
    printed = capsys.readouterr().out
    assert "90% interval" in printed
    assert "95% interval" not in printed
    for rate in ("fmr", "fnmr"):
        lanes = rate_lanes(document, [Side("", "b", 0)], rate, 0)
        for i, group in enumerate(record["groups"]):
            shown = group[f"{rate}_interval"]
            assert [float(rows[i][f"{rate}_low"]), float(rows[i][f"{rate}_high"])] == [shown["low"], shown["high"]]
            assert rows[i][f"{rate}_interval"] == shown["method"]
            assert drawn[group["name"], rate] == (shown["low"], shown["high"], shown["method"])
            lane = lanes[i].lanes[0]
            assert (resolve(document, lane.low), resolve(document, lane.high)) == (shown["low"], shown["high"])
            low, high = (percent(shown[end]) for end in ("low", "high"))
            assert f"{low[:-1]} .. {high}" in printed


def test_confidence_holds_in_the_curves() -> None:
    matrix, who, ages = population(images=260, subjects=30)
    for confidence in (0.8, 0.95):
        done = evaluate_embeddings(
            matrix, who, ages, groups="0-14,15+", targets=(0.1,), bootstrap=150, confidence=confidence
        )
        band = done.at(0.1).measures["garbe"].bootstrap
        assert done.curves is not None
        point = next(p for p in done.curves.fairness if p.target == 0.1)
        assert band is not None
        assert point.band is not None
        assert point.band["garbe"] == (band.low, band.high)
        assert band.confidence == confidence


def test_records_are_frozen() -> None:
    assert all(kind.__dataclass_params__.frozen for kind in Record.__subclasses__())  # type: ignore[attr-defined]


def test_what_is_said_twice_is_taken_from_what_was_checked(document: dict[str, Any]) -> None:
    changed = copy.deepcopy(document)
    changed["baseline"]["targets"][0]["garbe"] = []
    changed["baseline"]["targets"][0]["tar"] = "x"
    assert checked(changed, "comparison.json") == document
