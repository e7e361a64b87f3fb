"""How many people a group needs: against simulated populations, and against evaluations of them."""

from statistics import NormalDist

import numpy as np
import pytest

from frbias.core.foundation.errors import UsageError
from frbias.core.foundation.files import write_json
from frbias.core.stages.plan import plan_sizes
from frbias.core.stages.requests.plan import PlanRequest
from frbias.core.verification.evaluation import evaluate_embeddings
from frbias.core.verification.measures.fairness import garbe_values
from frbias.core.verification.sizing import error_correlation, garbe_range, people_for, planned_group

STATED = 0.15
"""Agreement that the module states."""


def simulated_fnmr(people: int, images: int, fnmr: float, mated: float, seed: int) -> float:
    """FNMR of one population whose Gaussian scores correlate as planned, at the known threshold."""
    rng = np.random.default_rng([seed, 1])
    own = np.sqrt(mated) * rng.normal(size=(people, 1))
    scores = own + np.sqrt(1 - mated) * rng.normal(size=(people, images * (images - 1) // 2))
    return float((scores < NormalDist().inv_cdf(fnmr)).mean())


def simulated_fmr(people: int, images: int, fmr: float, person: float, seed: int) -> float:
    """FMR of one population, likewise."""
    rng = np.random.default_rng([seed, 2])
    effect = rng.normal(size=people)
    one, two = np.triu_indices(people, k=1)
    shared = np.sqrt(person) * (effect[one] + effect[two])
    scores = shared[:, None] + np.sqrt(1 - 2 * person) * rng.normal(size=(len(one), images**2))
    return float((scores >= NormalDist().inv_cdf(1 - fmr)).mean())


def simulated_rates(people: int, images: int, fmr: float, fnmr: float, seed: int) -> list[float]:
    return [simulated_fmr(people, images, fmr, 0.1, seed), simulated_fnmr(people, images, fnmr, 0.3, seed)]


@pytest.mark.parametrize(
    ("people", "images", "fmr", "fnmr"), [(60, 3, 0.01, 0.1), (40, 4, 0.03, 0.3), (90, 2, 0.003, 0.05)]
)
def test_widths_agree_with_simulated_populations(people: int, images: int, fmr: float, fnmr: float) -> None:
    group = planned_group("g", fmr, fnmr, images, mated=0.3, person=0.1)
    seen = np.array([simulated_rates(people, images, fmr, fnmr, seed) for seed in range(400)])
    spread = np.diff(np.quantile(seen, [0.025, 0.975], axis=0), axis=0)[0] / 2
    assert spread[0] == pytest.approx(group.fmr_half_width(people, 0.95), rel=STATED)
    assert spread[1] == pytest.approx(group.fnmr_half_width(people, 0.95), rel=STATED)


def test_garbe_agrees_with_simulated_populations() -> None:
    people, rates = 60, ((0.01, 0.1), (0.02, 0.2), (0.01, 0.1))
    groups = tuple(planned_group(str(k), f, n, 3, mated=0.3, person=0.1) for k, (f, n) in enumerate(rates))
    seen = np.array(
        [[simulated_rates(people, 3, f, n, 1000 * k + seed) for k, (f, n) in enumerate(rates)] for seed in range(400)]
    )
    measured = np.quantile(garbe_values(seen[..., 0], seen[..., 1]), [0.025, 0.975])
    low, high = garbe_range(groups, people, alpha=0.5, confidence=0.95)
    assert high - low == pytest.approx(measured[1] - measured[0], rel=STATED)
    assert [low, high] == pytest.approx(measured, abs=STATED * (high - low))


def test_a_change_is_seen_as_often_as_it_says() -> None:
    """Paired differences of simulated recognisers, tested at the size at which the change is called visible."""
    fnmr, people, images, power = 0.2, 150, 3, 0.8
    group = planned_group("g", 0.01, fnmr, images, mated=0.3, person=0.1)
    change = group.visible_change(people, confidence=0.95, power=power, pairing=0.0)
    other = planned_group("g", 0.01, fnmr - change, images, mated=0.3, person=0.1)
    seen = []
    for seed in range(500):
        first = simulated_fnmr(people, images, fnmr, 0.3, 2 * seed)
        second = simulated_fnmr(people, images, fnmr - change, 0.3, 2 * seed + 1)
        error = np.sqrt(
            fnmr * (1 - fnmr) / group.effective_mated(people)
            + other.fnmr * (1 - other.fnmr) / other.effective_mated(people)
        )
        seen.append((first - second) / error > 1.96)
    assert np.mean(seen) == pytest.approx(power, abs=0.06)
    assert group.visible_change(people, confidence=0.95, power=power, pairing=0.5) < change


def test_an_evaluation_tells_how_wide_a_larger_one_will_be(tmp_path) -> None:
    """Correlations from the bootstrap of 40 people, thresholds set from the data: intervals of 120 people."""
    options = {"groups": "0-29,30+", "targets": (0.02,), "curves": False}

    def population(people: int, seed: int):
        rng = np.random.default_rng(seed)
        who = np.repeat(np.arange(2 * people), 3)
        ease = rng.uniform(0.6, 1.4, size=(2 * people, 1))
        vectors = (rng.normal(size=(2 * people, 12)) + 0.5)[who] + ease[who] * rng.normal(size=(len(who), 12))
        return vectors.astype(np.float32), who, np.where(who < people, 20.0, 40.0)

    planned = []
    for seed in range(3):
        pilot = evaluate_embeddings(*population(40, 900 + seed), bootstrap=400, **options)
        write_json(tmp_path / "evaluation.json", pilot.to_json())
        found = plan_sizes(PlanRequest(like=tmp_path, fmr=0.02, people=120))
        planned.append([[one.widths[kind] for kind in ("fmr", "fnmr")] for one in found.groups])
    larger = evaluate_embeddings(*population(120, 7), bootstrap=400, **options).at(0.02)
    drawn = [[g.fmr.bootstrap, g.fnmr.bootstrap] for g in larger.groups]
    widths = np.array([[(i.high - i.low) / 2 for i in row] for row in drawn])
    assert np.mean(planned, axis=0).mean(axis=0) == pytest.approx(widths.mean(axis=0), rel=0.25)


def test_needed_people_are_the_fewest() -> None:
    request = PlanRequest(groups="0-19,20+", fmr=0.01, fnmr=(0.2, 0.1))
    young, _old = plan_sizes(request).groups
    group, people = young.group, young.people
    assert (
        group.fnmr_half_width(people["fnmr"], 0.95)
        <= request.fnmr_within
        < group.fnmr_half_width(people["fnmr"] - 1, 0.95)
    )
    fine = request.fmr_within * group.fmr
    assert group.fmr_half_width(people["fmr"], 0.95) <= fine < group.fmr_half_width(people["fmr"] - 1, 0.95)
    assert people["thirty_false_matches"] == people_for(lambda n: 0.01 * 16 * n * (n - 1) / 2 >= 30) == 20
    none = plan_sizes(PlanRequest(groups="0-19,20+", mated_correlation=0.0, fnmr=(0.2, 0.1))).groups[0].people["fnmr"]
    assert none < people["fnmr"]


def test_error_correlation_is_that_of_the_bivariate_normal() -> None:
    from scipy.stats import multivariate_normal

    for rate, scores in ((0.1, 0.3), (0.001, 0.2), (0.3, 0.9)):
        z = NormalDist().inv_cdf(rate)
        both = multivariate_normal.cdf([z, z], cov=[[1, scores], [scores, 1]])
        assert error_correlation(rate, scores) == pytest.approx((both - rate**2) / (rate * (1 - rate)), rel=1e-3)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"groups": "5-3"}, "upside down"),
        ({"fnmr": (0.1, 0.2)}, "2 values for 5 groups"),
        ({"fmr": 1.5}, "no share"),
        ({"change": 0.2}, "cannot fall"),
        ({"images": 1}, "--images"),
    ],
)
def test_what_cannot_be_planned_is_refused(wrong, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        PlanRequest(**wrong)
