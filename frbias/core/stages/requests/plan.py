"""The request of ``frbias plan``: what is expected of groups, and how well it is to be known."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from frbias.core.foundation.errors import UsageError
from frbias.core.foundation.requests import Request, option, shared_option
from frbias.core.foundation.values import share, shares, shown_shares
from frbias.core.stages.requests.measuring import MeasureOptions

EXPECTED, WANTED = "What is expected", "How well it is to be known"


def _shown(value: float) -> str:
    return f"{100 * value:g}%"


@dataclass(frozen=True, kw_only=True)
class PlanRequest(Request):
    """How many people a group needs.

    Attributes:
        groups: Age groups; None: the usual ones.
        fmr: Target FMR, taken as the FMR of every group unless ``like`` says otherwise.
        fnmr: Expected FNMR, one for all groups or one each.
        images: Images of a person in a group.
        like: Folder of an evaluation made before: rates, images and correlations of its groups are taken, at the
            target nearest to ``fmr``; None for none.
        mated_correlation: Of the scores of two mated comparisons of a person (assumed; ``like`` measures it).
        person_correlation: Of the scores of two non-mated comparisons that share a person (likewise).
        fnmr_within: Half the width of the interval of FNMR that is wanted, a rate.
        fmr_within: The same of FMR, as a share of FMR.
        garbe_within: The same of GARBE.
        change: Fall of FNMR that a paired comparison is to show, a rate.
        power: Chance to see it.
        pairing: Correlation of the two recognisers' FNMR over people (assumed).
        people: Tell what so many people in every group give, instead of how many are needed.
        alpha, confidence, seed: As for an evaluation.
    """

    title = "plan"
    groups: str | None = option(
        None,
        help="Age groups, bounds included (0-12,13-19,20-39,40-59,60+ when left out).",
        panel=EXPECTED,
        metavar="GROUPS",
    )
    fmr: float = option(0.001, help="Target FMR.", panel=EXPECTED, metavar="RATE", parse=share, show=_shown)
    fnmr: tuple[float, ...] = option(
        (0.1,),
        help="Expected FNMR there, one for all groups or one each.",
        panel=EXPECTED,
        metavar="RATES",
        parse=shares,
        show=shown_shares,
    )
    images: int = option(4, help="Images of a person in a group.", panel=EXPECTED, low=2, high=10_000)
    like: Path | None = option(
        None,
        help="Evaluation made before (with bootstrap): take groups, rates, images and correlations from it.",
        panel=EXPECTED,
        metavar="FOLDER",
    )
    mated_correlation: float = option(
        0.3, help="Of scores of one person's mated comparisons (assumed).", panel=EXPECTED, low=0, high=0.99
    )
    person_correlation: float = option(
        0.1, help="Of scores of non-mated comparisons that share a person (assumed).", panel=EXPECTED, low=0, high=0.45
    )
    fnmr_within: float = option(
        0.02, help="Half-width of the interval of FNMR.", panel=WANTED, metavar="RATE", parse=share, show=_shown
    )
    fmr_within: float = option(
        0.5, help="Half-width of the interval of FMR, as a share of FMR.", panel=WANTED, parse=share, show=_shown
    )
    garbe_within: float = option(0.1, help="Half-width of the range of GARBE.", panel=WANTED, low=0.001, high=1)
    change: float = option(
        0.03, help="Fall of FNMR to be seen in a comparison.", panel=WANTED, metavar="RATE", parse=share, show=_shown
    )
    power: float = option(0.8, help="Chance to see it.", panel=WANTED, low=0.5, high=0.999)
    pairing: float = option(
        0.5, help="Correlation of both recognisers' FNMR over people (assumed).", panel=WANTED, low=0, high=0.99
    )
    people: int | None = option(
        None, help="Tell what so many people a group give, instead.", panel=WANTED, low=3, high=10_000_000
    )
    alpha: float = shared_option(MeasureOptions, "alpha", panel=WANTED)
    confidence: float = shared_option(MeasureOptions, "confidence", panel=WANTED)
    seed: int = option(0, help="Seed of the simulated GARBE.", panel=WANTED, low=0)

    def conflicts(self) -> Iterator[str]:
        """Rates that are none, and more of them than groups."""
        from frbias.core.verification.groups import DEFAULT_GROUPS, parse_age_groups

        try:
            count = len(parse_age_groups(self.groups or DEFAULT_GROUPS))
        except UsageError as error:
            yield f"--groups: {error.message}"
            return
        if len(self.fnmr) not in (1, count):
            yield f"--fnmr has {len(self.fnmr)} values for {count} groups; give one, or one for each."
        for name in ("fmr", "fnmr_within", "fmr_within", "change"):
            if not 0 < getattr(self, name) < 1:
                yield f"--{name.replace('_', '-')} {getattr(self, name):g} is no share between 0 and 1."
        if any(not 0 < rate < 1 for rate in self.fnmr):
            yield "--fnmr has to be between 0 and 1."
        elif self.like is None and self.change >= min(self.fnmr):
            yield f"--change {self.change:g} is no less than --fnmr {min(self.fnmr):g}, so FNMR cannot fall by it."
