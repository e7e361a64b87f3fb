"""The embedding stage: an aligned image set and a recogniser give one vector per face.

On the CPU images go through the network in tiles of a fixed number of consecutive rows, whatever the batch size,
so that an embedding does not depend on how the work was cut. Finished parts are kept in ``.journal`` until all
are there: a killed run goes on where it was, and ranks of a torchrun launch share the parts.
"""

import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from frbias.core.data.datasets.loading import synthetic_origin
from frbias.core.data.embeddings import COLUMNS, FILE_NAME, Embeddings, read_embeddings, write_embeddings
from frbias.core.data.images import read_image
from frbias.core.data.imagesets import JOURNAL
from frbias.core.data.samples import POINT_COLUMNS, SampleTable, write_rejected
from frbias.core.foundation.devices import World, process_group, world_from_environment
from frbias.core.foundation.errors import BadImageError, BadInputError, UsageError
from frbias.core.foundation.files import atomic_path
from frbias.core.foundation.progress import SILENT, Progress
from frbias.core.foundation.provenance import claim_together, library_versions, read_provenance
from frbias.core.stages.align import hash_of_images

if TYPE_CHECKING:
    from frbias.core.recognisers.base import Recogniser

STAGE = "embed"
FLIPS = ("none", "add", "concat")
TILE = 16
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


def embed(
    table: SampleTable,
    recogniser: "Recogniser",
    out: Path,
    *,
    flip: str = "none",
    device: str = "auto",
    batch_size: int = 128,
    force: bool = False,
    world: World | None = None,
    progress: Progress = SILENT,
) -> EmbeddingResult:
    """Embed every image of an aligned set into the folder ``out``.

    Args:
        table: Aligned faces (the recogniser's input size).
        recogniser: The recogniser.
        out: Output folder.
        flip: ``none``; ``add`` the embedding of the mirrored face; or ``concat`` it.
        device: ``auto``, ``cpu`` or ``cuda[:i]``.
        batch_size: Images per step on CUDA; on the CPU tiles of ``TILE`` images are used.
        force: Replace an earlier result in ``out``.
        world: Place among torchrun's processes.
        progress: Where to report.

    Raises:
        UsageError: ``out`` holds something else; ``flip`` is unknown.
        BadInputError: The set is empty, is not aligned, or no image could be embedded.
    """
    if flip not in FLIPS:
        raise UsageError(f"--flip {flip!r} is unknown; use {', '.join(FLIPS)}.")
    if not len(table):
        raise BadInputError(f"{table.root} has no images to embed.")
    world = world or world_from_environment()
    arguments = _arguments(recogniser, flip)
    with process_group(world) as barrier:
        inputs = hash_of_images(table)
        folder = claim_together(out, world, barrier, stage=STAGE, arguments=arguments, inputs=inputs, force=force)
        if not folder.finished:
            _embed_parts(table, recogniser, out, flip, device, batch_size, world, progress)
            barrier()
            if world.leader:
                merged, rejected = _merge(table, out, {**arguments, "name": recogniser.name, "inputs": inputs})
                write_rejected(out, rejected)
                write_embeddings(out / FILE_NAME, merged)
                dimension = int(merged.matrix.shape[1])
                folder.finish({"images": len(merged), "rejected": len(rejected), "dimension": dimension})
                shutil.rmtree(out / JOURNAL, ignore_errors=True)
            barrier()
    done = folder.results()
    return EmbeddingResult(Path(out), done["images"], done["rejected"], done["dimension"], folder.finished)


def embed_images(
    table: SampleTable,
    recogniser: "Recogniser",
    *,
    flip: str = "none",
    device: str = "auto",
    batch_size: int = 128,
    progress: Progress = SILENT,
) -> Embeddings:
    """Embed an aligned set in memory, without a folder; see :func:`embed`."""
    network = _Network(recogniser, flip, device, batch_size)
    with progress.task("embedding", len(table)) as advance:
        parts = [network.part(table, start, advance) for start in range(0, len(table), PART)]
    arguments = _arguments(recogniser, flip)
    merged, _ = _assemble(table, parts, {**arguments, "name": recogniser.name, "inputs": hash_of_images(table)})
    return merged


@dataclass(frozen=True)
class _Part:
    vectors: npt.NDArray[np.float32]
    reasons: list[str]  # empty: embedded


def _arguments(recogniser: "Recogniser", flip: str) -> dict[str, Any]:
    return {"backbone": recogniser.description.to_json(), "weights_sha256": recogniser.sha256, "flip": flip}


class _Network:
    """A recogniser on its device, fed with tiles."""

    def __init__(self, recogniser: "Recogniser", flip: str, device: str, batch_size: int) -> None:
        from frbias.core.foundation.devices import choose_device

        target = choose_device(device)
        self.recogniser = recogniser.on(str(target))
        self.size = recogniser.input_size
        self.flip = flip
        self.tile = TILE if target.type == "cpu" else batch_size

    def part(self, table: SampleTable, start: int, advance: Callable[[int], None]) -> _Part:
        """Vectors of the rows ``start`` to ``start + PART``; zeros where an image cannot be embedded."""
        paths = table.paths[start : start + PART]
        with ThreadPoolExecutor(max_workers=4) as pool:
            loaded = list(pool.map(self._load, paths))
        pixels = np.zeros((len(paths), *self.size, 3), np.uint8)
        for index, (image, _) in enumerate(loaded):
            if image is not None:
                pixels[index] = image
        vectors = []
        for first in range(0, len(paths), self.tile):
            vectors.append(self._forward(pixels[first : first + self.tile]))
            advance(min(self.tile, len(paths) - first))
        return _Part(np.concatenate(vectors), [reason for _, reason in loaded])

    def _load(self, path: Path) -> tuple[npt.NDArray[np.uint8] | None, str]:
        try:
            image = read_image(path)
        except BadImageError as error:
            return None, str(error).removeprefix(f"{path} ").rstrip(".")
        if image.shape[:2] != self.size:
            height, width = image.shape[:2]
            return None, f"is {width}x{height}, not {self.size[1]}x{self.size[0]}"
        return image, ""

    def _forward(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        count = len(pixels)
        if count < self.tile:
            pixels = np.concatenate([pixels, np.zeros((self.tile - count, *pixels.shape[1:]), np.uint8)])
        straight = self.recogniser.embed(pixels)
        if self.flip == "none":
            return straight[:count]
        mirrored = self.recogniser.embed(np.ascontiguousarray(pixels[:, :, ::-1]))
        both = straight + mirrored if self.flip == "add" else np.concatenate([straight, mirrored], axis=1)
        return both[:count]


def _embed_parts(
    table: SampleTable,
    recogniser: "Recogniser",
    out: Path,
    flip: str,
    device: str,
    batch_size: int,
    world: World,
    progress: Progress,
) -> None:
    mine = [s for s in world.shard(range(0, len(table), PART)) if not _part_path(out, s).is_file()]
    if not mine:
        return
    network = _Network(recogniser, flip, device, batch_size)
    with progress.task("embedding", sum(min(PART, len(table) - s) for s in mine)) as advance:
        for start in mine:
            _write_part(_part_path(out, start), network.part(table, start, advance))


def _part_path(out: Path, start: int) -> Path:
    return Path(out) / JOURNAL / f"part-{start:09d}.npz"


def _write_part(path: Path, part: _Part) -> None:
    reasons = np.frombuffer(json.dumps(part.reasons).encode(), dtype=np.uint8)
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.savez(stream, vectors=part.vectors, reasons=reasons)


def _read_part(path: Path) -> _Part:
    with np.load(path, allow_pickle=False) as saved:
        return _Part(saved["vectors"], json.loads(saved["reasons"].tobytes()))


def _merge(table: SampleTable, out: Path, made: dict[str, Any]) -> tuple[Embeddings, list[tuple[str, str]]]:
    return _assemble(table, [_read_part(_part_path(out, s)) for s in range(0, len(table), PART)], made)


def _assemble(table: SampleTable, parts: list[_Part], made: dict[str, Any]) -> tuple[Embeddings, list[tuple[str, str]]]:
    reasons = [reason for part in parts for reason in part.reasons]
    kept = np.array([not reason for reason in reasons])
    names = [str(name) for name in table.frame["file_name"]]
    rejected = [(name, reason) for name, reason in zip(names, reasons, strict=True) if reason]
    if not kept.any():
        raise BadInputError(
            f"Not one image of {table.root} could be embedded; {rejected[0][0]} {rejected[0][1]}.",
            hint="Align the set first: frbias align SET --out ALIGNED",
        )
    frame = table.frame.drop(columns=[c for c in POINT_COLUMNS if c in table.frame.columns])
    frame = frame.assign(sex=frame["sex"] if "sex" in frame.columns else "")
    ordered = frame[[*COLUMNS, *(c for c in frame.columns if c not in COLUMNS)]][kept].reset_index(drop=True)
    matrix = np.concatenate([part.vectors for part in parts])[kept]
    failures = len(rejected) + _earlier_failures(table)
    attempts = len(names) + _earlier_failures(table)
    provenance = {
        **made,
        "failure_to_acquire": {"failures": failures, "attempts": attempts},
        "synthetic": synthetic_origin(table),
        "versions": library_versions(),
    }
    return Embeddings(ordered, matrix, provenance), rejected


def _earlier_failures(table: SampleTable) -> int:
    record = read_provenance(table.root) or {}
    return int(record.get("results", {}).get("rejected", 0)) if record.get("stage") == "align" else 0


__all__ = ["EmbeddingResult", "Embeddings", "embed", "embed_images", "read_embeddings", "write_embeddings"]
