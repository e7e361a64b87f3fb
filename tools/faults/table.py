"""What came of a campaign, as a table and as JSON."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Outcome:
    """Tries of one campaign.

    Attributes:
        campaign: Its name.
        tried: Faults that were made.
        survived: Those that lost nothing.
        lost: One sentence for each of the others.
    """

    campaign: str
    tried: int = 0
    survived: int = 0
    lost: tuple[str, ...] = ()

    def plus(self, fault: str, loss: str) -> "Outcome":
        """One more try; ``loss`` says what was lost, empty for nothing."""
        lost = (*self.lost, f"{fault}: {loss}") if loss else self.lost
        return Outcome(self.campaign, self.tried + 1, self.survived + (not loss), lost)

    def to_json(self) -> dict[str, object]:
        """JSON object."""
        return {"campaign": self.campaign, "tried": self.tried, "survived": self.survived, "lost": list(self.lost)}


HEAD = "| campaign | tried | survived | lost |\n|---|---:|---:|---:|"


def row(outcome: Outcome) -> str:
    """A line of the table."""
    return f"| {outcome.campaign} | {outcome.tried:,} | {outcome.survived:,} | {len(outcome.lost):,} |"


def table(outcomes: Iterable[Outcome]) -> str:
    """The table, with the sum of all campaigns."""
    found = list(outcomes)
    lost = tuple(one for outcome in found for one in outcome.lost)
    total = Outcome("all", sum(o.tried for o in found), sum(o.survived for o in found), lost)
    return "\n".join([HEAD, *map(row, found), row(total)])
