"""Age calibration: what age to ask the generator for, so that faces look as old as wanted.

Faces of the age-conditioned generator look younger or older than the age they are conditioned on, in a way that
is close to linear and depends on the truncation. A straight line ``estimated = slope * target + intercept`` is
fitted on generated faces with any age estimator, and its inverse is applied to the ages asked for.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from frbias.core.data.images import read_image
from frbias.core.data.samples import SampleTable
from frbias.core.foundation.errors import BadImageError, BadInputError
from frbias.core.foundation.files import read_object, write_json
from frbias.core.verification.records import Record

if TYPE_CHECKING:
    from frbias.synth.eg3d.synthesizer import Synthesizer

SCHEMA = 1
_SMALLEST_SLOPE = 0.05
# Estimates the ages, in years, of faces given as uint8 RGB (N, H, W, 3); NaN where it cannot.
AgeEstimator = Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float64]]


@dataclass(frozen=True)
class Calibration(Record):
    """A fitted line and what it was fitted on.

    Attributes:
        slope, intercept: ``estimated = slope * target + intercept``.
        psi: Truncation of the faces.
        images: Number of faces.
        youngest, oldest: Range of their target ages.
        residual: Root mean square of what the line leaves, years.
        estimator: Who estimated.
        weights_sha256: The generator.
    """

    slope: float
    intercept: float
    psi: float
    images: int
    youngest: float
    oldest: float
    residual: float
    estimator: str = ""
    weights_sha256: str = ""

    def condition_age(self, age: float) -> float:
        """Age to condition on for faces that look ``age`` years old."""
        return (age - self.intercept) / self.slope


def fit_calibration(
    targets: Sequence[float],
    estimates: Sequence[float],
    *,
    psi: float,
    estimator: str = "",
    weights_sha256: str = "",
) -> Calibration:
    """Fit the line by least squares; faces whose age could not be estimated (NaN) are left out.

    Args:
        targets: Ages that faces were conditioned on.
        estimates: Their ages according to an estimator.
        psi: Truncation of the faces.
        estimator: Its name.
        weights_sha256: Hash of the generator's weights.

    Raises:
        BadInputError: Fewer than two different target ages are left, or estimates hardly follow them.
    """
    x, y = np.asarray(targets, dtype=np.float64), np.asarray(estimates, dtype=np.float64)
    kept = np.isfinite(x) & np.isfinite(y)
    x, y = x[kept], y[kept]
    if len(np.unique(x)) < 2:
        raise BadInputError("A calibration needs estimates for at least two different ages.")
    slope, intercept = (float(v) for v in np.polyfit(x, y, 1))
    if slope < _SMALLEST_SLOPE:
        raise BadInputError(
            f"Estimated ages hardly follow the requested ones (slope {slope:.3f}); there is no sensible calibration."
        )
    residual = float(np.sqrt(np.mean((slope * x + intercept - y) ** 2)))
    return Calibration(
        slope, intercept, psi, len(x), float(x.min()), float(x.max()), residual, estimator, weights_sha256
    )


def calibrate(
    synthesizer: "Synthesizer",
    estimate: AgeEstimator,
    *,
    ages: Sequence[float],
    seeds: Sequence[int],
    estimator: str = "",
) -> Calibration:
    """Generate frontal faces without calibration, estimate their ages and fit the line.

    Args:
        synthesizer: The generator.
        estimate: The age estimator.
        ages: Ages to condition on.
        seeds: People.
        estimator: Name of the estimator.
    """
    from frbias.synth.eg3d.cameras import Pose
    from frbias.synth.eg3d.synthesizer import Person

    targets: list[float] = []
    estimates: list[float] = []
    for seed in seeds:
        for age in ages:
            (face,) = synthesizer.faces([Person(seed, age)])
            found = np.asarray(estimate(synthesizer.images([(face, Pose())])), dtype=np.float64)
            targets.append(float(age))
            estimates.append(float(found[0]))
    digest = synthesizer.weights_sha256
    return fit_calibration(targets, estimates, psi=synthesizer.psi, estimator=estimator, weights_sha256=digest)


def fit_from_table(
    table: SampleTable, psi: float, weights_sha256: str, *, estimate: AgeEstimator | None = None, estimator: str = ""
) -> Calibration:
    """Fit the line on a generated image set.

    Args:
        table: The set; with a column ``estimated_age`` unless there is an estimator.
        psi: Truncation it has to be made with.
        weights_sha256: Hash of the generator's weights.
        estimate: The age estimator that looks at the images; None takes the column.
        estimator: Its name.

    Raises:
        BadInputError: The table lacks a column, or was made by another generator or with another truncation.
    """
    frame = table.frame
    wanted = ("condition_age", "psi") if estimate else ("condition_age", "psi", "estimated_age")
    missing = [name for name in wanted if name not in frame.columns]
    if missing == ["estimated_age"]:
        raise BadInputError(
            f"{table.root} has no column 'estimated_age'; add one to its metadata.csv, or let DEX estimate: "
            "--age-estimator dex."
        )
    if missing:
        raise BadInputError(f"{table.root} has no column {missing[0]!r}; generate it with --backend eg3d.")
    columns = {name: frame[name].astype(float).to_numpy() for name in wanted}
    if not np.allclose(columns["psi"], psi):
        raise BadInputError(f"{table.root} was not generated with psi {psi:g}; the calibration depends on it.")
    if estimate:
        columns["estimated_age"] = _estimated(table, estimate)
    return fit_calibration(
        columns["condition_age"].tolist(),
        columns["estimated_age"].tolist(),
        psi=psi,
        estimator=estimator or f"estimated_age of {table.root.name}",
        weights_sha256=weights_sha256,
    )


def _estimated(table: SampleTable, estimate: AgeEstimator) -> npt.NDArray[np.float64]:
    """Estimated ages of all images, NaN for those that cannot be read."""
    ages = np.full(len(table), np.nan)
    for row, path in enumerate(table.paths):
        try:
            ages[row] = estimate(read_image(path)[None])[0]
        except BadImageError:
            continue
    return ages


def calibration_path(weights: Path, psi: float) -> Path:
    """Where the calibration of a generator for a truncation is stored: beside its weights."""
    return weights.with_name(f"{weights.stem}.calibration-psi{psi:g}.json")


def write_calibration(path: Path, calibration: Calibration) -> None:
    """Store a calibration as JSON, atomically."""
    write_json(path, {"schema": SCHEMA, **asdict(calibration)})


def read_calibration(path: Path, *, psi: float | None = None, weights_sha256: str = "") -> Calibration:
    """Read a stored calibration.

    Args:
        path: The file.
        psi: Truncation it has to be for.
        weights_sha256: Generator it has to be for; not compared where either side is empty.

    Raises:
        BadInputError: It is no calibration, or one for something else.
    """
    try:
        stored = read_object(path)
        if stored.get("schema") != SCHEMA:
            raise BadInputError(f"it has another schema than this frbias knows ({SCHEMA})")
        calibration = Calibration.from_json(stored)
        if not calibration.slope:
            raise BadInputError("slope is 0")
    except BadInputError as error:
        raise BadInputError(f"{path} is no calibration ({error.message.rstrip('.')}).") from error
    if psi is not None and abs(calibration.psi - psi) > 1e-9:
        raise BadInputError(f"{path} is for psi {calibration.psi:g}, not {psi:g}; fit one for that.")
    if weights_sha256 and calibration.weights_sha256 and calibration.weights_sha256 != weights_sha256:
        raise BadInputError(f"{path} belongs to other weights; fit a calibration for these.")
    return calibration
