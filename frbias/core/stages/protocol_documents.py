"""Claim, make, write: a protocol's document in a folder of its own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from frbias.core.foundation.devices import World, process_group, world_from_environment
from frbias.core.foundation.errors import FrbiasError
from frbias.core.foundation.files import read_json, write_json
from frbias.core.foundation.machine import Machine
from frbias.core.foundation.provenance import Work, claim_together
from frbias.core.stages.outcomes import Measured

_KEY_LETTERS = 8


def settle_document(
    work: Work,
    out: Path | None,
    make: Callable[[World, Path], dict[str, Any]],
    document: str,
    *,
    name: str,
    machine: Machine,
    force: bool = False,
) -> Measured:
    """Claim the folder of some work, and make and write its document unless it is finished there.

    Args:
        work: What the document depends on.
        out: The folder; None for ``<name>-<first letters of the key>``, which no other work has.
        make: (world, folder) -> the document; called on every rank of a torchrun launch, the leader's is written. It
            may write further files into the folder.
        document: File name of the document.
        name: Path of the folder without ``out``, to which letters of the key are added.
        machine: What may be used.
        force: Replace an earlier result.

    Raises:
        UsageError: ``out`` holds something else.
    """
    world, place = world_from_environment(), out if out is not None else Path(f"{name}-{work.key[:_KEY_LETTERS]}")
    with process_group(world) as barrier:
        folder = claim_together(place, work, world, barrier, force=force)
        if not folder.finished:
            machine.tell("measuring")
            try:
                made = make(world, place)
            except FrbiasError:
                if world.leader:
                    folder.abandon()
                raise
            if world.leader:
                write_json(place / document, made)
                folder.finish({"document": document})
            barrier()
    documents = (read_json(place / document),) if world.leader else ()
    return Measured(place, documents, (), folder.finished)
