"""``--age-bins``: ranges of years from which each person's ages are drawn."""

import math
import re
from dataclasses import dataclass
from itertools import pairwise

from frbias.core.foundation.errors import UsageError

_BIN = re.compile(r"(\d+(?:\.\d+)?)-(\d+(?:\.\d+)?)", re.ASCII)


@dataclass(frozen=True)
class AgeBin:
    """Ages from ``low`` to ``high`` years."""

    low: float
    high: float

    def at(self, position: float) -> float:
        """The age at a position in [0, 1), in whole tenths of a year (rounded down, so that bins may touch)."""
        return max(self.low, math.floor(10 * (self.low + position * (self.high - self.low))) / 10)


def parse_bins(text: str) -> tuple[AgeBin, ...]:
    """Read ``3-6,7-9,20-30``; nothing gives no bins.

    Raises:
        UsageError: A part is no range of years, or ranges overlap.
    """
    if not text.strip():
        return ()
    bins = []
    for part in text.split(","):
        found = _BIN.fullmatch(part.strip())
        if not found or not float(found[1]) <= float(found[2]) <= 120:
            raise UsageError(f"--age-bins {text!r}: {part.strip()!r} is no range of years; write e.g. 3-6,20-30.")
        bins.append(AgeBin(float(found[1]), float(found[2])))
    ordered = sorted(bins, key=lambda b: b.low)
    if any(a.high > b.low or a.low == b.low for a, b in pairwise(ordered)):
        raise UsageError(f"--age-bins {text!r}: ranges overlap.")
    return tuple(bins)
