"""The request of an audit."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from frbias.core.foundation.requests import Request, option


@dataclass(frozen=True, kw_only=True)
class AuditRequest(Request):
    """Look through an image set.

    Attributes:
        data: The set: synthetic or photographs, aligned or not.
        against: A set to compare with: photographs (how far are the renders?) or a training set (what leaked?).
        weights: Recogniser whose eyes are used.
        young_below, old_from: Years that the ageing direction goes from and to.
        apparent_ages: Estimate the ages that faces look.
        drop: Folder to write the set to without the flagged images; None: not written.
        show_people: Picture flagged images although the set is not known to be synthetic.
        replicates: Bootstrap replicates.
        confidence: Coverage of intervals.
        seed: Of everything that is drawn.
    """

    title = "audit"
    data: str = option(
        help="Image set, folder of photographs, or the name of a registered data set.",
        positional=True,
        completes="data",
        decides=False,
    )
    against: str | None = option(
        None,
        help="Compare with this set: photographs (how far away?) or a training set (what leaked?).",
        metavar="DATA",
        completes="data",
        decides=False,
    )
    weights: str = option("sface", help="Recogniser whose eyes are used.", completes="weights", decides=False)
    young_below: float = option(14.0, help="The ageing direction goes from under this age ...", low=0.5, high=120)
    old_from: float = option(18.0, help="... to this age and over.", low=0.5, high=120)
    apparent_ages: bool = option(True, help="Estimate the ages that faces look (fetches a CC0 model once).")
    drop: Path | None = option(
        None, help="Also write the set without the flagged images to this folder.", decides=False
    )
    show_people: bool = option(False, help="Picture flagged images of a set that is not known to be synthetic.")
    replicates: int = option(1000, name="bootstrap", help="Subject bootstrap replicates.", low=100, high=1_000_000)
    confidence: float = option(0.95, help="Coverage of intervals.", low=0.5, high=0.999)
    seed: int = option(0, help="Seed of everything that is drawn.", low=0)

    def conflicts(self) -> Iterator[str]:
        """Ages that do not follow each other."""
        if self.old_from < self.young_below:
            yield f"--old-from {self.old_from:g} is under --young-below {self.young_below:g}."
