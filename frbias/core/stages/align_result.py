"""What came of an alignment: counts, the faces whose points are not to be trusted, errors against annotations."""

from dataclasses import dataclass

import numpy as np

from frbias.core.data.doubtful import DoubtfulFace, doubtful_faces
from frbias.core.data.imagesets import ImageSetResult
from frbias.core.data.samples import SampleTable, read_samples
from frbias.core.faces.point_errors import PointErrorReport, report_point_errors


@dataclass(frozen=True)
class AlignResult(ImageSetResult):
    """Counts of a finished set of crops.

    Attributes:
        doubtful: Faces that are not to be trusted, the worst first; see :mod:`frbias.core.data.doubtful`.
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
        doubtful=doubtful_faces(table.frame),
        point_errors=_point_errors(table),
    )


def _point_errors(table: SampleTable) -> PointErrorReport | None:
    if "point_error" not in table.frame.columns:
        return None
    errors = table.frame["point_error"].to_numpy(dtype=np.float64)
    return report_point_errors(errors, table.ages) if np.isfinite(errors).any() else None
