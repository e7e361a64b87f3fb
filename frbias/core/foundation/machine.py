"""What a stage may use of the machine; none of it changes a result on the CPU."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from frbias.core.foundation.progress import SILENT, Progress
from frbias.core.foundation.requests import Request, option

PANEL = "Machine"
_DEVICE = re.compile(r"auto|cpu|cuda(:\d{1,3})?")


@dataclass(frozen=True, kw_only=True)
class Resources(Request):
    """Options that say where and how wide work is done.

    Attributes:
        device: ``auto``, ``cpu`` or ``cuda[:i]``.
        workers: Worker processes; 0 means one per core.
        threads: Threads of the scoring; 0 means one per core.
        batch_size: Images in flight at once.
    """

    title = "the machine options"
    device: str = option(
        "auto",
        help="auto, cpu, cuda or cuda:0, cuda:1, ...",
        panel=PANEL,
        metavar="DEVICE",
        decides=False,
        completes="device",
    )
    workers: int = option(0, help="Worker processes; 0 means one per core.", panel=PANEL, low=0, decides=False)
    threads: int = option(0, help="Threads; 0 means one per core.", panel=PANEL, low=0, decides=False)
    batch_size: int = option(
        128,
        help="Images in flight at once; never changes the result on CPU.",
        panel=PANEL,
        low=1,
        high=65_536,
        decides=False,
    )

    def conflicts(self) -> Iterator[str]:
        """A device of no known kind; whether this machine has it is seen when it is used."""
        if not _DEVICE.fullmatch(self.device.strip().lower()):
            yield f"--device {self.device!r} is unknown; use auto, cpu, cuda or cuda:0, cuda:1, ..."


def _silently(message: str) -> None:
    del message


@dataclass(frozen=True)
class Machine:
    """What a stage works with.

    Attributes:
        resources: Device, workers, threads, batch size.
        progress: Where long work is reported.
        tell: Called with one sentence as each part of the work begins.
    """

    resources: Resources = Resources()
    progress: Progress = SILENT
    tell: Callable[[str], None] = _silently


LOCAL = Machine()
