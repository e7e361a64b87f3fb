"""What a GPU would have made the host wait for, counted by the line of frbias that asked."""

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import frbias

_PACKAGE = str(Path(frbias.__file__).parent)


class Counts:
    """Copies to the device, copies back, waits: by place.

    Attributes:
        to_device: Copies of host memory to the device.
        back: Copies of the device's memory to the host; the host waits for each.
        waits: Other operations whose result has to be known on the host: ``.item()``, ``nonzero``, boolean indices.
    """

    def __init__(self) -> None:
        self.to_device: Counter[str] = Counter()
        self.back: Counter[str] = Counter()
        self.waits: Counter[str] = Counter()

    def clear(self) -> None:
        """Begin anew."""
        for counter in (self.to_device, self.back, self.waits):
            counter.clear()

    def copied(self, *, to_device: bool) -> None:
        """Count a copy."""
        (self.to_device if to_device else self.back)[where()] += 1

    def waited(self, what: str) -> None:
        """Count a wait."""
        self.waits[f"{where()} {what}"] += 1

    def to_json(self) -> dict[str, Any]:
        """Totals and places."""
        return {
            name: {"total": sum(counter.values()), "at": dict(counter.most_common(12))}
            for name, counter in (("to_device", self.to_device), ("back", self.back), ("waits", self.waits))
        }


COUNTS = Counts()


def where() -> str:
    """The innermost line of frbias on the stack."""
    frame = sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith(_PACKAGE):
            return f"{name[len(_PACKAGE) + 1 :]}:{frame.f_lineno}"
        frame = frame.f_back
    return "outside"
