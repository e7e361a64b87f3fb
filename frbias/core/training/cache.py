"""The output of a frozen prefix, computed once per image and view and kept on disk.

Without a change of its weights and with its BatchNorm in eval mode, a frozen prefix is a constant function of
the pixels. Every view of an image set is one entry of the cache: a raw memory-mapped array and a small record
written last, under a name derived from pixels, weights, preprocessing, view and number format. Entries are
shared by all runs that need the same.
"""

import os
import platform
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from filelock import FileLock, Timeout

from frbias.core.assets.prefixes import DATA, LOCK, RECORD, entries, finish_entry, is_entry, prefix_folder
from frbias.core.foundation.ahead import done_ahead
from frbias.core.foundation.devices import World, on_this_machine, usable_cores
from frbias.core.foundation.errors import UsageError
from frbias.core.foundation.files import sha256_bytes, sha256_json
from frbias.core.foundation.folders import make_private
from frbias.core.foundation.group import of_everyone
from frbias.core.foundation.progress import SILENT, Progress
from frbias.core.foundation.words import size_text
from frbias.core.recognisers.trainable.base import Backbone, stage_of_entries
from frbias.core.recognisers.trainable.weights import state_sha256
from frbias.core.training.augment import view
from frbias.core.training.options import FinetuneOptions
from frbias.core.training.pixels import FaceSet

_CHUNK = 32
_PIECE = 32  # images that a thread gathers at a time
_AHEAD = 3  # batches under way, one of them used
Rows = npt.NDArray[np.int64]
_KEPT_BYTES = 20 * 1024**3
_SPARE_BYTES = 1024**3
_WORTH_IT = 1.25  # writing and reading has a price
_LARGEST_HALF = 65_504.0
_TYPES: dict[str, tuple[torch.dtype, int]] = {
    "fp16": (torch.float16, 2),
    "bf16": (torch.bfloat16, 2),
    "fp32": (torch.float32, 4),
}


class Prefix:
    """The leading frozen stages of a backbone as a function from faces to features.

    Args:
        model: The backbone, on its device.
        stages: Leading stages; may be empty, the function then is the preprocessing alone.
        dtype: ``fp32`` or ``bf16`` arithmetic.
        live: BatchNorm statistics move (``frozen_bn = train``): the function is not constant.
    """

    def __init__(self, model: Backbone, stages: tuple[str, ...], dtype: str, *, live: bool = False) -> None:
        self.model, self.stages, self.dtype, self.live = model, stages, dtype, live
        self.device = next(model.parameters()).device
        # Much faster for depthwise convolutions on a CPU, a little for all others; the trained stages follow.
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @torch.no_grad()
    def __call__(self, faces: npt.NDArray[np.uint8]) -> torch.Tensor:
        """Features of uint8 RGB faces (n, 112, 112, 3) on the model's device."""
        return self.of(torch.from_numpy(np.ascontiguousarray(faces)))

    @torch.no_grad()
    def of(self, faces: torch.Tensor) -> torch.Tensor:
        """Features of faces as above in a tensor of the host; pinned memory is copied in the background."""
        x = self.model.preprocess(faces.to(self.device, non_blocking=True))
        x = x.contiguous(memory_format=torch.channels_last)
        if not self.stages:
            return x
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.dtype == "bf16"):
            return self.model.run(x, self.stages).float().contiguous()

    def shape(self) -> tuple[int, ...]:
        """Shape of the features of one face."""
        size = self.model.input_size
        return tuple(self(np.zeros((1, size, size, 3), np.uint8)).shape[1:])

    def sha256(self) -> str:
        """Hash of everything the function depends on."""
        stages = stage_of_entries(self.model)
        weights = {k: v for k, v in self.model.state_dict().items() if stages[k] in self.stages}
        how = [self.model.architecture, self.stages, self.model.pixels.to_json(), self.dtype]
        return sha256_json([how, state_sha256(weights)])


@dataclass(frozen=True)
class CacheDecision:
    """Whether the prefix is cached.

    Attributes:
        used: The answer.
        bytes: Size of what the cache holds or would hold.
        reason: Why, one clause.
    """

    used: bool
    bytes: int
    reason: str


def decide(options: FinetuneOptions, prefix: Prefix, *, kept: int, uncached: int) -> CacheDecision:
    """Decide about the cache and check the disk.

    Args:
        options: The options.
        prefix: The frozen prefix.
        kept: Images, views counted, whose features the cache would hold.
        uncached: Images that would pass through the prefix without it.

    Raises:
        UsageError: ``cache = on`` and there is no prefix or no room.
    """
    shape = prefix.shape()
    size = kept * int(np.prod(shape)) * _TYPES[options.cache_dtype][1]
    room = max(_free_bytes(prefix_folder()) - _SPARE_BYTES, 0)
    forced = options.cache == "on"
    if not prefix.stages:
        if forced:
            raise UsageError("--cache on has nothing to keep: the first stages are not frozen.")
        return CacheDecision(False, 0, "the first stages are not frozen")
    if options.cache == "off" or prefix.live or options.augment == "fresh":
        return CacheDecision(
            False, size, "switched off" if options.cache == "off" else "the prefix has no constant output"
        )
    if size > room:
        if forced:
            raise UsageError(
                f"--cache on needs {size_text(size)} in {prefix_folder()}; beside 1 GB to spare it has {size_text(room)}."
            )
        return CacheDecision(False, size, f"the disk has room for {size_text(room)}")
    if forced:
        return CacheDecision(True, size, "asked for")
    if size > _KEPT_BYTES:
        return CacheDecision(False, size, "too large")
    if kept * _WORTH_IT > uncached:
        return CacheDecision(False, size, f"it would take {kept:,} images to save {uncached:,}")
    return CacheDecision(True, size, f"{kept:,} images computed instead of {uncached:,}")


class Features:
    """Features of an image set, from the cache or computed when asked for.

    Args:
        faces: The images.
        prefix: The function.
        cached: View number -> memory-mapped features of all images, or None.
    """

    def __init__(self, faces: FaceSet, prefix: Prefix, cached: dict[int, torch.Tensor] | None = None) -> None:
        self.faces, self.prefix, self.cached = faces, prefix, cached or {}

    def batch(self, rows: Rows, views: Rows) -> torch.Tensor:
        """Features (n, ...) in float32 of the given rows, each in its view."""
        return next(self.feed([(rows, views)]))

    def feed(self, wanted: Iterable[tuple[Rows, Rows]]) -> Iterator[torch.Tensor]:
        """Features of one batch of (rows, views) after the other; threads gather and augment the next ones meanwhile."""
        for host, _ in done_ahead(map(self._gathering, wanted), threads=usable_cores(), depth=_AHEAD):
            if host.dtype == torch.uint8:
                yield self.prefix.of(host)
            else:
                yield host.to(self.prefix.device, non_blocking=True).float()

    def _gathering(self, batch: tuple[Rows, Rows]) -> tuple[torch.Tensor, list[Callable[[], None]]]:
        """Memory for a batch, and the pieces of work that fill it."""
        rows, views = batch
        kept = all(int(number) in self.cached for number in np.unique(views))
        like = self.cached[int(views[0])] if kept else torch.from_numpy(self.faces.pixels[:1])
        shape, pinned = (len(rows), *like.shape[1:]), self.prefix.device.type == "cuda"
        host = torch.empty(shape, dtype=like.dtype, pin_memory=pinned)
        cuts = (slice(start, start + _PIECE) for start in range(0, len(rows), _PIECE))
        return host, [partial(self._fill, host[cut], rows[cut], views[cut], kept) for cut in cuts]

    def _fill(self, host: torch.Tensor, rows: Rows, views: Rows, kept: bool) -> None:
        for number, places in _by_view(views):
            if kept:
                host[torch.from_numpy(places)] = self.cached[number][torch.from_numpy(rows[places])]
            else:
                host.numpy()[places] = view(self.faces.pixels[rows[places]], rows[places], number)


def _by_view(views: npt.NDArray[np.int64]) -> Iterator[tuple[int, npt.NDArray[np.int64]]]:
    for number in np.unique(views):
        yield int(number), np.flatnonzero(views == number)


def cached_features(
    faces: FaceSet,
    prefix: Prefix,
    views: list[int],
    dtype: str,
    *,
    world: World,
    barrier: Callable[[], None],
    progress: Progress = SILENT,
) -> Features:
    """Features whose ``views`` are in the cache, building what is missing; ranks of one machine share the work.

    Every machine needs its own: give each a data root on a disk of its own (a shared one works, and is built twice).
    """
    stored: dict[int, torch.Tensor] = {}
    weights = prefix.sha256()
    shape = (len(faces.table), *prefix.shape())
    for number in views:
        key = sha256_json([faces.sha256, weights, number, dtype])
        folder = prefix_folder() / key[:32]
        wanted = not _complete(folder, shape, dtype)
        if any(of_everyone(wanted, world)):  # machines may keep their caches to themselves, and take part in waiting
            here = on_this_machine(world) if wanted else None
            _build(folder, faces, prefix, number, dtype, shape, here, barrier, progress)
        stored[number] = _open(folder, shape, dtype, write=False)
        if world.leader:
            os.utime(folder / RECORD)
    return Features(faces, prefix, stored)


def _build(
    folder: Path,
    faces: FaceSet,
    prefix: Prefix,
    number: int,
    dtype: str,
    shape: tuple[int, ...],
    here: World | None,
    barrier: Callable[[], None],
    progress: Progress,
) -> None:
    """Build an entry with the processes of this machine; None: it is here, and only its barriers are taken part in."""
    if here is None:
        barrier()
        barrier()
        barrier()
        return
    port = f"{os.environ.get('MASTER_ADDR')}:{os.environ.get('MASTER_PORT')}" if here.size > 1 else str(os.getpid())
    work = folder.with_name(f"{folder.name}.{sha256_bytes(f'{platform.node()} {port}'.encode())[:8]}")
    held = _begin(work, int(np.prod(shape)) * _TYPES[dtype][1]) if here.leader else None
    barrier()
    target = _open(work, shape, dtype, write=True)
    rows = np.arange(shape[0])
    chunks = here.shard([rows[i : i + _CHUNK] for i in range(0, len(rows), _CHUNK)])
    with progress.task(f"frozen stages, view {number}", sum(map(len, chunks))) as advance:
        for chunk in chunks:
            found = prefix(view(faces.pixels[chunk], chunk, number))
            if dtype == "fp16" and found.abs().max() > _LARGEST_HALF:
                raise UsageError("The features are too large for 16 bits; use --cache-dtype bf16 or fp32.")
            target[torch.from_numpy(chunk)] = found.to(_TYPES[dtype][0]).cpu()
            advance(len(chunk))
    del target
    barrier()
    if held is not None:
        record = {"shape": list(shape), "dtype": dtype, "view": number, "stages": list(prefix.stages)}
        finish_entry(work, record)
        _end(work, folder, held)
    barrier()


def _begin(work: Path, size: int) -> FileLock:
    """Make room and a folder to build in, with a file of ``size`` bytes; its lock says that somebody builds there."""
    make_private(prefix_folder())
    held = FileLock(work / LOCK)
    with FileLock(prefix_folder() / LOCK):
        _sweep()
        _make_room(size)
        make_private(work)
        held.acquire()
    with (work / DATA).open("wb") as file:
        file.truncate(size)
    return held


def _end(work: Path, folder: Path, held: FileLock) -> None:
    """Put what was built in its place."""
    with FileLock(prefix_folder() / LOCK):
        held.release()
        (work / LOCK).unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
        work.replace(folder)


def _sweep() -> None:
    """Remove what killed processes were building: folders that nobody holds."""
    for work in prefix_folder().glob("*.*"):
        if not work.is_dir():
            continue
        try:
            with FileLock(work / LOCK, timeout=0):
                shutil.rmtree(work, ignore_errors=True)
        except Timeout:
            continue


def _open(folder: Path, shape: tuple[int, ...], dtype: str, *, write: bool) -> torch.Tensor:
    kind = _TYPES[dtype][0]
    return torch.from_file(str(folder / DATA), shared=write, size=int(np.prod(shape)), dtype=kind).view(shape)


def _complete(folder: Path, shape: tuple[int, ...], dtype: str) -> bool:
    return is_entry(folder, shape, int(np.prod(shape)) * _TYPES[dtype][1])


def _make_room(needed: int) -> None:
    """Delete the entries used longest ago until the cache stays within its limit."""
    total = needed
    for entry in sorted(entries(), key=lambda p: (p / RECORD).stat().st_mtime, reverse=True):
        total += (entry / DATA).stat().st_size if (entry / DATA).exists() else 0
        if total > _KEPT_BYTES:
            shutil.rmtree(entry, ignore_errors=True)


def _free_bytes(folder: Path) -> int:
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def prefix_dtype(choice: str, device: torch.device) -> str:
    """Resolve ``auto``: bf16 where matrix units multiply it (AMX, CUDA from Ampere on), else fp32."""
    if choice != "auto":
        return choice
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    return "bf16" if has_amx() else "fp32"


def has_amx() -> bool:
    """True when the processor has AMX tiles that torch can use."""
    supported = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return bool(supported is not None and supported())
