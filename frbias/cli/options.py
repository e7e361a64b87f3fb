"""Options that several commands share, defined once."""

from pathlib import Path
from typing import Annotated

import typer

Out = Annotated[
    Path, typer.Option("--out", "-o", help="Folder to write; it may hold an unfinished run of the same work.")
]
Seed = Annotated[
    int, typer.Option("--seed", min=0, help="Seed of everything random; the same seed gives the same result.")
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:0, cuda:1, ...")]
Force = Annotated[bool, typer.Option("--force", help="Replace an earlier result of this command in --out.")]
Workers = Annotated[int, typer.Option("--workers", min=0, help="Worker processes; 0 means one per core.")]
BatchSize = Annotated[
    int, typer.Option("--batch-size", min=1, help="Images in flight at once; never changes the result on CPU.")
]
Data = Annotated[
    str,
    typer.Option("--data", help="Image set: a folder, or the name of a registered data set (see 'frbias data list')."),
]
Weights = Annotated[
    str,
    typer.Option("--weights", help="Recogniser: a name (see 'frbias models list'), a weight file, or a run folder."),
]


def numbers(text: str, option: str) -> list[float]:
    """Parse ``3,10.5,20`` or ``0:80:10`` (start:stop:step, stop included) given for ``option``.

    Raises:
        UsageError: Something is not a number, or the list is empty.
    """
    from frbias.core.foundation.errors import UsageError

    values: list[float] = []
    for part in (p.strip() for p in text.split(",")):
        try:
            if ":" in part:
                start, stop, step = (float(p) for p in part.split(":"))
                if step <= 0 or stop < start or (stop - start) / step > 10_000:
                    raise ValueError
                values += [start + i * step for i in range(int((stop - start) / step + 1e-9) + 1)]
            elif part:
                values.append(float(part))
        except ValueError:
            raise UsageError(
                f"{option} {text!r}: {part!r} is not a number or a start:stop:step range; write e.g. {option} 5,20,40."
            ) from None
    if not values:
        raise UsageError(f"{option} is empty; write e.g. {option} 5,20,40.")
    return values
