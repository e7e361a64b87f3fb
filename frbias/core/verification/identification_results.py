"""What searches of a gallery say: rank-1, CMC, FNIR at FPIR, per group of the probe and per age gap, with intervals.

* Groups are of the **probe**. Every group is judged at the one threshold that all non-mated searches set, and its own FPIR
  there is shown beside its FNIR.
* **Age gaps**: every pair of a probe and one image of its subject in the gallery is a search in which that image is the
  only one of its subject: it counts for the gap between the two, whatever other images of the subject there are.
* Intervals draw **subjects** with replacement: all searches of a subject drawn w times count w times, the gallery stays as
  it is, the threshold is set anew in every replicate.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from frbias.core.foundation.errors import UsageError
from frbias.core.verification.ages import GAP_CLASSES
from frbias.core.verification.bootstrap import draw_weights, percentile_interval
from frbias.core.verification.groups import Grouping
from frbias.core.verification.identification import Searches, cumulative_match
from frbias.core.verification.measures.intervals import Interval, flags, wilson
from frbias.core.verification.measures.rates import check_target, error_budget, threshold_at_fmr

Float = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

SCHEMA, SCHEMA_VERSION = "frbias.identification", 1
DEFAULT_TARGETS = (0.1, 0.01)


@dataclass(frozen=True)
class IdentificationOptions:
    """How searches are judged.

    Attributes:
        targets: Target FPIRs, fractions between 0 and 1.
        ranks: Length of the CMC.
        replicates: Bootstrap replicates; 0: none.
        seed: Seed of the draws.
        confidence: Coverage of intervals.
    """

    targets: tuple[float, ...] = DEFAULT_TARGETS
    ranks: int = 20
    replicates: int = 1000
    seed: int = 0
    confidence: float = 0.95


@dataclass(frozen=True)
class Share:
    """A share of searches.

    Attributes:
        count, of: What it is made of.
        interval: Subject bootstrap interval, None without.
    """

    count: int
    of: int
    interval: Interval | None = None

    @property
    def value(self) -> float | None:
        """0..1; None when there was no search."""
        return self.count / self.of if self.of else None

    def to_json(self) -> dict[str, Any]:
        """JSON object."""
        return {
            "value": self.value,
            "count": self.count,
            "of": self.of,
            "wilson": list(wilson(self.count, self.of)) if self.of else None,
            "flags": flags(self.count, self.of) if self.of else [],
            "bootstrap": None if self.interval is None else self.interval.to_json(),
        }


@dataclass(frozen=True)
class OpenSet:
    """One class of searches at one target FPIR: ``fnir`` over its mated, ``fpir`` over its non-mated searches."""

    target: float
    fnir: Share
    fpir: Share | None

    def to_json(self) -> dict[str, Any]:
        """JSON object."""
        return {
            "target_fpir": self.target,
            "fnir": self.fnir.to_json(),
            "fpir": None if self.fpir is None else self.fpir.to_json(),
        }


@dataclass(frozen=True)
class SearchClass:
    """Searches of one group of probes, or of one class of age gaps.

    Attributes:
        name: Its name; ``all`` for every search.
        subjects: Subjects with mated searches in it.
        rank_1: Share of mated searches that put the mate first.
        open_set: One entry per usable target.
        cmc: Share of mated searches with the mate among the first r identities, shape (ranks,); empty for age gaps.
    """

    name: str
    subjects: int
    rank_1: Share
    open_set: tuple[OpenSet, ...]
    cmc: tuple[float, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """JSON object."""
        return {
            "name": self.name,
            "subjects": self.subjects,
            "mated_searches": self.rank_1.of,
            "rank_1": self.rank_1.to_json(),
            "open_set": [one.to_json() for one in self.open_set],
            **({"cmc": list(self.cmc)} if self.cmc else {}),
        }


@dataclass(frozen=True)
class Identification:
    """What searches of a gallery say.

    Attributes:
        searches: The searches.
        everything: All searches.
        groups: Per group of the probe.
        gaps: Per class of age gap; empty when no age is known.
        cmc: Share of mated searches with the mate among the first r identities, shape (ranks,).
        thresholds: Per usable target.
        refused: Targets that the searches cannot resolve, with the reason.
        options: How they were judged.
    """

    searches: Searches
    everything: SearchClass
    groups: tuple[SearchClass, ...]
    gaps: tuple[SearchClass, ...]
    cmc: tuple[float, ...]
    thresholds: tuple[tuple[float, float], ...]
    refused: tuple[tuple[float, str], ...]
    options: IdentificationOptions

    def to_json(self) -> dict[str, Any]:
        """The document of ``docs/protocols.md``."""
        found = self.searches
        return {
            "schema": SCHEMA,
            "schema_version": SCHEMA_VERSION,
            "gallery": {"rule": found.gallery, "images": found.gallery_images, "subjects": found.gallery_subjects},
            "searches": {"mated": int(found.mated.sum()), "non_mated": len(found.probe)},
            "confidence": self.options.confidence,
            "bootstrap": {"unit": "subjects", "replicates": self.options.replicates, "seed": self.options.seed},
            "thresholds": [{"target_fpir": target, "threshold": tau} for target, tau in self.thresholds],
            "refused_targets": [{"target_fpir": target, "reason": why} for target, why in self.refused],
            "all": self.everything.to_json(),
            "groups": [group.to_json() for group in self.groups],
            "age_gaps": [gap.to_json() for gap in self.gaps],
            "cmc": list(self.cmc),
        }


@dataclass(frozen=True)
class _Items:
    """Searches to be counted: subject, class (-1 none) and the mate's score (-inf when it is not first) of each."""

    subject: Int64
    kind: Int64
    score: Float


@dataclass(frozen=True)
class _Draws:
    weights: Int64
    thresholds: Float
    confidence: float


def judge_searches(
    searches: Searches,
    grouping: Grouping | None = None,
    ages: npt.ArrayLike | None = None,
    options: IdentificationOptions | None = None,
) -> Identification:
    """Rank-1, CMC and FNIR at FPIR of searches, for all probes, per group and per age gap.

    Args:
        searches: As found by :func:`frbias.core.verification.identification.search`.
        grouping: Group of every row; None: no groups.
        ages: Years per row, NaN unknown; None: no gaps.
        options: How to judge.

    Raises:
        UsageError: A target is no fraction.
    """
    chosen = options or IdentificationOptions()
    if any(not 0 < target < 1 for target in chosen.targets):
        raise UsageError("Target FPIRs are fractions between 0 and 1, e.g. --at-fpir 0.1,0.01.")
    usable, refused = _usable(chosen.targets, len(searches.probe))
    other = searches.best_other.astype(np.float64)
    taus = np.array([threshold_at_fmr(other, target) for target in usable])
    draws = _draws(searches, usable, chosen)
    codes = np.full(len(searches.probe), -1) if grouping is None else grouping.codes[searches.probe]
    first = np.where(searches.rank == 1, searches.mate_score, -np.inf).astype(np.float64)
    mated, ranks = searches.mated, searches.rank[searches.mated]
    groups = _Items(searches.subject[mated], codes[mated], first[mated])
    impostors, names = _Items(searches.subject, codes, other), () if grouping is None else grouping.names
    whole = _Items(groups.subject, np.zeros_like(groups.kind), groups.score)
    everyone = _Items(impostors.subject, np.zeros_like(impostors.kind), other)
    return Identification(
        searches,
        _classes(("all",), whole, everyone, usable, taus, draws)[0],
        tuple(
            replace(one, cmc=cumulative_match(ranks[groups.kind == names.index(one.name)], chosen.ranks))
            for one in _classes(names, groups, impostors, usable, taus, draws)
        ),
        () if ages is None else _gaps(searches, np.asarray(ages, dtype=np.float64), usable, taus, draws),
        cumulative_match(ranks, chosen.ranks),
        tuple(zip(usable, taus.tolist(), strict=True)),
        refused,
        chosen,
    )


def _gaps(
    searches: Searches, ages: Float, targets: Sequence[float], taus: Float, draws: _Draws | None
) -> tuple[SearchClass, ...]:
    place, row, score = searches.mates
    gaps = np.abs(ages[searches.probe[place]] - ages[row])
    kind = np.full(len(place), -1)
    for number, group in enumerate(GAP_CLASSES):
        kind[group.holds(gaps)] = number
    first = np.where(score > searches.best_other[place], score, -np.inf).astype(np.float64)
    items = _Items(searches.subject[place], kind, first)
    return _classes(tuple(group.name for group in GAP_CLASSES), items, None, targets, taus, draws)


def _classes(
    names: Sequence[str],
    mated: _Items,
    non_mated: _Items | None,
    targets: Sequence[float],
    taus: Float,
    draws: _Draws | None,
) -> tuple[SearchClass, ...]:
    count = len(names)
    if not count:
        return ()
    not_first = _below(mated, count, np.array([-np.inf]), None, draws, inclusive=True)
    drawn_taus = None if draws is None else draws.thresholds
    missed = _below(mated, count, taus, drawn_taus, draws)
    wrong = None if non_mated is None else _below(non_mated, count, taus, drawn_taus, draws)
    found = []
    for number, name in enumerate(names):
        subjects = len(np.unique(mated.subject[mated.kind == number]))
        if not subjects:
            continue
        open_set = tuple(
            OpenSet(target, missed[number][k], None if wrong is None else _complement(wrong[number][k]))
            for k, target in enumerate(targets)
        )
        found.append(SearchClass(name, subjects, _complement(not_first[number][0]), open_set))
    return tuple(found)


def _below(
    items: _Items, count: int, taus: Float, drawn_taus: Float | None, draws: _Draws | None, *, inclusive: bool = False
) -> list[list[Share]]:
    """Share of the items of each class with a score below each threshold (``inclusive``: not above it)."""
    inside = items.kind >= 0
    subject, kind, score = items.subject[inside], items.kind[inside], items.score[inside]
    total = np.bincount(kind, minlength=count)
    table = []
    for column, tau in enumerate(taus):
        errors = np.bincount(kind[score <= tau if inclusive else score < tau], minlength=count)
        values = None
        if draws is not None:
            values = np.full((len(draws.weights), count), np.nan)
            for number, drawn in enumerate(draws.weights):
                at = tau if drawn_taus is None else drawn_taus[number, column]
                low = score <= at if inclusive else score < at
                weight = drawn[subject]
                with np.errstate(invalid="ignore"):
                    values[number] = np.bincount(kind, weights=weight * low, minlength=count) / np.bincount(
                        kind, weights=weight, minlength=count
                    )
                if np.isnan(at):
                    values[number] = np.nan
        table.append((errors, values))
    return [
        [
            Share(
                int(errors[number]),
                int(total[number]),
                None
                if values is None or draws is None
                else percentile_interval(values[:, number], confidence=draws.confidence),
            )
            for errors, values in table
        ]
        for number in range(count)
    ]


def _complement(share: Share) -> Share:
    interval = share.interval
    if interval is not None and interval.low is not None and interval.high is not None:
        interval = replace(interval, low=1 - interval.high, high=1 - interval.low)
    return Share(share.of - share.count, share.of, interval)


def _draws(searches: Searches, targets: Sequence[float], options: IdentificationOptions) -> _Draws | None:
    if not options.replicates:
        return None
    weights = draw_weights(searches.subjects, options.replicates, options.seed)
    order = np.argsort(-searches.best_other, kind="stable")
    score, subject = searches.best_other[order], searches.subject[order]
    thresholds = np.full((len(weights), len(targets)), np.nan)
    for row, drawn in zip(thresholds, weights, strict=True):
        present = drawn[subject] > 0
        observed, times = score[present], np.cumsum(drawn[subject[present]])
        if not observed.size:
            continue
        last = np.flatnonzero(np.r_[np.diff(observed) != 0, True])
        for column, target in enumerate(targets):
            budget = error_budget(target, int(times[-1]))
            within = int(np.searchsorted(times[last], budget, side="right"))
            row[column] = observed[last[within - 1]] if within else np.nextafter(observed[0], np.float32(np.inf))
    return _Draws(weights, thresholds, options.confidence)


def _usable(targets: Sequence[float], searches: int) -> tuple[tuple[float, ...], tuple[tuple[float, str], ...]]:
    usable, refused = [], []
    for target in targets:
        try:
            check_target(target, searches)
            usable.append(target)
        except UsageError:
            refused.append((target, f"allows no false positive in {searches} non-mated searches"))
    return tuple(usable), tuple(refused)
