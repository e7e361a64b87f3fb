"""What came of an alignment: counts, the faces whose points are not to be trusted, errors against annotations."""

from dataclasses import dataclass

import numpy as np

from frbias.core.data.imagesets import ImageSetResult
from frbias.core.data.samples import SampleTable, read_samples
from frbias.core.faces.multiscale import DOUBTFUL_AGREEMENT
from frbias.core.faces.point_errors import PointErrorReport, report_point_errors


@dataclass(frozen=True)
class DoubtfulFace:
    """A face on whose points the scales do not agree.

    Attributes:
        file_name: The crop.
        source_file: The picture.
        agreement: ``point_agreement`` of ``metadata.csv``, 0..1.
    """

    file_name: str
    source_file: str
    agreement: float


@dataclass(frozen=True)
class AlignResult(ImageSetResult):
    """Counts of a finished set of crops.

    Attributes:
        doubtful: Faces with an agreement below ``DOUBTFUL_AGREEMENT``, the worst first.
        point_errors: Errors of the detected points; None when no picture has annotated points.
    """

    doubtful: tuple[DoubtfulFace, ...] = ()
    point_errors: PointErrorReport | None = None


def align_result(made: ImageSetResult) -> AlignResult:
    """The result with what the table of the finished set says of its points."""
    table = read_samples(made.out)
    return AlignResult(
        made.out,
        made.images,
        made.subjects,
        made.rejected,
        made.reused,
        doubtful=doubtful_faces(table),
        point_errors=_point_errors(table),
    )


def doubtful_faces(table: SampleTable) -> tuple[DoubtfulFace, ...]:
    """The rows of an aligned set with a ``point_agreement`` below ``DOUBTFUL_AGREEMENT``, the worst first."""
    frame = table.frame
    if not {"point_agreement", "source_file"} <= set(frame.columns):
        return ()
    low = frame[frame["point_agreement"] < DOUBTFUL_AGREEMENT].sort_values("point_agreement", kind="stable")
    return tuple(
        DoubtfulFace(str(name), str(source), float(agreement))
        for name, source, agreement in zip(low["file_name"], low["source_file"], low["point_agreement"], strict=True)
    )


def _point_errors(table: SampleTable) -> PointErrorReport | None:
    if "point_error" not in table.frame.columns:
        return None
    errors = table.frame["point_error"].to_numpy(dtype=np.float64)
    return report_point_errors(errors, table.ages) if np.isfinite(errors).any() else None
