"""The noise floor reproduces an independent simulation and moves as it should."""

import pytest

from frbias.core.verification.measures.noise import noise_floor

# within-group non-mated pairs of FG-NET and the median and 95th percentile of Gini(FMR) when all groups are equal
# (20 000 draws of independent comparisons, done elsewhere)
TABLE = {
    (68635, 57291, 10296, 3081, 1035, 105, 28): ((0.337, 0.476), (0.540, 0.775), (0.794, 0.919)),
    (68635, 57291, 24753, 2346): ((0.050, 0.118), (0.171, 0.389), (0.515, 0.738)),
    (251695, 2346): ((0.070, 0.208), (0.238, 1.000), (1.000, 1.000)),
}


@pytest.mark.parametrize("pairs", TABLE)
def test_reproduces_the_floor_of_fgnet(pairs: tuple[int, ...]) -> None:
    for fmr, (median, p95) in zip((1e-2, 1e-3, 1e-4), TABLE[pairs], strict=True):
        found = noise_floor(pairs, [100] * len(pairs), fmr=fmr, fnmr=0.1, draws=20_000, seed=1)
        assert found.floors["gini_fmr"].median == pytest.approx(median, abs=0.012)
        assert found.floors["gini_fmr"].p95 == pytest.approx(p95, abs=0.012)


def test_fewer_effective_comparisons_raise_the_floor() -> None:
    wide = noise_floor([10_000, 5_000], [500, 400], fmr=0.01, fnmr=0.1)
    narrow = noise_floor([1_000, 500], [50, 40], fmr=0.01, fnmr=0.1)
    assert narrow.floors["garbe"].median is not None
    assert wide.floors["garbe"].median is not None
    assert narrow.floors["garbe"].median > 2 * wide.floors["garbe"].median


def test_seeded_and_undefined_draws_are_counted() -> None:
    one, two = (noise_floor([100, 100], [50, 50], fmr=0.005, fnmr=0.1, seed=3) for _ in range(2))
    assert one == two
    assert one.floors["gini_fmr"].undefined == pytest.approx(0.995**200, abs=0.03)
    nothing = noise_floor([100, 100], [50, 50], fmr=0.0, fnmr=0.0)
    assert nothing.floors["garbe"].median is None
    assert nothing.floors["garbe"].to_json() == {"median": None, "p95": None, "undefined_share": 1.0}
