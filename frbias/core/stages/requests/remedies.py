"""What is done to scores without training, beside the recognisers that are compared."""

from collections.abc import Iterator
from dataclasses import dataclass

from frbias.core.foundation.errors import UsageError
from frbias.core.foundation.requests import Request, option

REMEDY = "Remedies without training (--remedy)"


@dataclass(frozen=True, kw_only=True)
class RemedyFields(Request):
    """Remedies of the baseline.

    Attributes:
        remedy: Names of :data:`frbias.core.verification.remedies.names.REMEDIES`.
        cohort: Samples of other people for the normalisations: embeddings, or with ``data`` an image set; None: the
            other subjects of the set.
        remedy_folds: Folds of subjects; nobody is judged by what was learned from their fold.
        cohort_top: Highest cohort scores that ``adaptive-norm`` looks at.
    """

    title = "compare"
    remedy: tuple[str, ...] = option(
        (),
        help="Judge these as well: group-threshold, z-norm, t-norm, zt-norm, s-norm, adaptive-norm; fitted on other "
        "subjects than they are judged on.",
        panel=REMEDY,
        metavar="NAMES",
    )
    cohort: str | None = option(
        None,
        help="Other people to normalise by: embeddings, or with --data an image set (synthetic ones do); default: the "
        "set's own other subjects.",
        panel=REMEDY,
        metavar="COHORT",
        completes="data",
        decides=False,
    )
    remedy_folds: int = option(
        5, help="Folds of subjects that remedies are fitted across.", panel=REMEDY, low=3, high=1000
    )
    cohort_top: int = option(
        100, help="Highest cohort scores that adaptive-norm looks at.", panel=REMEDY, low=2, high=1_000_000
    )

    def remedy_conflicts(self, *, non_mated: str, others: bool) -> Iterator[str]:
        """Remedies that nobody knows, and what they cannot go with.

        Args:
            non_mated: Rule of non-mated comparisons.
            others: Whether options that choose among comparisons are given.
        """
        from frbias.core.verification.remedies.names import check_remedies

        try:
            check_remedies(self.remedy)
        except UsageError as error:
            yield error.message
        if self.remedy and (non_mated != "within" or others):
            yield "--remedy compares within groups; leave out --non-mated, --matched-age and --drop-duplicates."
        if self.cohort is not None and not any(name.endswith("-norm") for name in self.remedy):
            yield "--cohort is for score normalisations; give one of them with --remedy, e.g. --remedy adaptive-norm."
