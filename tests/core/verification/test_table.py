"""The one table of measures: forms agree, and a new entry appears everywhere without another line of code."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from populations import population

from frbias.cli import comparison_view, evaluation_view
from frbias.core.verification.gates import failures, parse_gate
from frbias.core.verification.measures import fairness
from frbias.core.verification.measures.table import (
    ACCURACIES,
    MEASURES,
    Definition,
    GroupRates,
    all_measures,
    all_values,
    lower_is_better,
    measures_shown,
)
from frbias.core.verification.paired import Comparison, compare_embeddings

RATES = st.lists(st.integers(0, 40), min_size=2, max_size=6)


@settings(max_examples=200, deadline=None)
@given(RATES, st.randoms(use_true_random=False), st.sampled_from([0.0, 0.3, 1.0]))
def test_the_scalar_form_is_the_vectorised_form_of_one_row(counts: list[int], random: Any, alpha: float) -> None:
    """Also of several rows at once, and undefined exactly where the scalar form gives a reason."""
    fmr = np.array([counts, random.sample(counts, len(counts))]) / 200
    fnmr = np.array([random.sample(counts, len(counts)), counts]) / 100
    trials = np.array([random.sample(range(50, 500), len(counts)) for _ in range(2)])
    many = all_values(GroupRates(fmr, fnmr, alpha, 0.01, trials, trials))
    assert set(many) == set(MEASURES)
    for row in range(2):
        one = all_measures(fmr[row], fnmr[row], alpha=alpha, target=0.01, non_mated=trials[row], mated=trials[row])
        for name, found in one.items():
            if found.value is None:
                assert not np.isfinite(many[name][row]), name
                assert found.reason, name
            else:
                assert many[name][row] == pytest.approx(found.value, rel=1e-12, abs=1e-15), name


def test_equal_groups_reach_the_best_value_and_unequal_ones_move_towards_the_worst() -> None:
    trials = np.array([500, 500, 500])
    equal = all_measures([0.1] * 3, [0.2] * 3, alpha=0.5, target=0.1, non_mated=trials, mated=trials)
    unequal = all_measures([0.05, 0.1, 0.15], [0.1, 0.2, 0.3], alpha=0.5, target=0.1, non_mated=trials, mated=trials)
    for name, entry in MEASURES.items():
        one, two = equal[name].value, unequal[name].value
        assert one is not None, name
        assert two is not None, name
        if not name.endswith("_worst"):
            assert one == pytest.approx(entry.best, abs=1e-12), name
        assert (two > one) == entry.lower_is_fairer, name
        assert lower_is_better(name) == entry.lower_is_fairer


def test_what_needs_more_than_rates_is_left_out_without_it() -> None:
    found = all_measures([0.1, 0.2], [0.1, 0.2], alpha=0.5)
    assert set(MEASURES) - set(found) == {name for name, entry in MEASURES.items() if entry.needs}
    assert "inequity" not in found
    assert "mape_fmr" not in found


def test_a_group_without_errors_enters_with_its_one_sided_bound() -> None:
    trials = np.array([300, 1000])
    found = all_measures([0.0, 0.02], [0.1, 0.2], alpha=0.5, non_mated=trials, mated=trials)
    bound = 1 - 0.05 ** (1 / 300)
    expected = 0.02 / np.sqrt(bound * 0.02)
    assert found["fmr_max_over_geometric_mean"].reason == "geometric_mean_zero"
    assert found["fmr_max_over_geometric_mean_zero_adjusted"].value == pytest.approx(expected, rel=1e-12)
    other = 0.2 / np.sqrt(0.1 * 0.2)
    assert found["inequity"].value == pytest.approx(np.sqrt(expected * other), rel=1e-12)
    nothing = all_measures([0.0, 0.0], [0.1, 0.2], alpha=0.5, non_mated=trials, mated=trials)
    bounds = fairness.zero_adjusted(np.zeros(2), trials)
    assert nothing["fmr_max_over_geometric_mean_zero_adjusted"].value == pytest.approx(
        bounds.max() / np.sqrt(bounds.prod()), rel=1e-12
    )


def test_accuracies_have_the_direction_of_their_kind() -> None:
    assert {name: a.lower_is_better for name, a in ACCURACIES.items()} == {
        "fnmr": True, "tar": False, "eer": True, "d_prime": False,
    }  # fmt: skip


def test_a_noise_floor_of_a_measure_that_grows_with_fairness_is_refused() -> None:
    with pytest.raises(ValueError, match="lower has to be fairer"):
        Definition("m", "m", 1, 0, "", "", lambda r: r.fmr, shown=frozenset({"curve"}))


@pytest.fixture(params=[(0.0, 1.0), (1.0, 0.0)], ids=["lower", "higher"])
def made_up(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Definition:
    """The mean of the groups' FNMR, or one minus it, under a name that nothing else knows."""
    best, worst = request.param

    def values(rates: GroupRates) -> Any:
        return abs(rates.fnmr.mean(axis=-1) - best)

    shown = {"headline", "terminal", "paired"} | ({"curve"} if best == 0 else set())
    entry = Definition("made_up", "made-up mean", best, worst, "mean FNMR", "nobody", values, shown=frozenset(shown))  # type: ignore[arg-type]
    monkeypatch.setitem(MEASURES, entry.name, entry)
    return entry


def test_a_new_measure_is_one_entry(made_up: Definition, capsys: pytest.CaptureFixture[str]) -> None:
    matrix, who, ages = population(images=300, subjects=40, noise=1.4)
    better, _, _ = population(images=300, subjects=40, noise=1.0)
    found = compare_embeddings(matrix, better, who, ages, groups="0-14,15+", targets=(0.1,), bootstrap=200)
    document = json.loads(json.dumps(found.to_json(), allow_nan=False))
    record = document["other"]["targets"][0]
    mean = np.mean([group["fnmr"] for group in record["groups"]])
    value = mean if made_up.best == 0 else 1 - mean
    assert record["made_up"] == record["measures"]["made_up"]["value"] == pytest.approx(value)
    assert record["measures"]["made_up"]["direction"] == made_up.direction
    band = record["measures"]["made_up"]["bootstrap"]
    assert band["low"] <= value <= band["high"]
    assert "made-up mean: mean FNMR" in document["other"]["definitions"]["made_up"]

    change = document["targets"][0]["made_up"]
    assert change["verdict"] == "better"
    assert (change["difference"] < 0) == made_up.lower_is_fairer
    assert change["improved_share"] == 1

    if "curve" in made_up.shown:
        assert record["noise_floor"]["clustered"]["made_up"]["p95"] > 0
        point = next(p for p in document["other"]["curves"]["fairness"] if p["target"] == 0.1)
        assert point["made_up"] == record["made_up"]
        assert point["band"]["made_up"][0] == band["low"]

    assert Comparison.from_json(document).to_json() == found.to_json()
    assert failures([parse_gate("made_up@0.1 >= 0")], document)[0].startswith("'made_up@0.1 >= 0': made_up")
    evaluation_view.show_evaluation(document["other"])
    comparison_view.show_comparison(document)
    shown = capsys.readouterr().out
    assert shown.count("made-up mean") == 2


def test_every_place_shows_something() -> None:
    for place in ("headline", "terminal", "paired", "curve"):
        assert len(measures_shown(place)) >= 3  # type: ignore[arg-type]
