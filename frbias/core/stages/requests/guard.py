"""Options of guards: photographs that must not be told apart worse."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from frbias.core.foundation.requests import Request, option
from frbias.core.foundation.values import share

_GUARD = "Guard"


def names_listed(value: object) -> tuple[str, ...]:
    """Names from a list or from text with commas between them; a path that is there is never cut."""
    parts = [str(part) for part in value] if isinstance(value, list | tuple) else [str(value)]
    cut = [[part] if Path(part).expanduser().exists() else part.split(",") for part in parts]
    return tuple(name.strip() for names in cut for name in names if name.strip())


@dataclass(frozen=True, kw_only=True)
class GuardOptions(Request):
    """What must not get worse.

    Attributes:
        guard: Image sets of other people, photographs as a rule.
        guard_pairs: Lists of pairs (any form that ``frbias evaluate --pairs`` reads) of the pictures of a guard, which is
            then judged by the accuracy of its pairs.
        guard_fall: How far the TAR of a labelled guard, or the accuracy of pairs, may fall, a fraction.
        guard_drift: How far the scores of an unlabelled guard may drift: 1 - their correlation with those of the
            start model.
    """

    guard: tuple[str, ...] = option(
        (),
        help="Photographs, labelled or not, that must not be told apart worse: training stops or is pulled back.",
        panel=_GUARD,
        metavar="SET[,SET]",
        many=True,
        completes="data",
        decides=False,
        parse=names_listed,
    )
    guard_pairs: tuple[str, ...] = option(
        (),
        help="List of pairs of a guard's pictures (LFW's pairs.txt, CSV, ...): it is judged by their accuracy.",
        panel=_GUARD,
        metavar="LIST[,LIST]",
        many=True,
        decides=False,
        parse=names_listed,
    )
    guard_fall: float = option(
        0.01,
        help="How far TAR on a labelled guard, or the accuracy of its pairs, may fall, e.g. 1%.",
        panel=_GUARD,
        metavar="RATE",
        low=0,
        high=1,
        parse=share,
    )
    guard_drift: float = option(
        0.1, help="How far scores of an unlabelled guard may drift (1 - correlation).", panel=_GUARD, low=0, high=2
    )

    def conflicts(self) -> Iterator[str]:
        """A list of pairs without pictures."""
        yield from super().conflicts()
        if self.guard_pairs and not self.guard:
            yield "--guard-pairs says which pictures of a guard are compared; give the pictures with --guard."
