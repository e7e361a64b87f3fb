"""Run the campaigns: ``python -m faults [--long] [--json FILE] [--seed N]``; ends with 1 at the first thing lost."""

import argparse
import dataclasses
import sys
import time
from pathlib import Path

from faults.keeping import Book, Done, printed
from faults.parts import LONG, SHORT, Bench, Part, parts
from faults.table import row


def run_parts(chosen: list[Part], book: Book, *, go_on: bool, minutes: float = 0.0) -> bool:
    """Run the parts that are not kept yet; returns whether all of them have been run.

    Args:
        chosen: The parts.
        book: What is kept.
        go_on: With the next part after a loss.
        minutes: After so many of the clock no other part is begun; 0: no limit.
    """
    until = time.monotonic() + 60 * minutes
    for part in chosen:
        if book.has(part.name, part.asked):
            continue
        if minutes and time.monotonic() > until:
            return False
        done = book.run(part.name, part.asked, part.run)
        print(f"{row(done.outcome)}  {part.name}, {done.processor:.0f} s", flush=True)
        for loss in done.outcome.lost:
            print(f"lost: {part.name}, {loss}", file=sys.stderr, flush=True)
        if done.outcome.lost and not go_on:
            return False
    return True


def main() -> int:
    """Print what comes of each part and, at the end, the table; returns the exit code: 1 for a loss, 2 for parts left."""
    parser = argparse.ArgumentParser(prog="faults", description=__doc__)
    parser.add_argument("--long", action="store_true", help="every file operation, 100,000 images (an hour or two)")
    parser.add_argument("--json", type=Path, help="keep what came of each part here")
    parser.add_argument("--resume", action="store_true", help="leave out what --json holds of this very code")
    parser.add_argument("--older", action="store_true", help="with --resume: what it holds of other code too")
    parser.add_argument("--minutes", type=float, default=0.0, help="begin no part after so many (0: no limit)")
    parser.add_argument("--kills", type=int, help="at so many operations of a command at most (0: at all)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", action="append", help="parts whose name has this in it; repeated: in this order")
    parser.add_argument("--go-on", action="store_true", help="with the next part after a loss")
    parser.add_argument("--table", action="store_true", help="run nothing; print the table of what --json holds")
    chosen = parser.parse_args()
    sizes = LONG if chosen.long else SHORT
    if chosen.kills is not None:
        sizes = dataclasses.replace(sizes, kills=chosen.kills)
    book = Book(chosen.json)
    if chosen.resume or chosen.table:
        book.take_up(older=chosen.older)
    with Bench() as bench:
        every = parts(bench, chosen.seed, sizes)
        wanted = list(dict.fromkeys(part for text in chosen.only or [""] for part in every if text in part.name))
        if not chosen.table:
            run_parts(wanted, book, go_on=chosen.go_on, minutes=chosen.minutes)
    done = book.in_order((part.name, part.asked) for part in wanted)
    print(f"\n{printed(done)}")
    return _code(done, len(wanted))


def _code(done: list[Done], wanted: int) -> int:
    if any(one.outcome.lost for one in done):
        return 1
    if len(done) < wanted:
        print(f"{wanted - len(done)} of {wanted} parts were not run; --resume goes on.", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
