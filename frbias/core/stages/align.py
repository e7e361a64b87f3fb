"""The alignment stage: an image set or a folder of photographs becomes a set of crops on a template."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt

from frbias.core.data.datasets.loading import load_photographs
from frbias.core.data.datasets.resolving import resolve_whole
from frbias.core.data.file_hashes import MISSING, file_hashes
from frbias.core.data.images import read_image
from frbias.core.data.imagesets import produce
from frbias.core.data.samples import METADATA_NAME, POINT_COLUMNS, Rejected, SampleTable
from frbias.core.data.table_rows import rows_of
from frbias.core.data.units import Column, LazyUnits, Made, Task, WorkUnit
from frbias.core.faces.align import (
    AlignedFace,
    align_arcface,
    align_ffhq,
)
from frbias.core.faces.detect import describe_detector, find_face, load_detector
from frbias.core.faces.point_errors import point_error
from frbias.core.foundation.devices import World, world_from_environment
from frbias.core.foundation.errors import BadImageError, BadInputError
from frbias.core.foundation.files import sha256_json
from frbias.core.foundation.group import decided_by_the_leader, process_group
from frbias.core.foundation.machine import LOCAL, Machine
from frbias.core.foundation.plans import Plan, step_of
from frbias.core.foundation.progress import SILENT, Progress
from frbias.core.foundation.provenance import Work
from frbias.core.foundation.words import counted
from frbias.core.stages.align_result import AlignResult, align_result
from frbias.core.stages.crop_names import crops_of
from frbias.core.stages.requests.align import AlignOptions, AlignRequest
from frbias.core.stages.telling import told_of_folder

STAGE, VERSION = "align", 2
_UNIT_IMAGES = 8
_PLACED = ("file_name", "subject", "age")
_DERIVED = ("detector_score", "point_agreement", "transform_residual", "point_error", "source_file", *POINT_COLUMNS)


@dataclass(frozen=True)
class _Source:
    path: Path
    points: npt.NDArray[np.float64] | None


@dataclass(frozen=True)
class _Found:
    points: npt.NDArray[np.float64]
    columns: Mapping[str, Column]


@dataclass(frozen=True)
class AlignProducer:
    """Plans and makes the crops; see :class:`frbias.core.data.units.Producer`.

    Attributes:
        table: The images to align.
        options: How.
    """

    table: SampleTable
    options: AlignOptions
    parallel: Literal["processes", "batches"] = "processes"

    def describe(self) -> dict[str, Any]:
        """The options, resolved."""
        return self.options.identity()

    def plan(self) -> LazyUnits:
        """Units of a few images each, in the order of the table; made when they are asked for."""
        frame, root = self.table.frame, self.table.root
        points, keep = self.table.point_array(), [str(c) for c in frame.columns if c not in (*_PLACED, *_DERIVED)]
        given = [rows_of(frame[name]) for name in (*_PLACED, *keep)]
        crops = crops_of(frame["file_name"])

        def make(unit: int) -> WorkUnit:
            start, end = unit * _UNIT_IMAGES, min((unit + 1) * _UNIT_IMAGES, len(frame))
            rows = zip(crops(start, end), *(column(start, end) for column in given), strict=True)
            tasks, sources = [], []
            for place, (crop, file, subject, age, *rest) in enumerate(rows, start):
                columns = {name: _plain(value) for name, value in zip(keep, rest, strict=True)}
                tasks.append(Task(crop, str(subject), float(age), {**columns, "source_file": file}))
                known = points is not None and not np.isnan(points[place]).any()
                sources.append(_Source(root / file, points[place] if known and points is not None else None))
            return WorkUnit(f"{start:08d}", tuple(tasks), tuple(sources))

        starts = range(0, len(frame), _UNIT_IMAGES)
        counts = [min(_UNIT_IMAGES, len(frame) - start) for start in starts]
        return LazyUnits([f"{start:08d}" for start in starts], counts, make)

    def __getstate__(self) -> dict[str, Any]:
        """What workers get: the options; what they align comes with each unit."""
        return {**self.__dict__, "table": self.table.select([])}

    def prepare(self) -> None:
        """Nothing: the detector is embedded, or on this machine."""

    def render(self, units: Sequence[WorkUnit]) -> Iterator[list[Made]]:
        """Align the images of each unit."""
        threads = cv2.getNumThreads()
        cv2.setNumThreads(1)
        try:
            for unit in units:
                yield [self._align(source) for source in unit.payload]
        finally:
            cv2.setNumThreads(threads)

    def _align(self, source: _Source) -> Made:
        try:
            image = read_image(source.path)
            if self.options.detector == "none":
                return Made(_resized(image, self.options.side), {"detector_score": None, "point_agreement": None})
            found = self._find(image, source)
            face = self._crop(image, found.points)
        except BadImageError as error:
            return Made(None, reason=error.reason)
        limit = self.options.max_residual * self.options.side
        if limit and face.residual > limit:
            return Made(None, reason=f"the face points do not look like a face ({face.residual:.1f} pixels off)")
        places = zip(POINT_COLUMNS, (round(float(v), 3) for v in face.points.ravel()), strict=True)
        residual = _rounded(face.residual / self.options.side)
        columns: Mapping[str, Column] = {**found.columns, "transform_residual": residual, **dict(places)}
        return Made(face.image, columns)

    def _find(self, image: npt.NDArray[np.uint8], source: _Source) -> _Found:
        if self.options.detector == "points":
            if source.points is None:
                raise BadImageError("the table has no face points for it")
            return _Found(source.points, {"detector_score": None, "point_agreement": None})
        face, count = find_face(load_detector(self.options.detector), image, self.options.faces)
        if face is None:
            raise BadImageError(f"{count} faces found" if count else "no face found")
        columns = {"detector_score": _rounded(face.score), "point_agreement": _rounded(face.agreement)}
        if source.points is not None:
            columns["point_error"] = _rounded(point_error(face.points, source.points))
        return _Found(face.points, columns)

    def _crop(self, image: npt.NDArray[np.uint8], points: npt.NDArray[np.float64]) -> AlignedFace:
        cut = align_arcface if self.options.template == "arcface" else align_ffhq
        return cut(image, points, self.options.side)


def align(request: AlignRequest, out: Path, *, machine: Machine = LOCAL, force: bool = False) -> AlignResult:
    """Align the images of a data set into the image set ``out``; the call behind ``frbias align``.

    Args:
        request: What to align, and how.
        out: Output folder.
        machine: What may be used.
        force: Replace an earlier result in ``out``.

    Raises:
        UsageError: ``out`` holds something else.
        BadInputError: The set is empty, no face was found in any image, or points that are to be compared with are
            not there.
        AssetMissingError: The data set or the detector is not on this machine.
    """
    describe_detector(request.detector)
    table, refused = photographs_of(request.data, machine.progress)
    if request.against_points and all(points is None for points in table.every_point()):
        raise BadInputError(f"{request.data} has no annotated face points (columns x1 .. y5) to compare with.")
    return align_table(table, out, options=request, refused=refused, machine=machine, force=force)


def plan_align(request: AlignRequest, out: Path) -> Plan:
    """What :func:`align` would do.

    Raises:
        BadInputError: The set is empty.
        AssetMissingError: The data set or the detector is not on this machine.
    """
    table, refused = photographs_of(request.data)
    what = f"Align {counted(len(table), 'image')} with {request.detector}, template {request.template} ({request.side})"
    return Plan((step_of(what, align_work(table, request, refused), out),))


def align_table(
    table: SampleTable,
    out: Path,
    *,
    options: AlignOptions | None = None,
    refused: Sequence[tuple[str, str]] = (),
    machine: Machine = LOCAL,
    force: bool = False,
    world: World | None = None,
    work: Work | None = None,
) -> AlignResult:
    """Align every image of ``table`` into the image set ``out``.

    Images without a usable face are counted and listed in ``rejected.csv``.

    Args:
        table: Images; ``subject`` and ``age`` are carried over, ``source_file`` names the original.
        out: Output folder.
        options: How; default: YuNet and the 112 x 112 ArcFace crop.
        refused: Files (with reasons) that did not make it into the table; listed first in ``rejected.csv``.
        machine: What may be used.
        force: Replace an earlier result in ``out``.
        world: Place among torchrun's processes.
        work: What :func:`align_work` says of the same table and options, when it is known already.

    Raises:
        UsageError: ``out`` holds something else.
        BadInputError: The table is empty, or no face was found in any image.
        AssetMissingError: The detector is not on this machine.
    """
    chosen = options or AlignOptions()
    work = work or align_work(table, chosen, refused)
    files = work.inputs["files"]
    made = produce(
        AlignProducer(table, chosen),
        out,
        stage=work.stage,
        version=work.version,
        label="aligning",
        arguments=work.arguments,
        inputs=work.inputs,
        told=work.told,
        rejected=[Rejected(*pair) for pair in refused],
        workers=machine.resources.workers,
        force=force,
        world=world,
        unchanged=lambda: hash_of_images(table)["files"] == files,
        progress=machine.progress,
    )
    return align_result(made)


def align_work(table: SampleTable, options: AlignOptions, refused: Sequence[tuple[str, str]] = ()) -> Work:
    """What aligning ``table`` depends on; every image is read for its hash.

    Raises:
        AssetMissingError: The detector is not on this machine.
    """
    inputs = {**hash_of_images(table), "detector": describe_detector(options.detector)}
    if refused:
        inputs["refused"] = sha256_json([list(pair) for pair in refused])
    return Work(STAGE, VERSION, options.identity(), inputs, told_of_folder(table.root))


def photographs_of(data: str, progress: Progress = SILENT) -> tuple[SampleTable, list[tuple[str, str]]]:
    """The images that ``data`` means, with the files that cannot be used; plain folders of photographs too.

    Raises:
        AssetMissingError: The set is known but not installed, or nobody knows it; says what to do.
        BadInputError: The path does not exist, or holds no images.
    """
    path = Path(data).expanduser()
    try:
        found = resolve_whole(data)
    except BadInputError:
        if not path.is_dir() or (path / METADATA_NAME).exists():
            raise
        found = load_photographs(path)
        progress.note(f"warning: {path} is in no layout that names people or ages; both stay unknown.")
    if found.passed_over:
        progress.note(f"warning: {found.passed_over}.")
    return found.table, found.rejected


def hash_of_images(table: SampleTable) -> dict[str, str]:
    """Hashes of an image set: of its table, and of the contents of its files in row order; made once in a launch.

    Raises:
        BadInputError: Not one of its files is there.
    """
    world = world_from_environment()

    def made() -> dict[str, str]:
        files = file_hashes(table.root, table.frame["file_name"].tolist())
        if files and all(digest == MISSING for digest in files):
            raise BadInputError(f"None of the {counted(len(files), 'file')} of {table.root} is there; put them back.")
        return {"table": table.content_hash(), "files": sha256_json(files)}

    with process_group(world):
        return decided_by_the_leader(made, world)


def _resized(image: npt.NDArray[np.uint8], side: int) -> npt.NDArray[np.uint8]:
    shrinks = min(image.shape[:2]) >= side
    resized = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return np.asarray(resized, dtype=np.uint8)


def _rounded(value: float) -> float | None:
    return round(value, 6) if np.isfinite(value) else None


def _plain(value: Any) -> Column:
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and np.isnan(value) else value
