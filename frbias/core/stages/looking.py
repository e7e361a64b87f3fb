"""One image set as an audit sees it: faces, crops, apparent ages, sharpness; rejected files beside them."""

from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd

from frbias.core.auditing.defects import thumbnails
from frbias.core.auditing.vectors import Faces, Float, faces_of
from frbias.core.data.images import read_image
from frbias.core.data.samples import Rejected, SampleTable, read_rejected
from frbias.core.foundation.devices import World
from frbias.core.foundation.errors import BadImageError
from frbias.core.foundation.machine import Machine
from frbias.core.stages.align import photographs_of
from frbias.core.stages.shared import embeddings_of, faces_for, is_aligned

if TYPE_CHECKING:
    from frbias.core.recognisers.base import Recogniser

_MARGIN = 0.5


@dataclass(frozen=True)
class Looked:
    """A set that was embedded.

    Attributes:
        table: The set as it was given.
        frame: Embedded faces: ``file_name`` (of the crop), ``source_file`` (in ``table``), ``subject``, ``age``, ``sex``.
        faces: Their unit embeddings.
        crops: uint8 (n, S, S, 3).
        small: Thumbnails for the search for copies.
        sharpness: Variance of the Laplacian of the grey crop.
        faceless: True where the detector finds no face in a set that was aligned already, (n,).
        rejected: Files that gave no crop or embedding.
    """

    table: SampleTable
    frame: pd.DataFrame
    faces: Faces
    crops: npt.NDArray[np.uint8]
    small: Float
    sharpness: Float
    faceless: npt.NDArray[np.bool_]
    rejected: tuple[Rejected, ...]


def look_at(data: str, recogniser: "Recogniser", machine: Machine) -> Looked:
    """Align (unless it is), embed and read a set; both come from the cache when they were made before.

    Raises:
        AssetMissingError: The set is not installed.
        BadInputError: It has no image with a face.
    """
    table, refused = photographs_of(data, machine.progress)
    world = World()
    aligned_before = is_aligned(table, recogniser.input_size)
    faces_table = faces_for(table, recogniser.input_size, machine, world, refused=refused)
    found = embeddings_of(faces_table, recogniser, machine, world)
    frame = found.frame.copy()
    if "source_file" not in frame.columns or aligned_before:
        frame["source_file"] = frame["file_name"]
    crops = np.stack([read_image(faces_table.root / name) for name in frame["file_name"]])
    rejected = [] if aligned_before else read_rejected(faces_table.root)
    kept = set(frame["file_name"])
    rejected += [
        Rejected(str(row["file_name"]), _why_lost(faces_table, row), str(row["subject"]), float(row["age"]))
        for row in faces_table.frame.to_dict("records")
        if row["file_name"] not in kept
    ]
    rejected += [Rejected(name, reason) for name, reason in refused if aligned_before]
    return Looked(
        table=table,
        frame=frame,
        faces=faces_of(found.matrix, found.subjects, found.ages),
        crops=crops,
        small=thumbnails(crops),
        sharpness=_sharpness(crops),
        faceless=_faceless(crops, machine) if aligned_before else np.zeros(len(crops), dtype=bool),
        rejected=tuple(rejected),
    )


def source_path(looked: Looked, row: int) -> Path:
    """The file that a row of the frame was made from."""
    return looked.table.root / str(looked.frame["source_file"].iloc[row])


def _why_lost(table: SampleTable, row: dict[Hashable, Any]) -> str:
    """Why a face has no embedding: its file cannot be read, or it is no face that the recogniser takes."""
    try:
        read_image(table.root / str(row["file_name"]))
    except BadImageError as error:
        return error.reason
    return "cannot be embedded"


def _sharpness(crops: npt.NDArray[np.uint8]) -> Float:
    return np.array([cv2.Laplacian(cv2.cvtColor(c, cv2.COLOR_RGB2GRAY), cv2.CV_64F).var() for c in crops])


def _faceless(crops: npt.NDArray[np.uint8], machine: Machine) -> npt.NDArray[np.bool_]:
    """Whether the detector finds no face in a crop with a margin of repeated border around it."""
    from frbias.core.faces.detect import load_detector

    detector = load_detector("yunet")
    margin = int(crops.shape[1] * _MARGIN)
    missing = np.zeros(len(crops), dtype=bool)
    with machine.progress.task("looking for faces", len(crops)) as advance:
        for index, crop in enumerate(crops):
            framed = cv2.copyMakeBorder(crop, margin, margin, margin, margin, cv2.BORDER_REPLICATE)
            missing[index] = not detector.detect(np.asarray(framed, dtype=np.uint8))
            advance(1)
    return missing
