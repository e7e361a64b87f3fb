"""Claim, make, write: a protocol's document in a folder of its own."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from frbias.core.foundation.devices import World, world_from_environment
from frbias.core.foundation.errors import FrbiasError
from frbias.core.foundation.files import read_object, write_json
from frbias.core.foundation.group import process_group
from frbias.core.foundation.machine import Machine
from frbias.core.foundation.plans import Plan
from frbias.core.foundation.provenance import Work, claim_together
from frbias.core.stages.comparing import plan_of
from frbias.core.stages.outcomes import Measured, place_for
from frbias.core.stages.sources import Source
from frbias.core.verification.protocol_gates import protocol_failures


@dataclass(frozen=True)
class ProtocolTask:
    """A protocol's document that is ready to be made.

    Attributes:
        work: What it depends on.
        name: Path of its folder when none is given, without the letters of the key that are added.
        document: File name of the document.
        make: (world, folder) -> the document; called on every rank of a torchrun launch, the leader's is written. It
            may write further files into the folder.
        sources: Where the embeddings come from.
        gates: Conditions judged on the document.
    """

    work: Work
    name: str
    document: str
    make: Callable[[World, Path], dict[str, Any]]
    sources: tuple[Source, ...]
    gates: tuple[str, ...] = ()


def plan_document(task: ProtocolTask, out: Path | None, machine: Machine) -> Plan:
    """The steps that lead to a document."""
    return plan_of(task.sources, task.work, place_for(task.work, task.name, out), machine)


def settle_document(task: ProtocolTask, out: Path | None, *, machine: Machine, force: bool = False) -> Measured:
    """Claim the folder of a task, and make and write its document unless it is finished there.

    Args:
        task: What to do.
        out: The folder; None for a name of its own.
        machine: What may be used.
        force: Replace an earlier result.

    Raises:
        UsageError: ``out`` holds something else.
    """
    world, place = world_from_environment(), place_for(task.work, task.name, out)
    with process_group(world) as barrier:
        folder = claim_together(place, task.work, world, barrier, force=force)
        if not folder.finished:
            try:
                made = task.make(world, place)
            except FrbiasError:
                if world.leader:
                    folder.abandon()
                raise
            if world.leader:
                write_json(place / task.document, made)
                folder.finish({"document": task.document})
            barrier()
    documents = (read_object(place / task.document),) if world.leader else ()
    broken = tuple(text for document in documents for text in protocol_failures(task.gates, document))
    return Measured(place, documents, broken, folder.finished)
