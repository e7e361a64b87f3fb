"""What a stage would do, before it does anything: the answer to ``--dry-run``."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from frbias.core.foundation.provenance import State, Work, state_of

_STATES: dict[State, str] = {
    "new": "to be made",
    "unfinished": "begun before, goes on",
    "finished": "made before, nothing to do",
    "other": "holds something else: choose another folder with --out, or replace it with --force",
}


@dataclass(frozen=True)
class Step:
    """One piece of work.

    Attributes:
        what: What is done, in words with counts.
        where: Its folder; None when it depends on a step that has not been done.
        state: What the folder holds, seen by the work.
    """

    what: str
    where: Path | None
    state: State

    def sentence(self) -> str:
        """For people."""
        place = f" in {self.where}" if self.where is not None else ""
        return f"{self.what}{place}: {_STATES[self.state]}."

    def to_json(self) -> dict[str, Any]:
        """JSON object."""
        return {"what": self.what, "where": None if self.where is None else str(self.where), "state": self.state}


def step_of(what: str, work: Work, where: Path) -> Step:
    """The step of some work in a folder."""
    return Step(what, Path(where), state_of(where, work))


@dataclass(frozen=True)
class Plan:
    """The steps of a stage, in order; the last one is its own.

    Attributes:
        steps: What it would do.
        device: Where, in words; empty when no device is used.
    """

    steps: tuple[Step, ...]
    device: str = ""

    def sentences(self) -> Iterator[str]:
        """For people."""
        if self.device:
            yield f"On {self.device}."
        yield from (step.sentence() for step in self.steps)

    def to_json(self) -> dict[str, Any]:
        """JSON object."""
        return {"dry_run": True, "device": self.device or None, "steps": [step.to_json() for step in self.steps]}
