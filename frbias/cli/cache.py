"""``frbias cache``: what evaluations share, kept so that it is made once."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from frbias.cli import console
from frbias.cli.help import Command, group
from frbias.cli.takes import Part, takes
from frbias.core.foundation.requests import Request, option
from frbias.core.foundation.words import counted, size_text

if TYPE_CHECKING:
    from frbias.core.foundation.cache import Entry

app = group(
    "Aligned faces and embeddings that evaluations share: list, clear.\n\n"
    "They are kept below the data root, at most 20 GB of them; the variable FRBIAS_CACHE_SIZE (e.g. 50G) says how much. "
    "The least recently used go first."
)


@dataclass(frozen=True, kw_only=True)
class Clearing(Request):
    """What to remove.

    Attributes:
        kind: Only this kind; None for everything.
    """

    title = "cache clear"
    kind: Literal["aligned", "embeddings"] | None = option(None, help="Only aligned faces, or only embeddings.")


@app.command("list", cls=Command)
@takes()
def list_entries() -> None:
    """What is kept, how large it is, and when it was last used.

    [bold]Examples[/bold]

        frbias cache list

        frbias cache list --json
    """
    from frbias.core.stages.shared import describe_entry, shared_cache

    cache = shared_cache()
    entries = cache.entries()
    total = sum(entry.size for entry in entries)
    rows = [
        (e.kind, describe_entry(e) + ("" if e.complete else ", unfinished"), size_text(e.size), _time(e), e.key[:8])
        for e in entries
    ]

    def human() -> None:
        if rows:
            console.table("", ["kind", "what", "size", "last used", "key"], rows, numeric=(2,))
        console.say(
            f"{counted(len(entries), 'result')}, {size_text(total)} of at most {size_text(cache.limit)}, in {cache.root}."
        )

    value = [
        {"kind": e.kind, "what": describe_entry(e), "bytes": e.size, "last_used": _time(e), "key": e.key,
         "complete": e.complete, "path": str(e.path)}
        for e in entries
    ]  # fmt: skip
    console.result({"root": str(cache.root), "limit": cache.limit, "bytes": total, "entries": value}, human)


@app.command(cls=Command)
@takes(Part(Clearing))
def clear(request: Clearing) -> None:
    """Remove what is kept. Nothing is lost but the time to make it again; what a process is using stays.

    [bold]Examples[/bold]

        frbias cache clear

        frbias cache clear --kind embeddings
    """
    from frbias.core.stages.shared import shared_cache

    removed = shared_cache().clear(request.kind)
    freed = sum(entry.size for entry in removed)
    console.result(
        {"removed": len(removed), "bytes": freed},
        lambda: console.say(f"{counted(len(removed), 'result')} removed, {size_text(freed)} freed."),
    )


def _time(entry: "Entry") -> str:
    return datetime.fromtimestamp(entry.used).isoformat(" ", "minutes") if entry.used else ""
