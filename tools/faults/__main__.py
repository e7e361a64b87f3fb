"""Run the campaigns: ``python -m faults [--long] [--json FILE] [--seed N]``; ends with 1 at the first thing lost."""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from faults.images import run_images
from faults.kills import kill_everywhere
from faults.load import run_load
from faults.place import Place, make_ready, prepare
from faults.ranks import run_ranks, run_torchrun
from faults.servers import run_servers
from faults.stages import cases
from faults.surroundings import CAMPAIGNS
from faults.table import HEAD, Outcome, row, table
from faults.tables import run_tables
from faults.weights import run_weights


@dataclass(frozen=True)
class Sizes:
    """How much is tried; 0 where everything is.

    Attributes:
        documents, images, weights, servers: Files and servers.
        kills: File operations of a command before which it is killed.
        faults: Faults of each kind of the surroundings, for each command.
        every: Each command meets one in so many of the kinds of faults, every kind some of the commands.
        load, ranks, torchrun: Kills under load, of ranks, and of processes of torchrun.
    """

    documents: int
    images: int
    weights: int
    servers: int
    kills: int
    faults: int
    every: int
    load: int
    ranks: int
    torchrun: int


SHORT = Sizes(
    documents=1000, images=2000, weights=50, servers=20, kills=3, faults=1, every=5, load=6, ranks=5, torchrun=1
)
LONG = Sizes(
    documents=4000, images=20_000, weights=340, servers=0, kills=0, faults=3, every=1, load=60, ranks=30, torchrun=4
)


def campaigns(seed: int, sizes: Sizes, only: str = "") -> Iterator[Outcome]:
    """Every campaign, the fast ones first; ``only``: of the commands, those whose name begins with it."""
    yield run_tables(seed, sizes.documents)
    yield run_images(seed, sizes.images)
    yield run_servers(seed, sizes.servers)
    with tempfile.TemporaryDirectory(prefix="frbias-faults-") as root:
        Path(root).chmod(0o755)  # for the campaign in which another user runs the commands
        place = prepare(Path(root))
        yield run_weights(place, seed, sizes.weights)
        yield from _commands(place, seed, sizes, only)
        yield run_load(place, seed, sizes.load)
        yield run_ranks(place, seed, sizes.ranks)
        yield run_torchrun(place, seed, sizes.torchrun)


def _commands(place: Place, seed: int, sizes: Sizes, only: str) -> Iterator[Outcome]:
    """Kills, one outcome a command; then the surroundings, one outcome for all commands."""
    found = {name: Outcome(name) for name in CAMPAIGNS}
    for number, case in enumerate(cases(place.inputs)):
        if not case.name.startswith(only):
            continue
        ready = make_ready(place, case)
        yield kill_everywhere(ready, seed, sizes.kills)
        for kind, (name, campaign) in enumerate(CAMPAIGNS.items()):
            if (number + kind) % sizes.every:
                continue
            for fault, loss in campaign(ready, seed, sizes.faults):
                found[name] = found[name].plus(f"{case.name}, {fault}", loss)
                if loss:
                    yield found[name]
    yield from found.values()


def main() -> int:
    """Print the table as it grows; returns the exit code."""
    parser = argparse.ArgumentParser(prog="faults", description=__doc__)
    parser.add_argument("--long", action="store_true", help="every file operation, 20,000 images (hours)")
    parser.add_argument("--json", type=Path, help="write what came of it here")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="of the commands, those whose name begins with this")
    chosen = parser.parse_args()
    print(HEAD, flush=True)
    found: list[Outcome] = []
    for outcome in campaigns(chosen.seed, LONG if chosen.long else SHORT, chosen.only):
        found.append(outcome)
        print(row(outcome), flush=True)
        if outcome.lost:
            break
    print(table(found).splitlines()[-1])
    if chosen.json is not None:
        chosen.json.write_text(json.dumps([one.to_json() for one in found], indent=2) + "\n", encoding="utf-8")
    for outcome in found:
        for loss in outcome.lost:
            print(f"lost: {outcome.campaign}, {loss}", file=sys.stderr)
    return int(any(outcome.lost for outcome in found))


if __name__ == "__main__":
    raise SystemExit(main())
