"""The embedding stage: an aligned image set and a recogniser give one vector per face.

On the CPU images go through the network in tiles of a fixed number of consecutive rows, whatever the batch size,
so that an embedding does not depend on how the work was cut. Finished parts are kept in ``.journal`` until all
are there: a killed run goes on where it was, and ranks of a torchrun launch share the parts.
"""

import json
import math
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from frbias.core.data.datasets.loading import synthetic_origin
from frbias.core.data.datasets.resolving import resolve_data
from frbias.core.data.embeddings import COLUMNS, FILE_NAME, Embeddings, write_embeddings
from frbias.core.data.images import UNREADABLE
from frbias.core.data.imagesets import refuse_vanished
from frbias.core.data.samples import POINT_COLUMNS, Rejected, SampleTable, read_rejected, rejected_row, write_rejected
from frbias.core.data.table_rows import rows_of
from frbias.core.foundation.devices import World, choose_device, describe_device, world_from_environment
from frbias.core.foundation.errors import BadInputError
from frbias.core.foundation.files import atomic_path, sha256_json
from frbias.core.foundation.folders import JOURNAL
from frbias.core.foundation.group import process_group
from frbias.core.foundation.machine import LOCAL, Machine
from frbias.core.foundation.plans import Plan, step_of
from frbias.core.foundation.provenance import Work, claim_together, library_versions, read_provenance
from frbias.core.foundation.words import counted
from frbias.core.recognisers.loading import load_recogniser
from frbias.core.stages.align import hash_of_images
from frbias.core.stages.embedding import TILE, Embedded, FedNetwork, in_arithmetic
from frbias.core.stages.requests.embed import EmbedOptions, EmbedRequest
from frbias.core.stages.telling import told_of_folder

if TYPE_CHECKING:
    from frbias.core.recognisers.base import Recogniser

STAGE, VERSION = "embed", 3
PART = 32 * TILE


@dataclass(frozen=True)
class EmbeddingResult:
    """What an embedding run left.

    Attributes:
        out: Folder with ``embeddings.parquet``.
        images: Embedded faces.
        rejected: Images that could not be embedded (listed in ``rejected.csv``).
        dimension: Length of an embedding.
        reused: True when the same work had been finished before.
    """

    out: Path
    images: int
    rejected: int
    dimension: int
    reused: bool


def embed(request: EmbedRequest, out: Path, *, machine: Machine = LOCAL, force: bool = False) -> EmbeddingResult:
    """Embed a data set with a recogniser into the folder ``out``; the call behind ``frbias embed``.

    Args:
        request: What to embed, and how.
        out: Output folder.
        machine: What may be used.
        force: Replace an earlier result in ``out``.

    Raises:
        UsageError: ``out`` holds something else, or the device is not there.
        BadInputError: The set is empty, is not aligned, or no image could be embedded.
        AssetMissingError: The data set or the weights are not on this machine.
    """
    choose_device(machine.resources.device)
    table = resolve_data(request.data)
    recogniser = load_recogniser(request.weights, given=request.input_format(), progress=machine.progress)
    recogniser = in_arithmetic(recogniser, request.arithmetic)
    return embed_table(table, recogniser, out, options=request, machine=machine, force=force)


def plan_embed(request: EmbedRequest, out: Path, *, machine: Machine = LOCAL) -> Plan:
    """What :func:`embed` would do.

    Raises:
        UsageError: The device is not there.
        BadInputError: The set holds no images.
        AssetMissingError: The data set or the weights are not on this machine.
    """
    device = describe_device(choose_device(machine.resources.device))
    table = resolve_data(request.data)
    recogniser = in_arithmetic(load_recogniser(request.weights, given=request.input_format()), request.arithmetic)
    what = f"Embed {counted(len(table), 'face')} with {recogniser.name}"
    return Plan((step_of(what, embed_work(table, recogniser, request), out),), device)


def embed_table(
    table: SampleTable,
    recogniser: "Recogniser",
    out: Path,
    *,
    options: EmbedOptions | None = None,
    machine: Machine = LOCAL,
    force: bool = False,
    world: World | None = None,
    work: Work | None = None,
) -> EmbeddingResult:
    """Embed every image of an aligned set into the folder ``out``.

    Args:
        table: Aligned faces (the recogniser's input size).
        recogniser: The recogniser.
        out: Output folder.
        options: How; default: the face alone, without its mirror image.
        machine: What may be used; on the CPU tiles of ``TILE`` images are used, whatever the batch size.
        force: Replace an earlier result in ``out``.
        world: Place among torchrun's processes.
        work: What :func:`embed_work` says of the same set, recogniser and options, when it is known already.

    Raises:
        UsageError: ``out`` holds something else.
        BadInputError: The set is empty, is not aligned, or no image could be embedded.
    """
    if not len(table):
        raise BadInputError(f"{table.root} has no images to embed.")
    chosen, world = options or EmbedOptions(), world or world_from_environment()
    with process_group(world) as barrier:
        work = work or embed_work(table, recogniser, chosen)
        folder = claim_together(out, work, world, barrier, force=force)
        if not folder.finished:
            _embed_parts(table, recogniser, out, chosen, machine, world)
            barrier()
            if world.leader:
                merged, rejected = _merge(table, out, work)
                refuse_vanished(rejected, lambda: hash_of_images(table)["files"] == work.inputs["files"])
                write_rejected(out, [*rejected, *_earlier_rejected(table)])
                write_embeddings(out / FILE_NAME, merged)
                dimension = int(merged.matrix.shape[1])
                folder.finish({"images": len(merged), "rejected": len(rejected), "dimension": dimension})
            barrier()
    done = folder.results()
    return EmbeddingResult(Path(out), done["images"], done["rejected"], done["dimension"], folder.finished)


def embed_images(
    table: SampleTable,
    recogniser: "Recogniser",
    *,
    options: EmbedOptions | None = None,
    machine: Machine = LOCAL,
) -> Embeddings:
    """Embed an aligned set in memory, without a folder; see :func:`embed_table`."""
    chosen = options or EmbedOptions()
    parts = []
    with machine.progress.task("embedding", len(table)) as advance:
        for part in FedNetwork(recogniser, chosen, machine).embed(table.paths):
            parts.append(part)
            advance(len(part.reasons))
    return _assemble(table, parts, embed_work(table, recogniser, chosen))[0]


def embed_work(table: SampleTable, recogniser: "Recogniser", options: EmbedOptions) -> Work:
    """What the embeddings of ``table`` depend on, what is reported along with them included."""
    arguments = {
        "name": recogniser.name,
        "backbone": recogniser.description.to_json(),
        "weights_sha256": recogniser.sha256,
        "flip": options.flip,
    }
    if options.arithmetic != "fp32":
        arguments["arithmetic"] = options.arithmetic
    inputs: dict[str, Any] = hash_of_images(table)
    if before := _earlier_failures(table):
        listed = [[str(value) for value in astuple(row)] for row in _earlier_rejected(table)]
        inputs["rejected_before"] = {"count": before, "listed": sha256_json(listed)}
    if (origin := synthetic_origin(table)) is not None:
        inputs["synthetic"] = origin
    return Work(STAGE, VERSION, arguments, inputs, told_of_folder(table.root))


def _embed_parts(
    table: SampleTable,
    recogniser: "Recogniser",
    out: Path,
    options: EmbedOptions,
    machine: Machine,
    world: World,
) -> None:
    mine = [s for s in world.shard(range(0, len(table), PART)) if not _is_kept(_part_path(out, s))]
    if not mine:
        return
    where = describe_device(choose_device(machine.resources.device))
    machine.tell(f"embedding {counted(len(table), 'face')} with {recogniser.name} on {where}")
    lengths = [min(PART, len(table) - start) for start in mine]
    names, root = rows_of(table.frame["file_name"]), os.path.join(table.root, "")
    paths = [root + name for start, length in zip(mine, lengths, strict=True) for name in names(start, start + length)]
    network = FedNetwork(recogniser, options, machine)
    parts = _in_parts(network.embed(paths), lengths)
    with machine.progress.task("embedding", len(paths)) as advance:
        for start, part in zip(mine, parts, strict=True):
            _write_part(_part_path(out, start), part)
            advance(len(part.reasons))


def _in_parts(batches: Iterable[Embedded], lengths: Sequence[int]) -> Iterator[Embedded]:
    """Cut what comes in batches into parts of the given lengths."""
    vectors: list[npt.NDArray[np.float32]] = []
    reasons: list[str] = []
    wanted = iter(lengths)
    length = next(wanted)
    for batch in batches:
        vectors.append(batch.vectors)
        reasons += batch.reasons
        while length and len(reasons) >= length:
            whole = np.concatenate(vectors)
            yield Embedded(whole[:length], reasons[:length])
            vectors, reasons, length = [whole[length:]], reasons[length:], next(wanted, 0)


def _part_path(out: Path, start: int) -> Path:
    return Path(out) / JOURNAL / f"part-{start:09d}.npz"


def _write_part(path: Path, part: Embedded) -> None:
    reasons = np.frombuffer(json.dumps(part.reasons).encode(), dtype=np.uint8)
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.savez(stream, vectors=part.vectors, reasons=reasons)


def _read_part(path: Path) -> Embedded:
    with np.load(path, allow_pickle=False) as saved:
        return Embedded(saved["vectors"], json.loads(saved["reasons"].tobytes()))


def _is_kept(path: Path) -> bool:
    """Whether a part was made before, and every file of it that is there now was there then."""
    try:
        return not any(str(reason).startswith(UNREADABLE) for reason in _read_part(path).reasons)
    except (OSError, ValueError, KeyError, BadZipFile):
        return False


def _merge(table: SampleTable, out: Path, work: Work) -> tuple[Embeddings, list[Rejected]]:
    return _assemble(table, [_read_part(_part_path(out, s)) for s in range(0, len(table), PART)], work)


def _assemble(table: SampleTable, parts: list[Embedded], work: Work) -> tuple[Embeddings, list[Rejected]]:
    reasons = [reason for part in parts for reason in part.reasons]
    kept = np.array([not reason for reason in reasons])
    failed_rows = table.frame[~kept].to_dict("records")
    rejected = [rejected_row(row, reason) for row, reason in zip(failed_rows, filter(None, reasons), strict=True)]
    if not kept.any():
        raise BadInputError(
            f"Not one image of {table.root} could be embedded; {rejected[0].file} {rejected[0].reason}.",
            hint="Align the set first: frbias align SET --out ALIGNED",
        )
    frame = table.frame.drop(columns=[c for c in POINT_COLUMNS if c in table.frame.columns])
    frame = frame.assign(sex=frame["sex"] if "sex" in frame.columns else "")
    ordered = frame[[*COLUMNS, *(c for c in frame.columns if c not in COLUMNS)]][kept].reset_index(drop=True)
    matrix = np.concatenate([part.vectors for part in parts])
    matrix = matrix if kept.all() else matrix[kept]
    failed = [*rejected, *_earlier_rejected(table)]
    attempts = len(table) + _earlier_failures(table)
    provenance = {
        **work.arguments,
        "inputs": work.inputs,
        "failure_to_acquire": {
            "failures": len(rejected) + _earlier_failures(table),
            "attempts": attempts,
            "by": _failures_by(failed),
        },
        "synthetic": synthetic_origin(table),
        "versions": library_versions(),
    }
    return Embeddings(ordered, matrix, provenance), rejected


def _failures_by(failed: Sequence[Rejected]) -> list[dict[str, Any]]:
    """How many images of which age (years, None unknown) and sex failed, for rates by group."""
    counted = Counter((None if math.isnan(one.age) else one.age, one.sex) for one in failed)
    ordered = sorted(counted.items(), key=lambda item: (item[0][0] is None, item[0][0] or 0.0, item[0][1]))
    return [{"age": age, "sex": sex, "failures": count} for (age, sex), count in ordered]


def _earlier_failures(table: SampleTable) -> int:
    record = read_provenance(table.root) or {}
    return int(record.get("results", {}).get("rejected", 0)) if record.get("stage") == "align" else 0


def _earlier_rejected(table: SampleTable) -> list[Rejected]:
    return read_rejected(table.root) if _earlier_failures(table) else []
