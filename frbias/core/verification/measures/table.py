"""The one table of measures: name, label, direction, range, formula, source, form and where each is shown.

Everything iterates over it: the document, the bootstrap, the noise floor, the curves, paired differences, gates,
tables on the terminal, figures and the page. A new measure is one entry here (``docs/evaluation.md`` lists them).

:data:`MEASURES` are functions of the groups' rates at one threshold, and say how equal the groups are or how the
worst of them fares. :data:`ACCURACIES` say how good the recogniser is for all together; the evaluation computes them.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from frbias.core.verification.measures import fairness
from frbias.core.verification.measures.fairness import Float, Measure, Rates, checked_rates

Shown = Literal["headline", "terminal", "paired", "curve"]
"""``headline``: repeated in the target's own object; ``terminal``: in the table of an evaluation; ``paired``: in the
table and figure of a comparison; ``curve``: over the target FMR, with its noise floor."""
Needs = Literal["trials", "target"]
LOWER_IS_FAIRER, HIGHER_IS_FAIRER = "lower is fairer", "higher is fairer"
LOWER_IS_BETTER, HIGHER_IS_BETTER = "lower is better", "higher is better"


@dataclass(frozen=True, slots=True)
class GroupRates:
    """Rates of the groups at one threshold, for one set or for many replicates.

    Attributes:
        fmr, fnmr: Rates, shape (..., groups).
        alpha: Weight of FMR in compound measures, 0..1.
        target: Target FMR, None when there is none.
        non_mated, mated: Comparisons per group, shape (..., groups), None when unknown.
    """

    fmr: Float
    fnmr: Float
    alpha: float = 0.5
    target: float | None = None
    non_mated: npt.NDArray[np.int64] | None = None
    mated: npt.NDArray[np.int64] | None = None

    @property
    def adjusted_fmr(self) -> Float:
        """FMR with the one-sided 95 % bound where there is no error."""
        assert self.non_mated is not None
        return fairness.zero_adjusted(self.fmr, self.non_mated)

    @property
    def adjusted_fnmr(self) -> Float:
        """FNMR with the one-sided 95 % bound where there is no error."""
        assert self.mated is not None
        return fairness.zero_adjusted(self.fnmr, self.mated)

    @property
    def accuracies(self) -> Float:
        """Balanced accuracy of every group in percent."""
        return fairness.balanced_accuracies(self.fmr, self.fnmr)


@dataclass(frozen=True, slots=True)
class Definition:
    """One measure.

    Attributes:
        name: Key in documents and gates.
        label: Words for tables and figures.
        best, worst: Ends of its range (None: unbounded); they give the direction.
        formula: How it is computed.
        source: Where the definition comes from.
        values: Vectorised form, shape (...): NaN or inf where undefined.
        scalar: Form for one set that gives reasons; default: ``values`` with the reason ``undefined``.
        shown: Where it is shown beside the full list of measures.
        needs: What it needs beside rates.
        unit: ``1``, ``%`` or ``rate`` (a share whose differences are percentage points).
    """

    name: str
    label: str
    best: float
    worst: float | None
    formula: str
    source: str
    values: Callable[[GroupRates], Float]
    scalar: Callable[[GroupRates], Measure] | None = None
    shown: frozenset[Shown] = frozenset()
    needs: frozenset[Needs] = frozenset()
    unit: str = "1"

    def __post_init__(self) -> None:
        if "curve" in self.shown and not self.lower_is_fairer:
            raise ValueError(f"{self.name}: a noise floor says how high chance gets; lower has to be fairer")

    @property
    def lower_is_fairer(self) -> bool:
        """Whether a smaller value is the fairer one."""
        return self.worst is None or self.best < self.worst

    @property
    def direction(self) -> str:
        """``lower is fairer`` or ``higher is fairer``."""
        return LOWER_IS_FAIRER if self.lower_is_fairer else HIGHER_IS_FAIRER

    @property
    def is_rate(self) -> bool:
        """Whether differences are percentage points."""
        return self.unit == "rate"

    def of(self, rates: GroupRates) -> Measure:
        """Value for one set of groups, or the reason why there is none."""
        if self.scalar is not None:
            return self.scalar(rates)
        value = float(self.values(rates))
        return Measure(value) if np.isfinite(value) else Measure(None, "undefined")

    def usable(self, rates: GroupRates) -> bool:
        """Whether everything it needs is known."""
        known = {"trials": rates.non_mated is not None and rates.mated is not None, "target": rates.target is not None}
        return all(known[need] for need in self.needs)


@dataclass(frozen=True, slots=True)
class Accuracy:
    """A measure of all comparisons together; see :class:`Definition`."""

    name: str
    label: str
    lower_is_better: bool
    formula: str
    unit: str = "rate"

    @property
    def direction(self) -> str:
        """``lower is better`` or ``higher is better``."""
        return LOWER_IS_BETTER if self.lower_is_better else HIGHER_IS_BETTER

    @property
    def is_rate(self) -> bool:
        """Whether differences are percentage points."""
        return self.unit == "rate"


def _of(form: Callable[..., Measure], *fields: str) -> Callable[[GroupRates], Measure]:
    return lambda r: form(*(getattr(r, f) for f in fields))


_HOWARD = "Howard et al. 2022, arXiv 2203.05051"
_IDIAP = "de Freitas Pereira and Marcel, arXiv 2011.02395"
_NIST = "Grother, NISTIR 8429 (FRVT Part 8)"
_ISO = "ratio of the largest to the smallest rate, one of the readings of ISO/IEC 19795-10; "
_RFW = "Wang and Deng, RFW papers"
_EVERYWHERE: frozenset[Shown] = frozenset({"headline", "terminal", "paired", "curve"})


def _entries() -> Iterator[Definition]:
    f = fairness
    yield Definition(
        "garbe", "GARBE", 0, 1, "alpha x Gini(FMR) + (1 - alpha) x Gini(FNMR)", _HOWARD,
        lambda r: f.garbe_values(r.fmr, r.fnmr, alpha=r.alpha),
        lambda r: f.garbe(r.fmr, r.fnmr, alpha=r.alpha), _EVERYWHERE,
    )  # fmt: skip
    for rate in ("fmr", "fnmr"):
        yield _gini(rate, corrected=True)
    for rate in ("fmr", "fnmr"):
        yield _gini(rate, corrected=False)
    yield Definition(
        "fdr", "FDR", 1, 0, "1 - (alpha x range(FMR) + (1 - alpha) x range(FNMR))", _IDIAP,
        lambda r: f.fdr_values(r.fmr, r.fnmr, alpha=r.alpha),
        lambda r: f.fdr(r.fmr, r.fnmr, alpha=r.alpha), frozenset({"headline", "terminal", "paired"}),
    )  # fmt: skip
    for rate in ("fmr", "fnmr"):
        yield from _gap_and_worst(rate)
    yield Definition(
        "ir", "IR", 1, None, "(max/min FMR)^alpha x (max/min FNMR)^(1 - alpha)", f"Grother, as given by {_HOWARD}",
        lambda r: f.ir_values(r.fmr, r.fnmr, alpha=r.alpha),
        lambda r: f.ir(r.fmr, r.fnmr, alpha=r.alpha), frozenset({"headline", "terminal"}),
    )  # fmt: skip
    yield Definition(
        "inequity", "inequity, 0-adj.", 1, None,
        "(max/geometric mean FMR)^alpha x (max/geometric mean FNMR)^(1 - alpha), zero-adjusted",
        f"max/geometric mean of {_NIST}, combined as a product as in Linghu et al., arXiv 2407.14087 (without epsilon)",
        lambda r: f.inequity_values(r.adjusted_fmr, r.adjusted_fnmr, alpha=r.alpha), None,
        frozenset({"terminal"}), frozenset({"trials"}),
    )  # fmt: skip
    for rate in ("fmr", "fnmr"):
        yield from _ratios(rate)
    yield Definition(
        "mape_fmr", "MAPE of FMR", 0, None, "100/n x sum |FMR_d - target| / target", "mean absolute percentage error",
        lambda r: f.mape_values(r.fmr, target=r.target or np.nan),
        lambda r: f.mape(r.fmr, target=r.target or 0.0), needs=frozenset({"target"}), unit="%",
    )  # fmt: skip
    yield Definition(
        "accuracy_std", "STD of accuracies", 0, None, "standard deviation (ddof 1) of 100 (1 - (FMR + FNMR)/2)", _RFW,
        lambda r: f.accuracy_std_values(r.accuracies), _of(f.accuracy_std, "accuracies"), unit="%",
    )  # fmt: skip
    yield Definition(
        "accuracy_ser", "SER of accuracies", 1, None, "largest/smallest error, error = (FMR + FNMR)/2", _RFW,
        lambda r: f.accuracy_ser_values(r.accuracies), _of(f.accuracy_ser, "accuracies"),
    )  # fmt: skip


def _gini(rate: str, *, corrected: bool) -> Definition:
    return Definition(
        f"gini_{rate}" if corrected else f"gini_{rate}_uncorrected",
        f"Gini of {rate.upper()}" if corrected else f"Gini of {rate.upper()}, uncorrected",
        0,
        1,
        f"{'n/(n-1) x ' if corrected else ''}sum |x_i - x_j| / (2 n^2 mean), x = {rate.upper()}",
        _HOWARD,
        lambda r: fairness.gini_values(getattr(r, rate), corrected=corrected),
        lambda r: fairness.gini(getattr(r, rate), corrected=corrected),
        _EVERYWHERE if corrected else frozenset(),
    )


def _gap_and_worst(rate: str) -> Iterator[Definition]:
    name = rate.upper()
    yield Definition(
        f"fdr_range_{rate}", f"gap of {name}", 0, 1, f"max {name} - min {name}", f"{_IDIAP}, as A or B of FDR",
        lambda r: np.ptp(getattr(r, rate), axis=-1), shown=frozenset({"terminal", "paired"}), unit="rate",
    )  # fmt: skip
    yield Definition(
        f"{rate}_worst", f"worst {name}", 0, 1, f"max {name}", "largest rate of a group",
        lambda r: getattr(r, rate).max(axis=-1), shown=frozenset({"paired"}), unit="rate",
    )  # fmt: skip


def _ratios(rate: str) -> Iterator[Definition]:
    f, name, short = fairness, rate.upper(), {"fmr": "FPD", "fnmr": "FND"}[rate]
    yield Definition(
        f"{rate}_max_over_min", f"{short} ratio, max/min", 1, None, f"max {name} / min {name}", _ISO + _NIST,
        lambda r: f.max_over_min_values(getattr(r, rate)), _of(f.max_over_min, rate), frozenset({"terminal"}),
    )  # fmt: skip
    yield Definition(
        f"{rate}_max_over_geometric_mean", f"{short} max/geomean", 1, None,
        f"max {name} / geometric mean {name}", _NIST,
        lambda r: f.max_over_geometric_mean_values(getattr(r, rate)), _of(f.max_over_geometric_mean, rate),
    )  # fmt: skip
    yield Definition(
        f"{rate}_max_over_geometric_mean_zero_adjusted", f"{short} max/geomean, 0-adj.", 1, None,
        f"max {name} / geometric mean {name}; without errors a group's {name} is 1 - 0.05^(1/comparisons)",
        f"{_NIST}; one-sided 95 % bound of no error in n comparisons",
        lambda r: f.max_over_geometric_mean_values(getattr(r, f"adjusted_{rate}")),
        shown=frozenset({"terminal"}), needs=frozenset({"trials"}),
    )  # fmt: skip
    yield Definition(
        f"{rate}_max_over_arithmetic_mean", f"{short} max/mean", 1, None, f"max {name} / mean {name}", _NIST,
        lambda r: f.max_over_arithmetic_mean_values(getattr(r, rate)), _of(f.max_over_arithmetic_mean, rate),
    )  # fmt: skip


MEASURES: dict[str, Definition] = {entry.name: entry for entry in _entries()}
ACCURACIES: dict[str, Accuracy] = {
    entry.name: entry
    for entry in (
        Accuracy("fnmr", "FNMR, all groups", True, "mated with score < tau / mated, of the evaluated groups together"),
        Accuracy("tar", "TAR, all groups", False, "1 - FNMR"),
        Accuracy("eer", "EER", True, "FMR = FNMR; middle of the interval of FVC2000"),
        Accuracy("d_prime", "d'", False, "|mean difference| / sqrt(mean of the variances)", "1"),
    )
}
AT_THRESHOLD, WITHOUT_THRESHOLD = ("fnmr", "tar"), ("eer", "d_prime")
"""Names of the accuracies that belong to a threshold, and of those that do not."""


def measures_shown(where: Shown) -> list[Definition]:
    """Measures shown in one place, in the order of the table."""
    return [entry for entry in MEASURES.values() if where in entry.shown]


def names_shown(where: Shown) -> list[str]:
    """Names of :func:`measures_shown`."""
    return [entry.name for entry in measures_shown(where)]


def lower_is_better(name: str) -> bool:
    """Direction of a measure or accuracy; KeyError when there is none of that name."""
    return ACCURACIES[name].lower_is_better if name in ACCURACIES else MEASURES[name].lower_is_fairer


def label_of(name: str) -> str:
    """Label of a measure or accuracy."""
    return ACCURACIES[name].label if name in ACCURACIES else MEASURES[name].label


def is_rate(name: str) -> bool:
    """Whether differences of a measure or accuracy are percentage points."""
    return ACCURACIES[name].is_rate if name in ACCURACIES else MEASURES[name].is_rate


def all_measures(
    fmr: Rates,
    fnmr: Rates,
    *,
    alpha: float,
    target: float | None = None,
    non_mated: npt.NDArray[np.int64] | None = None,
    mated: npt.NDArray[np.int64] | None = None,
) -> dict[str, Measure]:
    """Every measure of the table for one set of groups; those that need what is not given are left out.

    Args:
        fmr, fnmr: One rate per group, 0..1.
        alpha: Weight of FMR, 0..1.
        target: Target FMR.
        non_mated, mated: Comparisons per group.
    """
    rates = GroupRates(checked_rates(fmr), checked_rates(fnmr), alpha, target, non_mated, mated)
    return {name: entry.of(rates) for name, entry in MEASURES.items() if entry.usable(rates)}


def all_values(rates: GroupRates, names: list[str] | None = None) -> dict[str, Float]:
    """Vectorised form of the measures named (default: all that are usable), shape (...) each."""
    chosen = MEASURES.values() if names is None else [MEASURES[name] for name in names]
    return {entry.name: np.asarray(entry.values(rates)) for entry in chosen if entry.usable(rates)}
