"""What came of a campaign, as a table and as JSON."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Outcome:
    """Tries of one campaign.

    Attributes:
        campaign: Its name.
        tried: Faults that were made.
        survived: Those that lost nothing.
        lost: One sentence for each of the others.
        grown: KiB of memory that the tries took at most, beyond what the process had; 0 where that is not looked at.
    """

    campaign: str
    tried: int = 0
    survived: int = 0
    lost: tuple[str, ...] = ()
    grown: int = 0

    def plus(self, fault: str, loss: str, grown: int = 0) -> "Outcome":
        """One more try; ``loss`` says what was lost, empty for nothing."""
        lost = (*self.lost, f"{fault}: {loss}") if loss else self.lost
        return Outcome(self.campaign, self.tried + 1, self.survived + (not loss), lost, max(self.grown, grown))

    def together(self, other: "Outcome") -> "Outcome":
        """The tries of both, under this name."""
        lost, grown = (*self.lost, *other.lost), max(self.grown, other.grown)
        return Outcome(self.campaign, self.tried + other.tried, self.survived + other.survived, lost, grown)

    def to_json(self) -> dict[str, Any]:
        """JSON object."""
        counts = {"campaign": self.campaign, "tried": self.tried, "survived": self.survived, "lost": list(self.lost)}
        return {**counts, "grown_kib": self.grown}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Outcome":
        """What :meth:`to_json` gave."""
        counts = (value["campaign"], value["tried"], value["survived"])
        return cls(*counts, tuple(value["lost"]), value.get("grown_kib", 0))


HEAD = "| campaign | tried | survived | lost |\n|---|---:|---:|---:|"


def row(outcome: Outcome) -> str:
    """A line of the table."""
    return f"| {outcome.campaign} | {outcome.tried:,} | {outcome.survived:,} | {len(outcome.lost):,} |"


def table(outcomes: Iterable[Outcome]) -> str:
    """The table, one line a campaign in the order in which they came first, with the sum of all."""
    found: dict[str, Outcome] = {}
    total = Outcome("all")
    for outcome in outcomes:
        found[outcome.campaign] = found.get(outcome.campaign, Outcome(outcome.campaign)).together(outcome)
        total = total.together(outcome)
    return "\n".join([HEAD, *map(row, found.values()), row(total)])
