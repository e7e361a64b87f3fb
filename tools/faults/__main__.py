"""Run the campaigns: ``python -m faults [--long] [--json FILE] [--seed N]``; ends with 1 at the first thing lost."""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from faults.images import run_images
from faults.kills import run_kills, spread
from faults.table import HEAD, Outcome, row, table
from faults.tables import run_tables


def campaigns(seed: int, *, long: bool) -> Iterator[Outcome]:
    """Every campaign, the fast ones first."""
    yield run_tables(seed, 2000 if long else 500)
    yield run_images(seed, 20_000 if long else 2000)
    yield from run_kills(spread(seed, 0 if long else 4))


def main() -> int:
    """Print the table as it grows; returns the exit code."""
    parser = argparse.ArgumentParser(prog="faults", description=__doc__)
    parser.add_argument("--long", action="store_true", help="every file operation, 20,000 images (hours)")
    parser.add_argument("--json", type=Path, help="write what came of it here")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    print(HEAD, flush=True)
    found: list[Outcome] = []
    for outcome in campaigns(chosen.seed, long=chosen.long):
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
