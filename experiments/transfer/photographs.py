"""What is measured on FG-NET, LAG and LFW, from embeddings of their images.

======  ==================================================================================================
set     measured
======  ==================================================================================================
FG-NET  FNMR of ages 0-12, 13-19, 20-39, 40-59 and of all of them at one threshold for each target FMR; non-mated
        comparisons within groups; paired differences to the start model with subject bootstrap (``frbias compare``)
LAG     true accept rate (TAR): young against old images at FMR 1 % and 0.1 %, young against young at 1 %, old against
        old at 0.1 %; all comparisons of different people are the non-mated ones. Young is what lies in ``y/``
LFW     6,000 pairs: accuracy over the ten folds at the threshold best on the others, and TAR at FMR 0.1 %
======  ==================================================================================================
"""

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

from frbias.core.data.embeddings import Embeddings
from frbias.core.verification.accuracy import consecutive_folds, fold_accuracy
from frbias.core.verification.measures.rates import tar_at_fmr
from frbias.core.verification.paired import Comparison, compare_embeddings

Matrix = npt.NDArray[np.float64]
GROUPS = "0-12,13-19,20-39,40-59"
TARGETS = (0.01, 0.001)
_FGNET = re.compile(r"(\d{3})A\d{2}", re.IGNORECASE)


@dataclass(frozen=True)
class LagRates:
    """True accept rates on LAG, fractions.

    Attributes:
        young_old_1, young_old_01: Young against old at FMR 1 % and 0.1 %.
        young_young_1: Young against young at FMR 1 %.
        old_old_01: Old against old at FMR 0.1 %.
    """

    young_old_1: float
    young_old_01: float
    young_young_1: float
    old_old_01: float


@dataclass(frozen=True)
class LfwRates:
    """Ten-fold accuracy and TAR at FMR 0.1 %, fractions."""

    accuracy: float
    tar_01: float


def unit(vectors: npt.NDArray[np.floating]) -> Matrix:
    """Rows at length 1, in double precision."""
    exact = np.asarray(vectors, dtype=np.float64)
    return np.asarray(exact / np.linalg.norm(exact, axis=1, keepdims=True))


def fgnet_rows(found: Embeddings, first: int, last: int) -> npt.NDArray[np.bool_]:
    """Rows of the people ``first`` to ``last`` of FG-NET, by the number in the file name."""
    numbers = [_FGNET.search(PurePosixPath(name).name) for name in found.frame["file_name"]]
    return np.array([match is not None and first <= int(match.group(1)) <= last for match in numbers])


def judge_fgnet(start: Embeddings, vectors: Matrix, people: tuple[int, int], replicates: int) -> Comparison:
    """FG-NET people ``people`` with ``vectors`` instead of the start model's, paired."""
    rows = fgnet_rows(start, *people)
    frame = start.frame[rows]
    return compare_embeddings(
        start.matrix[rows],
        vectors[rows].astype(np.float32),
        frame["subject"].astype(str).to_numpy(),
        frame["age"].to_numpy(dtype=np.float64),
        names=("start", "recipe"),
        groups=GROUPS,
        targets=TARGETS,
        bootstrap=replicates,
        seed=0,
        curves=False,
    )


def judge_lag(found: Embeddings, vectors: Matrix, letters: tuple[str, str]) -> LagRates:
    """LAG people whose names begin with ``letters[0]`` to ``letters[1]``."""
    parts = [PurePosixPath(name).parts for name in found.frame["file_name"]]
    taken = np.array([letters[0] <= p[0][0].lower() <= letters[1] for p in parts])
    people = np.unique([p[0] for p in parts], return_inverse=True)[1][taken]
    young = np.array(["y" in p[1:-1] for p in parts])[taken]
    units = unit(vectors[taken])
    across = units[young] @ units[~young].T
    same = people[young][:, None] == people[~young][None]
    yy, oo = (_within(units[rows], people[rows]) for rows in (young, ~young))
    return LagRates(
        tar_at_fmr(across[same], across[~same], 0.01),
        tar_at_fmr(across[same], across[~same], 0.001),
        tar_at_fmr(*yy, 0.01),
        tar_at_fmr(*oo, 0.001),
    )


def _within(units: Matrix, people: npt.NDArray[np.int64]) -> tuple[Matrix, Matrix]:
    """Mated and non-mated scores of all pairs of one set."""
    first, second = np.triu_indices(len(units), 1)
    scores, same = (units @ units.T)[first, second], people[first] == people[second]
    return scores[same], scores[~same]


def judge_lfw(found: Embeddings, vectors: Matrix, pairs: Path) -> LfwRates:
    """LFW by its list ``pairs.txt``.

    Raises:
        KeyError: An image of the list has no embedding.
    """
    rows = {PurePosixPath(name).stem: k for k, name in enumerate(found.frame["file_name"])}
    first, second, mated = [], [], []
    for line in pairs.read_text(encoding="utf-8").splitlines()[1:]:
        words = line.split()
        other = words[0] if len(words) == 3 else words[2]
        first.append(rows[f"{words[0]}_{int(words[1]):04d}"])
        second.append(rows[f"{other}_{int(words[-1]):04d}"])
        mated.append(len(words) == 3)
    units, same = unit(vectors), np.array(mated)
    scores = np.einsum("nd,nd->n", units[first], units[second])
    accuracy = fold_accuracy(2 - 2 * scores, same, consecutive_folds(len(same))).mean
    return LfwRates(accuracy, tar_at_fmr(scores[same], scores[~same], 0.001))
