"""What parts of the campaigns came to, kept in a file after each of them, so that a run can go on where one ended."""

import hashlib
import json
import os
import resource
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from faults.table import Outcome, table

_ROOT = Path(__file__).parents[2]


def version_of_code() -> str:
    """Eight hexadecimal digits that change with any module of frbias or of the campaigns."""
    digest = hashlib.sha256()
    for place in ("frbias", "tools/faults"):
        for path in sorted((_ROOT / place).rglob("*.py")):
            digest.update(path.relative_to(_ROOT).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:8]


@dataclass(frozen=True)
class Done:
    """A part that has been run.

    Attributes:
        part: Its name, one of its own.
        asked: What was asked for: the seed, and how much.
        outcome: What came of it.
        version: Of the code.
        seconds, processor: Seconds of the clock, and of the processor with all children.
    """

    part: str
    asked: tuple[int, ...]
    outcome: Outcome
    version: str
    seconds: float
    processor: float

    def to_json(self) -> dict[str, Any]:
        """JSON object."""
        times = {"seconds": round(self.seconds, 1), "processor_seconds": round(self.processor, 1)}
        what = {"part": self.part, "asked": list(self.asked), "version": self.version}
        return {**what, **self.outcome.to_json(), **times}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Done":
        """What :meth:`to_json` gave."""
        times = (float(value["seconds"]), float(value["processor_seconds"]))
        return cls(value["part"], tuple(value["asked"]), Outcome.from_json(value), value["version"], *times)


@dataclass
class Book:
    """Parts that have been run, and the file in which they are kept.

    Attributes:
        path: The file; None to keep nothing.
        version: Of the code.
        done: By name.
    """

    path: Path | None
    version: str = field(default_factory=version_of_code)
    done: dict[str, Done] = field(default_factory=dict)

    def take_up(self, *, older: bool) -> None:
        """Take in what the file holds of this version of the code (``older``: of any) that lost nothing."""
        if self.path is None or not self.path.exists():
            return
        found = json.loads(self.path.read_text(encoding="utf-8"))
        for one in map(Done.from_json, found):
            if not one.outcome.lost and (older or one.version == self.version):
                self.done[one.part] = one

    def has(self, part: str, asked: tuple[int, ...]) -> bool:
        """Whether a part is kept that was asked for in the same way."""
        return part in self.done and self.done[part].asked == asked

    def run(self, part: str, asked: tuple[int, ...], campaign: Callable[[], Outcome]) -> Done:
        """Run a part and keep what came of it; one that is kept is not run again."""
        if not self.has(part, asked):
            started, used = time.monotonic(), _processor()
            outcome = campaign()
            times = (time.monotonic() - started, _processor() - used)
            self.done[part] = Done(part, asked, outcome, self.version, *times)
            self._write()
        return self.done[part]

    def in_order(self, parts: Iterable[tuple[str, tuple[int, ...]]]) -> list[Done]:
        """What has been run of ``parts`` (name, what was asked for), in their order."""
        return [self.done[part] for part, asked in parts if self.has(part, asked)]

    def _write(self) -> None:
        if self.path is None:
            return
        whole = [one.to_json() for one in self.done.values()]
        half = self.path.with_name(f"{self.path.name}.half")
        half.write_text(json.dumps(whole, indent=2) + "\n", encoding="utf-8")
        os.replace(half, self.path)


def printed(done: list[Done]) -> str:
    """The table of what was run, and below it how much memory and time that took, and which code was run."""
    lines = [table(one.outcome for one in done), ""]
    for name, most in _grown(done).items():
        lines.append(f"Memory taken by {name}, at most: {most / 1024:.0f} MiB.")
    minutes, hours = sum(one.processor for one in done) / 60, sum(one.seconds for one in done) / 60
    lines.append(f"{minutes:.0f} minutes of the processor, {hours:.0f} of the clock.")
    versions: dict[str, list[str]] = {}
    for one in done:
        versions.setdefault(one.version, []).append(one.part)
    for version, parts in versions.items():
        which = (
            f"1 part, {parts[0]!r}"
            if len(parts) == 1
            else f"{len(parts)} parts, the first {parts[0]!r}, the last {parts[-1]!r}"
        )
        lines.append(f"Code {version}{f': {which}' if len(versions) > 1 else ''}.")
    return "\n".join(lines)


def _grown(done: list[Done]) -> dict[str, int]:
    found: dict[str, int] = {}
    for one in done:
        if one.outcome.grown:
            name = one.outcome.campaign
            found[name] = max(found.get(name, 0), one.outcome.grown)
    return found


def _processor() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)
