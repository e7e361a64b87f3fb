"""Rates with their counts, their intervals and their flags, for all groups together and for each."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from frbias.core.verification.acquisition import AcquisitionCounts
from frbias.core.verification.measures.intervals import (
    Interval,
    ShownInterval,
    clopper_pearson,
    flags,
    shown_interval,
    wilson,
)
from frbias.core.verification.measures.rates import transaction_rates
from frbias.core.verification.records import Record, below, checked_object, from_json

_COUNTS = {"fmr": ("false_matches", "non_mated"), "fnmr": ("false_non_matches", "mated")}


@dataclass(frozen=True)
class Rate:
    """Errors over trials with intervals.

    Attributes:
        errors, trials, value: Counts and their ratio.
        interval: The interval that is shown.
        wilson, clopper_pearson: Binomial intervals.
        bootstrap: Subject bootstrap interval, or None without a bootstrap.
        flags: Small-sample flags.
    """

    errors: int
    trials: int
    value: float
    interval: ShownInterval
    wilson: tuple[float, float]
    clopper_pearson: tuple[float, float]
    bootstrap: Interval | None
    flags: tuple[str, ...]

    @classmethod
    def of(cls, errors: int, trials: int, found: Interval | None = None, *, confidence: float = 0.95) -> Self:
        """The rate of some counts, with all its intervals."""
        return cls(
            errors,
            trials,
            errors / trials,
            shown_interval(errors, trials, found, confidence=confidence),
            wilson(errors, trials, confidence=confidence),
            clopper_pearson(errors, trials, confidence=confidence),
            found,
            tuple(flags(errors, trials)),
        )

    def to_members(self, rate: str, value: str | None = None) -> dict[str, Any]:
        """Members of ``fmr`` or ``fnmr`` for the object that holds them; ``value`` renames the rate itself."""
        errors, trials = _COUNTS[rate]
        return {
            trials: self.trials,
            errors: self.errors,
            value or rate: self.value,
            f"{rate}_interval": self.interval.to_json(),
            f"{rate}_wilson": list(self.wilson),
            f"{rate}_clopper_pearson": list(self.clopper_pearson),
            f"{rate}_bootstrap": None if self.bootstrap is None else self.bootstrap.to_json(),
            f"{rate}_flags": list(self.flags),
        }

    @classmethod
    def from_members(cls, record: Mapping[str, Any], path: str, rate: str, value: str | None = None) -> Self:
        """Read what :meth:`to_members` wrote."""
        errors, trials = _COUNTS[rate]
        names = {
            "errors": (errors, int),
            "trials": (trials, int),
            "value": (value or rate, float),
            "interval": (f"{rate}_interval", ShownInterval),
            "wilson": (f"{rate}_wilson", tuple[float, float]),
            "clopper_pearson": (f"{rate}_clopper_pearson", tuple[float, float]),
            "bootstrap": (f"{rate}_bootstrap", Interval | None),
            "flags": (f"{rate}_flags", tuple[str, ...]),
        }
        return cls(**{k: from_json(kind, record.get(name), below(path, name)) for k, (name, kind) in names.items()})


@dataclass(frozen=True)
class Transactions(Record):
    """Rates of whole transactions, None when failures to acquire are not known."""

    failure_to_acquire: float | None = None
    far: float | None = None
    frr: float | None = None

    @classmethod
    def of(cls, fmr: float, fnmr: float, failure_to_acquire: float | None) -> Self:
        """FAR and FRR at a failure-to-acquire rate."""
        if failure_to_acquire is None:
            return cls()
        return cls(failure_to_acquire, *transaction_rates(fmr, fnmr, failure_to_acquire))


@dataclass(frozen=True)
class GroupAtTarget(Record):
    """One group's errors at the global threshold, and its failures to acquire when they are known.

    Attributes:
        name: The group.
        fmr, fnmr: Its rates.
        acquisition: Its failures to acquire, None when unknown.
        correlation: Spearman's rank correlation of FMR and FNMR over the bootstrap replicates: the two move together, as
            every replicate has a threshold of its own. None without a bootstrap, or where one of them never changes.
    """

    name: str
    fmr: Rate
    fnmr: Rate
    acquisition: AcquisitionCounts | None = None
    correlation: float | None = None

    @property
    def transactions(self) -> Transactions:
        """FAR and FRR of the group."""
        counts = self.acquisition
        return Transactions.of(self.fmr.value, self.fnmr.value, None if counts is None else counts.rate)

    def to_json(self) -> dict[str, Any]:
        """JSON object."""
        counts = None if self.acquisition is None else self.acquisition.to_json()
        rates = {**self.fmr.to_members("fmr"), **self.fnmr.to_members("fnmr")}
        correlated = {} if self.correlation is None else {"rates_correlation": self.correlation}
        return {"name": self.name, **rates, **correlated, "acquisition": counts, **self.transactions.to_json()}

    @classmethod
    def from_json(cls, value: Any, path: str = "") -> Self:
        """Read what :meth:`to_json` wrote."""
        record = checked_object(value, path)
        return cls(
            from_json(str, record.get("name"), below(path, "name")),
            Rate.from_members(record, path, "fmr"),
            Rate.from_members(record, path, "fnmr"),
            from_json(AcquisitionCounts | None, record.get("acquisition"), below(path, "acquisition")),
            from_json(float | None, record.get("rates_correlation"), below(path, "rates_correlation")),
        )
