"""The verdict on constructed populations: every outcome from data whose truth is known, and the rules one by one."""

import json
from statistics import NormalDist
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from frbias.cli import comparison_view
from frbias.core.foundation.errors import UsageError
from frbias.core.reporting.verdict import TONES
from frbias.core.reporting.verdict import judge as judge_document
from frbias.core.verification import verdict as rules
from frbias.core.verification.assembling import EvaluationOptions, evaluate
from frbias.core.verification.differences import Difference, GroupDifferences, PairedAtTarget
from frbias.core.verification.gates import check_gate, failures, parse_gate
from frbias.core.verification.measures.table import AT_THRESHOLD, MEASURES, WITHOUT_THRESHOLD, lower_is_better
from frbias.core.verification.paired import Comparison, compare_evaluations
from frbias.core.verification.results import Evaluation
from frbias.core.verification.scores.scoresets import comparisons_from_scores

NORMAL = NormalDist()
GROUPS = ("0-12", "13-19", "20-39", "40-59")
EVEN = (0.01, 0.01, 0.01, 0.01)
# FNMR at FMR 1 % of SFace on FG-NET and of recognisers fine-tuned from it on renders (facts measured on photographs)
SFACE = (0.346, 0.246, 0.112, 0.013)
HARMED = (0.419, 0.338, 0.220, 0.052)
HALF_AND_HALF = (0.321, 0.174, 0.077, 0.013)


def scored(fnmr: tuple[float, ...], fmr: tuple[float, ...], *, people: int = 60, draws: int = 250) -> Evaluation:
    """Scores of ``people`` in every group, so drawn that the groups have these rates at FMR 1 % on average.

    Non-mated scores are normal around a mean that gives the group its FMR at the threshold, mated ones around a mean
    that gives it its FNMR, with an effect of the subject. The same people, pairs and noise whatever the rates.
    """
    rng = np.random.default_rng(8)
    tau = NORMAL.inv_cdf(0.99)
    scores, mated, groups, first, second = [], [], [], [], []
    for g, name in enumerate(GROUPS[: len(fnmr)]):
        who = np.array([f"{name}:{k}" for k in range(people)])
        i, j = (x.repeat(3) for x in np.triu_indices(people, k=1))
        scores.append(rng.normal(size=len(i)) + tau - NORMAL.inv_cdf(1 - fmr[g]))
        own = np.arange(people).repeat(8)
        effect = 0.5 * rng.normal(size=people)[own] + np.sqrt(0.75) * rng.normal(size=len(own))
        scores.append(effect + tau - NORMAL.inv_cdf(fnmr[g]))
        mated += [np.zeros(len(i)), np.ones(len(own))]
        groups += [[name] * (len(i) + len(own))]
        first += [who[i], who[own]]
        second += [who[j], who[own]]
    found, grouping = comparisons_from_scores(
        np.concatenate(scores),
        np.concatenate(mated),
        groups=np.concatenate(groups),
        subject_ref=np.concatenate(first),
        subject_probe=np.concatenate(second),
    )
    options = EvaluationOptions(targets=(0.01,), replicates=draws, curves=False)
    return evaluate(found, grouping, options, name="scores")


def compared(
    before: tuple[float, ...], after: tuple[float, ...], fmr: tuple[tuple[float, ...], ...] = (EVEN, EVEN), **sizes: int
) -> Comparison:
    return compare_evaluations(scored(before, fmr[0], **sizes), scored(after, fmr[1], **sizes))


CASES: dict[str, tuple[str, tuple[Any, ...], dict[str, int]]] = {
    "worst groups gain": ("fairer", ((0.35, 0.25, 0.12, 0.08), (0.16, 0.14, 0.11, 0.08)), {}),
    "the best group pays": ("fairer_at_a_price", ((0.35, 0.25, 0.12, 0.05), (0.30, 0.25, 0.20, 0.14)), {}),
    "fine-tuned on renders": ("levelling_down", (SFACE, HARMED), {}),
    "the worst group loses": ("less_fair", ((0.2, 0.2, 0.2, 0.2), (0.32, 0.2, 0.2, 0.14)), {}),
    "half and half with the start": ("better_for_all", (SFACE, HALF_AND_HALF), {}),
    "the others gain more": ("better_for_all", ((0.2, 0.15, 0.12, 0.1), (0.16, 0.11, 0.07, 0.05)), {}),
    "all gain, one group is taken for others": (
        "better_at_a_price",
        (SFACE, HALF_AND_HALF, (EVEN, (0.016, 0.008, 0.008, 0.008))),
        {},
    ),
    "a third more errors everywhere": ("worse_for_all", ((0.24, 0.18, 0.12, 0.06), (0.32, 0.24, 0.16, 0.08)), {}),
    "nothing": ("no_clear_change", (SFACE, SFACE), {}),
    "few errors": ("undecided", (SFACE, HARMED), {"people": 10}),
    "no bootstrap": ("undecided", (SFACE, HARMED), {"draws": 0}),
}


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest) -> tuple[str, Comparison]:
    outcome, rates, sizes = CASES[request.param]
    return outcome, compared(*rates, **sizes)


def test_every_outcome_comes_from_data_of_that_kind(case: tuple[str, Comparison]) -> None:
    outcome, found = case
    assert found.verdict.outcome == outcome, (found.verdict.sentence, found.verdict.reasons)


def test_the_verdict_is_the_same_everywhere(case: tuple[str, Comparison], capsys: pytest.CaptureFixture[str]) -> None:
    outcome, found = case
    document = json.loads(json.dumps(found.to_json()))
    assert document["verdict"] == document["verdicts"][0]
    assert document["verdict"]["outcome"] == outcome
    shown = judge_document(document, held_out=True)
    assert (shown.headline, shown.tone) == (found.verdict.sentence, TONES[found.verdict.outcome])
    comparison_view.show_comparison(document, brief=True)
    printed = capsys.readouterr().out
    lines = printed.splitlines()
    order = [
        next(k for k, line in enumerate(lines) if line.startswith(start))
        for start in ("scores against", found.verdict.sentence[:30], "EER ", "d' ")
    ]
    assert order == sorted(order)
    assert "GARBE 0" not in printed
    assert (len(failures([parse_gate(f"verdict == {outcome}")], document)), failures([parse_gate(f"verdict@1% != {outcome}")], document)) == (1, [])  # fmt: skip


def test_all_outcomes_are_shown() -> None:
    assert {outcome for outcome, _, _ in CASES.values()} == set(rules.OUTCOMES) == set(TONES)


def test_levelling_down_is_said_although_garbe_falls_clearly() -> None:
    found = compared(SFACE, HARMED)
    at = found.at(0.01)
    assert at.differences["garbe"].verdict == "better"
    assert all((group.fnmr.value or 0) > 0 for group in at.groups)
    for name in ("fnmr", "fdr", "fnmr_worst", "fdr_range_fnmr"):
        assert at.differences[name].verdict != "better", name
    assert {name: d.verdict for name, d in found.overall.items()} == {"eer": "worse", "d_prime": "worse"}
    assert "every group is missed more often" in found.verdict.sentence
    numbers = {(n.name, n.group): n for n in found.verdict.numbers}
    assert numbers["garbe", None].judgement == "better"
    assert numbers["fnmr", "0-12"].difference == pytest.approx(at.groups[0].fnmr.value)
    assert {group for name, group in numbers if name == "fmr" and group} == set(GROUPS)


def test_without_the_look_at_accuracy_it_would_be_called_fairer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rule is what stands between the case and a praise."""
    monkeypatch.setattr(rules._Case, "served_worse", False)
    assert compared(SFACE, HARMED).verdict.outcome == "fairer_at_a_price"


def judged(
    words: dict[str, str] | None = None,
    fnmr: tuple[tuple[float, str], ...] = ((0.0, "no clear difference"),) * 2,
    fmr: tuple[tuple[float, str], ...] = ((0.01, "no clear difference"),) * 2,
    errors: int = 100,
    values: dict[str, float] | None = None,
) -> rules.Verdict:
    """The verdict on differences that are given as judgements; ``fmr`` has the other's rate of the groups."""

    def change(name: str, value: float = 0.0, other: float = 0.1, word: str = "") -> Difference:
        direction = "lower is better" if name in ("fmr",) or lower_is_better(name) else "higher is better"
        given: Any = word or (words or {}).get(name, "no clear difference")
        return Difference(0.1, other, (values or {}).get(name, value), direction, None, None, given)  # type: ignore[arg-type]

    names = (*MEASURES, *AT_THRESHOLD)
    groups = tuple(
        GroupDifferences(f"group {k}", change("fmr", 0.0, a[0], a[1]), change("fnmr", b[0], 0.1, b[1]))
        for k, (a, b) in enumerate(zip(fmr, fnmr, strict=True))
    )
    at = PairedAtTarget(0.01, {name: change(name) for name in names}, groups, None)
    counts = SimpleNamespace(fmr=SimpleNamespace(errors=errors), fnmr=SimpleNamespace(errors=errors))
    models: list[Any] = [SimpleNamespace(name=n, at=lambda target: counts) for n in ("one", "two")]
    return rules.judge(models[0], models[1], {name: change(name) for name in WITHOUT_THRESHOLD}, at)


UP, DOWN, UNCLEAR = (0.1, "worse"), (-0.1, "better"), "no clear difference"


@pytest.mark.parametrize(
    ("words", "fnmr", "outcome"),
    [
        ({"garbe": "better"}, (DOWN, (0.0, UNCLEAR)), "fairer"),
        ({"garbe": "better", "fnmr": "better"}, (DOWN, DOWN), "fairer"),
        ({"garbe": "better", "fnmr": "worse"}, (UP, UP), "levelling_down"),
        ({"garbe": "better", "fnmr": "worse"}, (UP, (0.01, UNCLEAR)), "levelling_down"),
        ({"gini_fnmr": "better", "fnmr": "worse"}, (UP, (0.0, UNCLEAR)), "levelling_down"),
        ({"garbe": "better", "fnmr": "worse"}, (UP, (-0.01, UNCLEAR)), "fairer_at_a_price"),
        ({"garbe": "better"}, (UP, DOWN), "fairer_at_a_price"),
        ({"garbe": "better", "eer": "worse"}, (DOWN, DOWN), "fairer_at_a_price"),
        ({"garbe": "better", "d_prime": "worse"}, (DOWN, DOWN), "fairer_at_a_price"),
        ({"garbe": "better", "fdr": "worse"}, (DOWN, DOWN), "fairer_at_a_price"),
        ({"garbe": "worse"}, (DOWN, UP), "less_fair"),
        ({"garbe": "worse", "fnmr": "better"}, (DOWN, DOWN), "better_for_all"),
        ({"garbe": "worse", "fnmr": "better", "fdr_range_fnmr": "worse"}, (DOWN, DOWN), "less_fair"),
        ({"fnmr": "better"}, (DOWN, (0.0, UNCLEAR)), "better_for_all"),
        ({"fnmr": "better"}, (DOWN, (0.01, UNCLEAR)), "no_clear_change"),
        ({"fnmr": "worse"}, (UP, UP), "worse_for_all"),
        ({"fnmr": "worse", "fdr": "worse"}, (UP, UP), "worse_for_all"),
        ({"fdr": "worse"}, (UP, DOWN), "less_fair"),
        ({"fdr": "better"}, (DOWN, (0.01, UNCLEAR)), "fairer"),
        ({"fdr": "better"}, (DOWN, UP), "no_clear_change"),
        ({"garbe": "no interval"}, (DOWN, UP), "undecided"),
        ({"garbe": "better", "fnmr": "no interval"}, (DOWN, DOWN), "undecided"),
        ({}, (UP, DOWN), "no_clear_change"),
    ],
)
def test_the_rules(words: dict[str, str], fnmr: tuple[tuple[float, str], ...], outcome: str) -> None:
    assert judged(words, fnmr).outcome == outcome


def test_the_sentence_is_true_of_groups_that_did_not_move() -> None:
    words = {"garbe": "better", "fnmr": "worse"}
    assert "because every group is missed more often than" in judged(words, (UP, UP)).sentence
    still = judged(words, (UP, (0.0, UNCLEAR))).sentence
    assert "because no group is missed less often and all together are missed more often than" in still
    better = judged({"fnmr": "better"}, (DOWN, (0.0, UNCLEAR))).sentence
    assert better.startswith("two is better than one for all: no group is missed more often and all together")


def garbe_fell(value: float, words: dict[str, str], fnmr: tuple[tuple[float, str], ...]) -> rules.Verdict:
    """The verdict where GARBE, 0.1 before, changed by ``value`` and its interval holds 0."""
    return judged({**words, "garbe": UNCLEAR}, fnmr, values={"garbe": value})


def test_a_visible_fall_of_garbe_is_levelling_down_however_wide_its_interval() -> None:
    worse = {"fnmr": "worse"}
    found = garbe_fell(-0.02, worse, (UP, UP))
    assert (found.outcome, found.reasons[1]) == ("levelling_down", "GARBE fell, and its interval holds 0")
    assert garbe_fell(-0.0101, worse, (UP, (0.0, UNCLEAR))).outcome == "levelling_down"
    assert garbe_fell(-0.009, worse, (UP, UP)).outcome == "worse_for_all"
    assert garbe_fell(0.02, worse, (UP, UP)).outcome == "worse_for_all"
    assert garbe_fell(-0.02, worse, (UP, (-0.01, UNCLEAR))).outcome == "no_clear_change"
    assert garbe_fell(-0.02, {}, (UP, UP)).outcome == "no_clear_change"


def test_accuracy_is_named_where_fairness_did_not_change() -> None:
    assert judged().sentence == "No clear change in fairness between two and one."
    lost = judged({"eer": "worse", "d_prime": "worse"}, (UP, (-0.1, UNCLEAR)))
    assert lost.outcome == "no_clear_change"
    assert lost.sentence == (
        "No clear change in fairness between two and one, but EER, d' and FNMR of group 0 got worse with two."
    )
    won = judged({"eer": "better"}).sentence
    assert won == "No clear change in fairness between two and one; EER got better with two."


def test_the_price_is_named() -> None:
    found = judged({"garbe": "better", "eer": "worse"}, (UP, DOWN), ((0.02, "worse"), (0.009, "worse")))
    assert found.outcome == "fairer_at_a_price"
    assert found.sentence == (
        "two is fairer than one, at a price: EER, FNMR of group 0 and FMR of group 0 (above the target) got worse."
    )


def test_a_higher_fmr_counts_above_the_target_only() -> None:
    assert judged({"garbe": "better"}, fmr=((0.009, "worse"), (0.01, UNCLEAR))).outcome == "fairer"
    assert judged({"garbe": "better"}, fmr=((0.011, "worse"), (0.01, UNCLEAR))).outcome == "fairer_at_a_price"


def test_better_at_a_price_names_the_group_that_is_matched_falsely_more_often() -> None:
    found = judged({"fnmr": "better"}, (DOWN, DOWN), ((0.01, UNCLEAR), (0.02, "worse")))
    assert found.outcome == "better_at_a_price"
    assert found.sentence == (
        "With two every group is missed less often than with one, but FMR of group 1 (above the target) got worse; "
        "fairness shows no clear change."
    )


def test_thirty_errors_are_enough() -> None:
    assert judged({"garbe": "better"}, errors=30).outcome == "fairer"
    assert judged({"garbe": "better"}, errors=29).outcome == "undecided"


def test_gates_about_a_verdict() -> None:
    with pytest.raises(UsageError, match="'fair' is no verdict; use fairer, fairer_at_a_price"):
        parse_gate("verdict == fair")
    gate = parse_gate("verdict@1e-2 == levelling_down")
    with pytest.raises(UsageError, match="needs a comparison; give --baseline"):
        check_gate(gate, (0.01,), None, paired=False)
    with pytest.raises(UsageError, match="not among --at-fmr"):
        check_gate(gate, (0.1,), None, paired=True)
    check_gate(gate, (0.01,), None, paired=True)
    with pytest.raises(UsageError, match="needs a comparison"):
        failures([gate], {"schema": "frbias.evaluation"})
