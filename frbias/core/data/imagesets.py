"""The loop that turns a producer into an image set: plan -> batches or worker processes -> files.

Finished units are recorded in ``<out>/.journal/rank-<r>.jsonl`` after their files are on disk, so a
run killed at any moment goes on where it was, with any number of ranks, and ends with the same bytes
as a run that was never interrupted.
"""

import math
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any

from frbias.core.data.images import UNREADABLE, encode_jpeg, encode_png
from frbias.core.data.journal import Journal, append, note_losses, read_journal
from frbias.core.data.samples import Rejected, SampleTable, read_samples, table_of, write_rejected, write_samples
from frbias.core.data.units import Chosen, Made, Producer, WorkUnit, keys_of
from frbias.core.foundation.ahead import done_behind
from frbias.core.foundation.devices import World, usable_cores, world_from_environment
from frbias.core.foundation.errors import BadInputError, FrbiasError
from frbias.core.foundation.files import make_folder, write_all
from frbias.core.foundation.folders import JOURNAL, Hold, hold
from frbias.core.foundation.group import process_group
from frbias.core.foundation.progress import SILENT, Progress
from frbias.core.foundation.provenance import StageFolder, Work, claim_together
from frbias.core.foundation.spawning import without_main
from frbias.core.foundation.words import counted

JPEG_QUALITY = 92
_AHEAD = 4  # units waiting for every worker
Record = dict[str, Any]


@dataclass(frozen=True)
class ImageSetResult:
    """Counts of a finished image set.

    Attributes:
        out: The image set.
        images: Images in the set.
        subjects: Identities in the set.
        rejected: Tasks that gave no image (listed in ``rejected.csv``).
        reused: Images that an earlier run of the same work had already made.
    """

    out: Path
    images: int
    subjects: int
    rejected: int
    reused: int


def produce(
    producer: Producer,
    out: Path,
    *,
    stage: str,
    version: int = 1,
    label: str,
    arguments: dict[str, Any] | None = None,
    inputs: dict[str, Any] | None = None,
    told: dict[str, str] | None = None,
    rejected: Sequence[Rejected] = (),
    batch_size: int = 1,
    workers: int = 1,
    force: bool = False,
    world: World | None = None,
    unchanged: Callable[[], bool] = lambda: True,
    progress: Progress = SILENT,
) -> ImageSetResult:
    """Run a producer's plan into the image set ``out``.

    Args:
        producer: What makes the images.
        out: Output folder: new, empty, or holding the same work.
        stage, version: Name and version of the stage in ``provenance.json``.
        label: What the progress bar says.
        arguments: What the images depend on; default: what the producer says of itself.
        inputs, told: Hashes of what is read, and what readers are told beside, for ``provenance.json``.
        rejected: Files (with reasons) that were refused before planning; listed first in ``rejected.csv``.
        batch_size: Units per call for producers that work in batches.
        workers: Worker processes for producers that work in processes; 0 means one per core.
        force: Replace an earlier image set in ``out``.
        world: Place among torchrun's processes; default: read from the environment.
        unchanged: Whether what is read still is as it was planned with; asked when a file could not be read.
        progress: Where to report.

    Raises:
        UsageError: ``out`` holds something else.
        BadInputError: The plan is empty, not one image could be made, or files vanished meanwhile.
    """
    world, units = world or world_from_environment(), producer.plan()
    if not any(unit.tasks for unit in units):
        raise BadInputError(f"There is nothing to {stage}: the plan has no images.")
    with process_group(world) as barrier:
        arguments = producer.describe() if arguments is None else arguments
        work = Work(stage, version, arguments, inputs or {}, told or {})
        folder = claim_together(out, work, world, barrier, force=force)
        if folder.finished:
            return _summary(out, folder.results().get("rejected", 0), reused=True)
        keys, done, before = keys_of(units), *_done_before(out)
        barrier()
        pending = Chosen(units, world.shard([k for k, key in enumerate(keys) if key not in done]))
        resumed = f" ({len(done)} of {len(units)} units were done)" if done else ""
        with progress.task(label + resumed, pending.tasks()) as advance:
            _work(producer, out, pending, batch_size=batch_size, workers=workers, rank=world.rank, advance=advance)
        barrier()
        if world.leader:
            _complete(folder, keys, list(rejected), unchanged)
        barrier()
        return _summary(out, folder.results().get("rejected", 0), reused=False, before=before)


def finish_unit(out: Path, unit: WorkUnit, made: Sequence[Made]) -> Record:
    """Write the files of one unit and return its journal record."""
    rows: list[Record] = []
    rejected: list[Rejected] = []
    files: list[tuple[Path, bytes]] = []
    for task, item in zip(unit.tasks, made, strict=True):
        if item.file_name not in ("", task.file_name):
            raise RuntimeError(f"{item.file_name} was made where {task.file_name} was planned")
        if item.image is None:
            source = str(task.columns.get("source_file") or unit.source_file or task.file_name)
            sex = task.columns.get("sex")
            rejected.append(Rejected(source, item.reason, task.subject, task.age, sex if isinstance(sex, str) else ""))
            continue
        encode = encode_png if task.file_name.lower().endswith(".png") else _jpeg
        files.append((out / task.file_name, encode(item.image)))
        files += [(out / name, data) for name, data in item.extra_files.items()]
        base = {"file_name": task.file_name, "subject": task.subject, "age": None if math.isnan(task.age) else task.age}
        rows.append({**base, **task.columns, **item.columns})
    write_all(files)
    return {"unit": unit.key, "rows": rows, "rejected": _unique(rejected)}


def _unique(rejected: Sequence[Rejected]) -> list[Rejected]:
    """One for each file and reason; what differs between the tasks of a file is not known of the file."""
    found: dict[tuple[str, str], Rejected] = {}
    for one in rejected:
        key = (one.file, one.reason)
        found[key] = _common(found.get(key, one), one)
    return list(found.values())


def _common(one: Rejected, other: Rejected) -> Rejected:
    return Rejected(
        one.file,
        one.reason,
        one.subject if one.subject == other.subject else "",
        one.age if one.age == other.age else math.nan,
        one.sex if one.sex == other.sex else "",
    )


def _jpeg(image: Any) -> bytes:
    return encode_jpeg(image, JPEG_QUALITY)


def _work(
    producer: Producer,
    out: Path,
    pending: Sequence[WorkUnit],
    *,
    batch_size: int,
    workers: int,
    rank: int,
    advance: Callable[[int], None],
) -> None:
    count = min(workers or usable_cores(), len(pending))
    if producer.parallel == "processes" and count > 1:
        records = _in_processes(producer, out, pending, count)
    else:
        records = _in_batches(producer, out, pending, batch_size if producer.parallel == "batches" else 1)
    journal = out / JOURNAL
    make_folder(journal)
    with (journal / f"rank-{rank}.jsonl").open("ab") as stream:
        stream.write(b"\n")
        for record in records:
            append(stream, record["unit"], record["rows"], record["rejected"])
            advance(len(record["rows"]) + len(record["rejected"]))


def _in_batches(producer: Producer, out: Path, units: Sequence[WorkUnit], step: int) -> Iterator[Record]:
    """Units in this process; those of a producer that works in batches are written while it makes the next ones."""

    def made() -> Iterator[Callable[[], Record]]:
        for start in range(0, len(units), step):
            batch = units[start : start + step]
            for unit, pictures in zip(batch, producer.render(batch), strict=True):
                yield partial(finish_unit, out, unit, pictures)

    if producer.parallel == "processes":
        return (finish() for finish in made())
    threads = usable_cores()
    return done_behind(made(), threads=threads, most=max(step, threads))


def _in_processes(producer: Producer, out: Path, units: Sequence[WorkUnit], workers: int) -> Iterator[Record]:
    producer.prepare()
    context = get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker, initargs=(producer, out))
    try:
        with without_main(producer):
            waiting = deque(pool.submit(_render_in_worker, unit) for unit in units[: workers * _AHEAD])
        for place in range(len(waiting), len(units) + len(waiting)):
            yield waiting.popleft().result()
            if place < len(units):
                with without_main(producer):  # it may start a worker
                    waiting.append(pool.submit(_render_in_worker, units[place]))
    except BrokenProcessPool:
        raise FrbiasError(
            "A worker process was ended from outside, as systems do when memory runs out; what is done is kept.",
            hint="Run the command again to go on, with fewer --workers.",
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


_worker: tuple[Producer, Path, Hold] | None = None


def _start_worker(producer: Producer, out: Path) -> None:
    global _worker
    import cv2

    threading.Thread(target=_leave_with_parent, daemon=True).start()

    cv2.setNumThreads(1)
    _worker = (producer, out, hold(out, lock=False))


def _leave_with_parent() -> None:
    """End this worker when the process that started it is gone, however it went."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _render_in_worker(unit: WorkUnit) -> Record:
    if _worker is None:
        raise RuntimeError("worker process was not started by produce()")
    producer, out, _ = _worker
    (made,) = producer.render([unit])
    return finish_unit(out, unit, made)


def _complete(folder: StageFolder, keys: Sequence[str], refused: list[Rejected], unchanged: Callable[[], bool]) -> None:
    out = folder.path
    found = read_journal(out, listed=True)
    missing = [key for key in keys if key not in found]
    if missing:
        note_losses(out)
        raise BadInputError(f"{counted(len(missing), 'unit')} unfinished (first: {missing[0]}); run the command again.")
    rejected = refused + [one for key in keys for one in found.rejected(key)]
    refuse_vanished(rejected[len(refused) :], unchanged)
    frame = found.frame(keys)
    if not len(frame):
        raise BadInputError(f"Not one image could be made; {rejected[0].file}: {rejected[0].reason}")
    table = table_of(out, frame)
    write_rejected(out, rejected)
    write_samples(table)
    folder.finish({"images": len(table), "subjects": int(table.frame["subject"].nunique()), "rejected": len(rejected)})


def refuse_vanished(rejected: Sequence[Rejected], unchanged: Callable[[], bool]) -> None:
    """Refuse to call work finished when files of it that were there when it was planned could not be read.

    Args:
        rejected: What gave no result.
        unchanged: Whether everything still is as it was when the work was planned.

    Raises:
        BadInputError: Some could not be, and something has changed since.
    """
    gone = [one for one in rejected if one.reason.startswith(UNREADABLE)]
    if gone and not unchanged():
        raise BadInputError(
            f"{len(gone)} of the files vanished meanwhile ({gone[0].file} {gone[0].reason}); put them back and run the "
            "command again."
        )


def _done_before(out: Path) -> tuple[frozenset[str], int]:
    """Units that are finished, and how many images they have."""
    journal = read_journal(out)
    if journal.lost:
        note_losses(out)
    done = frozenset(unit for unit in journal if not _may_yet_be_read(journal, unit))
    return done, journal.rows(done)


def _may_yet_be_read(journal: Journal, unit: str) -> bool:
    """Whether a file of the unit could not be reached when it was made: it may be there when the work is taken up."""
    return any(one.reason.startswith(UNREADABLE) for one in journal.rejected(unit))


def _summary(out: Path, rejected: int, *, reused: bool, before: int = 0) -> ImageSetResult:
    table: SampleTable = read_samples(out)
    earlier = len(table) if reused else before
    return ImageSetResult(Path(out), len(table), int(table.frame["subject"].nunique()), rejected, earlier)
