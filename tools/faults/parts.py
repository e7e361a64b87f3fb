"""The campaigns in parts, each of which can be run by itself: kills and surroundings one part a command."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType

from faults.images import run_images
from faults.kills import kill_everywhere
from faults.large import run_large
from faults.load import run_load
from faults.place import Place, Ready, make_ready, prepare
from faults.ranks import run_ranks, run_torchrun
from faults.servers import run_servers
from faults.stages import Inputs, cases
from faults.surroundings import CAMPAIGNS
from faults.table import Outcome
from faults.tables import run_tables
from faults.weights import run_weights


@dataclass(frozen=True)
class Sizes:
    """How much is tried; 0 where everything is.

    Attributes:
        documents, images, large, weights, servers: Files and servers; ``large`` are pictures of many millions of pixels.
        kills: File operations of a command before which it is killed.
        faults: Faults of each kind of the surroundings, for each command.
        every: Each command meets one in so many of the kinds of faults, every kind some of the commands.
        load, ranks, torchrun: Kills under load, of ranks, and of processes of torchrun.
    """

    documents: int
    images: int
    large: int
    weights: int
    servers: int
    kills: int
    faults: int
    every: int
    load: int
    ranks: int
    torchrun: int


SHORT = Sizes(
    documents=1000,
    images=2000,
    large=1,
    weights=50,
    servers=20,
    kills=2,
    faults=1,
    every=8,
    load=3,
    ranks=5,
    torchrun=1,
)
LONG = Sizes(
    documents=20_000,
    images=100_000,
    large=0,
    weights=340,
    servers=0,
    kills=0,
    faults=1,
    every=1,
    load=18,
    ranks=20,
    torchrun=4,
)


@dataclass(frozen=True)
class Part:
    """Some tries of one campaign.

    Attributes:
        name: Its own.
        asked: The seed, and how much is tried.
        run: Does them.
    """

    name: str
    asked: tuple[int, ...]
    run: Callable[[], Outcome]


class Bench:
    """Where parts work: made when the first of them needs it, removed at the end of the block."""

    def __init__(self) -> None:
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._place: Place | None = None
        self._ready: dict[str, Ready] = {}

    def __enter__(self) -> "Bench":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._folder is not None:
            self._folder.cleanup()

    def place(self) -> Place:
        """The folders, with the inputs of all commands."""
        if self._place is None:
            self._folder = tempfile.TemporaryDirectory(prefix="frbias-faults-")
            root = Path(self._folder.name)
            root.chmod(0o755)  # for the campaign in which another user runs the commands
            self._place = prepare(root)
        return self._place

    def ready(self, name: str) -> Ready:
        """A command that has been run once without a fault."""
        if name not in self._ready:
            place = self.place()
            case = next(case for case in cases(place.inputs) if case.name == name)
            self._ready[name] = make_ready(place, case)
        return self._ready[name]


def parts(bench: Bench, seed: int, sizes: Sizes) -> list[Part]:
    """Every part: what costs little first, then kills, and last what takes several processes."""
    names = [case.name for case in cases(Inputs(Path(), Path()))]

    def part(name: str, count: int, run: Callable[[int, int], Outcome]) -> Part:
        return Part(name, (seed, count), lambda: run(seed, count))

    return [
        part("images", sizes.images, run_images),
        part("large", sizes.large, run_large),
        part("tables", sizes.documents, run_tables),
        part("servers", sizes.servers, run_servers),
        part("weights", sizes.weights, lambda *asked: run_weights(bench.place(), *asked)),
        *(
            part(f"{campaign}: {name}", sizes.faults, partial(_faults, bench, campaign, name))
            for kind, campaign in enumerate(CAMPAIGNS)
            for number, name in enumerate(names)
            if (number + kind) % sizes.every == 0
        ),
        *(part(f"kill: {name}", sizes.kills, partial(_kills, bench, name)) for name in names),
        part("load", sizes.load, lambda *asked: run_load(bench.place(), *asked)),
        part("ranks", sizes.ranks, lambda *asked: run_ranks(bench.place(), *asked)),
        part("torchrun", sizes.torchrun, lambda *asked: run_torchrun(bench.place(), *asked)),
    ]


def _kills(bench: Bench, name: str, seed: int, count: int) -> Outcome:
    return kill_everywhere(bench.ready(name), seed, count)


def _faults(bench: Bench, campaign: str, name: str, seed: int, count: int) -> Outcome:
    found = Outcome(campaign)
    for fault, loss in CAMPAIGNS[campaign](bench.ready(name), seed, count):
        found = found.plus(f"{name}, {fault}", loss)
        if loss:
            break
    return found
