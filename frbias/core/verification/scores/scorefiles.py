"""Somebody else's comparison scores from a file.

=====================  =========================================================================================
form                   what is read
=====================  =========================================================================================
CSV, TSV, Parquet      ``score``; ``mated`` (0/1, true/false) or both subjects; optional ``group``, and
                       ``subject_ref`` and ``subject_probe``
bob CSV                ``score``, ``bio_ref_subject_id``, ``probe_subject_id``; groups by ``bio_ref_X``/``probe_X``
bob four columns       claimed identity, real identity, probe, score (no header, blanks between)
bob five columns       claimed identity, model, real identity, probe, score
=====================  =========================================================================================

Scores that are not finite are refused with their line.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from frbias.core.foundation.delimited import read_delimited
from frbias.core.foundation.errors import BadInputError, UsageError, reason_of
from frbias.core.foundation.files import sha256_file
from frbias.core.foundation.packed_size import check_parquet
from frbias.core.verification.groups import AgeGroup, Grouping, parse_age_groups
from frbias.core.verification.measures.rates import LARGEST_SCORE
from frbias.core.verification.scores.comparisons import Comparisons
from frbias.core.verification.scores.scoresets import comparisons_from_scores

_PAIRS = (("subject_ref", "subject_probe"), ("bio_ref_subject_id", "probe_subject_id"))
_TRUTH = {"1": True, "true": True, "1.0": True, "0": False, "false": False, "0.0": False}
_BOB = {
    4: ("subject_ref", "subject_probe", "probe", "score"),
    5: ("subject_ref", "model", "subject_probe", "probe", "score"),
}


@dataclass(frozen=True)
class ScoreFile:
    """A table of comparisons.

    Attributes:
        path: Where it was read.
        sha256: Hash of the file.
        form: ``table``, ``bob four columns`` or ``bob five columns``.
        frame: Columns as read, ``score`` as float64, ``mated`` as bool.
        subjects: Names of the reference's and the probe's subject columns, or None.
    """

    path: Path
    sha256: str
    form: str
    frame: pd.DataFrame
    subjects: tuple[str, str] | None

    def comparisons(self, groups: str | None = None) -> tuple[Comparisons, Grouping]:
        """Comparisons and grouping.

        Args:
            groups: A column of this file, a column pair ``bio_ref_X``/``probe_X`` or ``X_ref``/``X_probe`` named
                ``X`` (both values have to agree), or age groups for such a pair of ages; None: ``group`` if there.
        """
        labels = self._groups(groups)
        reference, probe = (None, None) if self.subjects is None else (self.frame[c].to_numpy() for c in self.subjects)
        return comparisons_from_scores(
            self.frame["score"].to_numpy(),
            self.frame["mated"].to_numpy(),
            groups=labels,
            subject_ref=reference,
            subject_probe=probe,
        )

    def _groups(self, wanted: str | None) -> npt.NDArray[Any] | None:
        if wanted is None:
            return self._texts("group") if "group" in self.frame.columns else None
        if wanted[:1].isdigit():
            first, second = (self._ages(c) for c in self._pair("age"))
            return _age_labels(parse_age_groups(wanted), first, second)
        if wanted in self.frame.columns:
            return self._texts(wanted)
        one, two = (self._texts(c) for c in self._pair(wanted))
        return np.where(one == two, one, "")

    def _pair(self, name: str) -> tuple[str, str]:
        for pair in ((f"bio_ref_{name}", f"probe_{name}"), (f"{name}_ref", f"{name}_probe")):
            if all(c in self.frame.columns for c in pair):
                return pair
        raise UsageError(
            f"--groups {name!r}: {self.path} has neither a column {name!r} nor {name}_ref and {name}_probe; "
            f"its columns are {', '.join(map(str, self.frame.columns))}."
        )

    def _texts(self, column: str) -> npt.NDArray[Any]:
        values = self.frame[column]
        return values.where(values.notna(), "").astype(str).str.strip().to_numpy(dtype=object)

    def _ages(self, column: str) -> npt.NDArray[np.float64]:
        return pd.to_numeric(self.frame[column], errors="coerce").to_numpy(dtype=np.float64)


def read_scores(path: Path) -> ScoreFile:
    """Read a file of comparison scores.

    Raises:
        BadInputError: It does not exist, is none of the forms above, or a value cannot be used (its line is named).
    """
    path = Path(path)
    if not path.is_file():
        raise BadInputError(f"{path} is not a file; give comparison scores as CSV, Parquet or bob's score files.")
    try:
        frame, form = _read(path)
    except (ValueError, OSError, UnicodeDecodeError) as error:
        raise BadInputError(f"{path} cannot be read: {reason_of(error)}") from error
    if "score" not in frame.columns:
        raise BadInputError(f"{path} has no column 'score'; its columns are {', '.join(map(str, frame.columns))}.")
    if frame.empty:
        raise BadInputError(f"{path} holds no comparison.")
    lines = frame.index.to_numpy()
    frame = frame.reset_index(drop=True)
    scores = pd.to_numeric(frame["score"], errors="coerce").to_numpy(dtype=np.float64)
    bad = np.flatnonzero(~(np.abs(scores) <= LARGEST_SCORE))
    if bad.size:
        value = frame["score"].iloc[int(bad[0])]
        fault = f"too large (at most {LARGEST_SCORE:g})" if np.isfinite(scores[bad[0]]) else "not a finite number"
        raise BadInputError(f"{path}, line {lines[bad[0]]}: score {value!r} is {fault} ({bad.size} such lines).")
    subjects = next((pair for pair in _PAIRS if all(c in frame.columns for c in pair)), None)
    frame = frame.assign(score=scores, mated=_mated(frame, subjects, path, lines))
    return ScoreFile(path, sha256_file(path), form, frame, subjects)


def _read(path: Path) -> tuple[pd.DataFrame, str]:
    if path.suffix.lower() in (".parquet", ".pq"):
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            with pq.ParquetFile(path) as parquet:
                check_parquet(parquet, path)
                frame = parquet.read().replace_schema_metadata(None).to_pandas()
        except pa.ArrowException as error:
            raise ValueError(str(error)) from error
        return frame.set_axis(range(1, len(frame) + 1)), "table"
    with path.open(encoding="utf-8-sig") as stream:
        first = stream.readline()
    separator = "\t" if "\t" in first else ","
    if separator in first and "score" in [c.strip().strip('"') for c in first.split(separator)]:
        found = read_delimited(path, separator)
        return pd.DataFrame(found.columns, index=found.lines), "table"
    if ";" in first and "score" in [c.strip().strip('"') for c in first.split(";")]:
        raise BadInputError(f"{path} is separated by semicolons; separate by commas or tabs, decimals by a point.")
    width = len(first.split())
    if width not in _BOB:
        raise ValueError("it has neither a header with 'score' nor bob's four or five columns")
    with path.open(encoding="utf-8-sig") as stream:
        rows = [(number, line.split()) for number, line in enumerate(stream, 1) if line.strip()]
    for number, fields in rows:
        if len(fields) != width:
            raise BadInputError(f"{path}, line {number}: {len(fields)} fields where the first line has {width}.")
    frame = pd.DataFrame([f for _, f in rows], columns=list(_BOB[width]), index=[n for n, _ in rows], dtype=object)
    return frame, f"bob {'four' if width == 4 else 'five'} columns"


def _mated(
    frame: pd.DataFrame, subjects: tuple[str, str] | None, path: Path, lines: npt.NDArray[Any]
) -> npt.NDArray[np.bool_]:
    if "mated" in frame.columns:
        column = frame["mated"]
        if column.dtype == bool:
            return column.to_numpy(dtype=np.bool_)
        truth = column.map(lambda v: _TRUTH.get(str(v).strip().lower()))
        bad = np.flatnonzero(truth.isna().to_numpy())
        if bad.size:
            value = column.iloc[int(bad[0])]
            raise BadInputError(f"{path}, line {lines[bad[0]]}: mated is {value!r}; write 1 or 0.")
        return truth.to_numpy(dtype=np.bool_)
    if subjects is None:
        raise BadInputError(
            f"{path} says neither which comparisons are mated (column 'mated', 1 or 0) nor the subjects "
            "(columns 'subject_ref' and 'subject_probe')."
        )
    return np.asarray(frame[subjects[0]].astype(str) == frame[subjects[1]].astype(str), dtype=np.bool_)


def _age_labels(
    groups: tuple[AgeGroup, ...], first: npt.NDArray[np.float64], second: npt.NDArray[np.float64]
) -> npt.NDArray[Any]:
    labels = np.full(len(first), "", dtype=object)
    for group in groups:
        labels[group.holds(first) & group.holds(second)] = group.name
    return labels
