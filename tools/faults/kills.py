"""Campaign: SIGKILL before every file operation of every command that writes, then the command again."""

import random
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from faults.killing import Ended, difference, run_command, tree
from faults.stages import Case, Inputs, cases, make_inputs
from faults.table import Outcome

_LEFT_OUT = ("locks", ".lock", "__pycache__")


@dataclass(frozen=True)
class Place:
    """A campaign's folders.

    Attributes:
        root: Everything is below it.
        inputs: What the commands read.
    """

    root: Path
    inputs: Inputs

    def environment(self, folder: Path) -> dict[str, str]:
        """Variables of a command run in ``folder``."""
        return {"FRBIAS_HOME": str(folder / "home"), "OMP_NUM_THREADS": "1", "TMPDIR": str(self.root / "tmp")}

    def fresh(self, case: Case) -> Path:
        """A working folder at the one path that all runs of a case share, as the case finds it."""
        work, model = self.root / "work", self.root / "before"
        shutil.rmtree(work, ignore_errors=True)
        if model.exists():
            shutil.copytree(model, work, symlinks=True)
        else:
            (work / "home").mkdir(parents=True)
            (work / "home" / "embedded").symlink_to(self.inputs.home / "embedded")
        return work


def prepare(root: Path) -> Place:
    """Import what the commands need and make their inputs."""
    _import_all()
    (root / "tmp").mkdir(parents=True)

    def run(arguments: Sequence[str], folder: Path) -> None:
        ended = run_command(
            arguments, folder, environment={"FRBIAS_HOME": str(folder / "home"), "OMP_NUM_THREADS": "1"}
        )
        if ended.code:
            raise RuntimeError(f"{arguments[0]} ended with {ended.code}: {ended.text[-2000:]}")

    return Place(root, make_inputs(root / "inputs", run))


def kill_everywhere(place: Place, case: Case, points: Callable[[int], Sequence[int]]) -> Outcome:
    """Kill ``case`` at chosen file operations; each time run it again and compare with a run that was left alone.

    Args:
        place: From :func:`prepare`.
        case: The command.
        points: From the number of operations to those to kill at, counted from 1.
    """
    shutil.rmtree(place.root / "before", ignore_errors=True)
    if case.before:
        work = place.fresh(case)
        for arguments in case.before:
            _expect_done(run_command(arguments, work, environment=place.environment(work)), arguments)
        work.rename(place.root / "before")
    work = place.fresh(case)
    whole = run_command(case.arguments, work, environment=place.environment(work))
    _expect_done(whole, case.arguments)
    wanted = tree(work, _LEFT_OUT)
    outcome = Outcome(f"kill: {case.name}")
    for point in points(whole.operations):
        loss = _try(place, case, point, wanted)
        if loss is not None:
            outcome = outcome.plus(f"before operation {point} of {whole.operations}", loss)
        if outcome.lost:
            break
    return outcome


def _try(place: Place, case: Case, point: int, wanted: dict[str, str]) -> str | None:
    """What was lost by a kill; empty when nothing was, None when the command was done before the kill came."""
    work = place.fresh(case)
    environment = place.environment(work)
    killed = run_command(case.arguments, work, environment=environment, kill_at=point)
    if killed.code == 0 and not difference(wanted, tree(work, _LEFT_OUT)):
        return None
    if killed.code != -9:
        return f"was not killed, but ended with {killed.code}: {killed.text[-300:]}"
    again = run_command(case.again or case.arguments, work, environment=environment)
    if again.code:
        return f"the command again ended with {again.code}: {again.text[-600:]}"
    return difference(wanted, tree(work, _LEFT_OUT))


def _expect_done(ended: Ended, arguments: Sequence[str]) -> None:
    if ended.code:
        raise RuntimeError(f"{' '.join(arguments)} ended with {ended.code}: {ended.text[-2000:]}")


def _import_all() -> None:
    """Import what the commands import lazily, so that forked children need not."""
    import cv2
    import onnx  # noqa: F401
    import onnxruntime  # noqa: F401
    import torch

    import frbias.core.installing.models
    import frbias.core.reporting.figures.every
    import frbias.core.stages.embed
    import frbias.core.stages.evaluate
    import frbias.core.stages.export
    import frbias.core.stages.finetune
    import frbias.core.verification.bootstrap
    import frbias.synth.generate  # noqa: F401

    torch.set_num_threads(1)
    cv2.setNumThreads(1)


def spread(seed: int, count: int) -> Callable[[int], Sequence[int]]:
    """Choose ``count`` operations by chance, the first and last always; 0: every one."""

    def choose(operations: int) -> Sequence[int]:
        every = range(1, operations + 1)
        if not count or count >= operations:
            return every
        return sorted({1, operations, *random.Random(seed).sample(every, max(count - 2, 0))})

    return choose


def run_kills(points: Callable[[int], Sequence[int]], only: Sequence[str] = ()) -> Iterator[Outcome]:
    """The campaign, one outcome a command; ``only`` names commands."""
    with tempfile.TemporaryDirectory(prefix="frbias-faults-") as root:
        place = prepare(Path(root))
        for case in cases(place.inputs):
            if not only or case.name in only:
                yield kill_everywhere(place, case, points)


if __name__ == "__main__":
    for outcome in run_kills(spread(0, int(sys.argv[1])), sys.argv[2:]):
        print(outcome, flush=True)
