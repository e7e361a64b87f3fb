"""Where the campaigns of commands work, and what a command leaves when nothing happens to it."""

import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from faults.killing import Ended, difference, run_command, tree
from faults.stages import Case, Inputs, make_inputs
from faults.warming import import_all, run_here

# Locks, and what a machine remembers of files that it has read and of its own speed (all of which hangs on when that was):
# no results.
LEFT_OUT = ("locks", ".lock", "__pycache__", "hashes", "timings.jsonl")


@dataclass(frozen=True)
class Place:
    """A campaign's folders.

    Attributes:
        root: Everything is below it.
        inputs: What the commands read.
        before: What the working folder holds before a command; a folder that need not exist.
    """

    root: Path
    inputs: Inputs
    before: Path = Path("/nonexistent")

    @property
    def work(self) -> Path:
        """The one working folder that all runs of a case share."""
        return self.root / "work"

    def environment(self) -> dict[str, str]:
        """Variables of a command run in the working folder."""
        home = str(self.work / "home")
        return {"FRBIAS_HOME": home, "OMP_NUM_THREADS": "1", "TMPDIR": str(self.root / "tmp")}

    def fresh(self) -> Path:
        """The working folder as the case finds it."""
        shutil.rmtree(self.work, ignore_errors=True)
        self.fill()
        return self.work

    def fill(self) -> None:
        """Put into the working folder, which may exist, what the case finds there."""
        if self.before.exists():
            shutil.copytree(self.before, self.work, symlinks=True, dirs_exist_ok=True)
            return
        home = self.work / "home"
        home.mkdir(parents=True)
        home.chmod(0o700)
        (home / "embedded").symlink_to(self.inputs.home / "embedded")


@dataclass(frozen=True)
class Ready:
    """A case that has been run once without a fault.

    Attributes:
        place: Where.
        case: What.
        operations: File operations of it.
        wanted: What it leaves, as a tree of hashes.
    """

    place: Place
    case: Case
    operations: int
    wanted: dict[str, str]

    @property
    def work(self) -> Path:
        """The working folder."""
        return self.place.work

    def run(self, **options: object) -> Ended:
        """Run the case; options are those of :func:`faults.killing.run_command`."""
        return run_command(self.case.arguments, self.work, environment=self.place.environment(), **options)  # type: ignore[arg-type]

    def difference(self) -> str:
        """What the working folder has otherwise than a run without a fault leaves it."""
        return difference(self.wanted, tree(self.work, LEFT_OUT))

    def again(self) -> str:
        """Give the command again; what is lost then."""
        arguments = self.case.again or self.case.arguments
        ended = run_command(arguments, self.work, environment=self.place.environment())
        if ended.code:
            return f"the command again ended with {ended.code}: {ended.text[-600:]}"
        return self.difference()


def prepare(root: Path) -> Place:
    """Import what the commands need and make their inputs."""
    import_all()
    (root / "tmp").mkdir(parents=True)

    def run(arguments: Sequence[str], folder: Path) -> None:
        environment = {"FRBIAS_HOME": str(folder / "home"), "OMP_NUM_THREADS": "1"}
        _expect_done(run_command(arguments, folder, environment=environment), arguments)

    return Place(root, make_inputs(root / "inputs", run))


def make_ready(place: Place, case: Case) -> Ready:
    """Run a case without a fault: once here, so that children find everything loaded, once in a child."""
    place = replace(place, before=place.root / "before" / re.sub(r"\W+", "-", case.name))
    shutil.rmtree(place.before, ignore_errors=True)
    place.before.parent.mkdir(exist_ok=True)
    place.fresh()
    for arguments in (*case.before, case.arguments):
        run_here(arguments, place.work, place.environment())
    if case.before:
        place.fresh()
        for arguments in case.before:
            _expect_done(run_command(arguments, place.work, environment=place.environment()), arguments)
        os.rename(place.work, place.before)
    place.fresh()
    whole = run_command(case.arguments, place.work, environment=place.environment())
    _expect_done(whole, case.arguments)
    return Ready(place, case, whole.operations, tree(place.work, LEFT_OUT))


def _expect_done(ended: Ended, arguments: Sequence[str]) -> None:
    if ended.code:
        raise RuntimeError(f"{' '.join(arguments)} ended with {ended.code}: {ended.text[-2000:]}")
