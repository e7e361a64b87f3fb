"""What the identity test needs to know of every stage; a new stage adds a case here.

A :class:`Case` has one finished result, and for every field of the stage's request what else it could be: values that
make other work (the finished result must be refused) and values that do not (it must be reused, not one file touched).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from frbias.core.foundation.machine import Machine, Resources
from frbias.core.foundation.plans import Plan
from frbias.core.foundation.requests import Request

MACHINE = Machine(Resources(device="cpu", workers=1, threads=1))
Changes = Mapping[str, Any]


@dataclass(frozen=True)
class Case:
    """A stage with a finished result.

    Attributes:
        request: What was asked.
        out: Where the result is.
        run: Calls the stage: ``run(request, out)``; True when it reused what was there.
        other: For every field that can make other work: changes (of this and, where they belong together, of other
            fields) that do.
        plan: Says what the stage would do: ``plan(request, out)``; None for a stage that cannot say.
        same: For fields that need not make other work (where something lies, how wide it is done): changes that do not.
    """

    request: Request
    out: Path
    run: Callable[[Any, Path], bool]
    other: Mapping[str, Changes]
    same: Mapping[str, Changes] = field(default_factory=dict)
    plan: Callable[[Any, Path], Plan] | None = None

    def changed(self, changes: Changes) -> Request:
        """The request with some fields changed."""
        return replace(self.request, **changes)


def snapshot(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Content and time of change of every file, by name."""
    return {
        str(p.relative_to(folder)): (p.read_bytes(), p.stat().st_mtime_ns)
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }
