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

Rates of LAG and LFW come with their value in every bootstrap replicate (people drawn with replacement, thresholds set
anew, the same draws for every recogniser), so that differences are paired.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

from frbias.core.data.embeddings import Embeddings
from frbias.core.verification.accuracy import consecutive_folds, fold_accuracy, replicate_accuracies
from frbias.core.verification.bootstrap import draw_weights
from frbias.core.verification.measures.rates import error_budgets, tar_at_fmr
from frbias.core.verification.pair_draws import replicate_tars, weights_of_subjects
from frbias.core.verification.paired import Comparison, compare_embeddings

Matrix = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
GROUPS = "0-12,13-19,20-39,40-59"
TARGETS = (0.01, 0.001)
LAG_RATES = ("young-old 1 %", "young-old 0.1 %", "young-young 1 %", "old-old 0.1 %")
LFW_RATES = ("accuracy", "TAR 0.1 %")
SEED = 0
_FGNET = re.compile(r"(\d{3})A\d{2}", re.IGNORECASE)
_TAIL = 3  # of the non-mated scores, so many times the target are held for the bootstrap


@dataclass(frozen=True, eq=False)
class Rates:
    """Rates of one recogniser on one set.

    Attributes:
        names: Of the rates.
        values: Fractions, (k,).
        draws: In every bootstrap replicate, (r, k); NaN where a replicate shows none.
    """

    names: tuple[str, ...]
    values: Matrix
    draws: Matrix

    def against(self, start: "Rates") -> dict[str, tuple[float, float, float]]:
        """(difference, low, high) to the same rates of the start model, paired, 95 %."""
        low, high = np.nanpercentile(self.draws - start.draws, [2.5, 97.5], axis=0)
        change = self.values - start.values
        return {name: (float(change[k]), float(low[k]), float(high[k])) for k, name in enumerate(self.names)}


@dataclass(frozen=True, eq=False)
class Scores:
    """Comparisons.

    Attributes:
        scores: (n,), larger is more similar.
        first, second: Numbers of the two people, (n,) each.
    """

    scores: Matrix
    first: Codes
    second: Codes

    def tar(self, target: float) -> float:
        """TAR at a target FMR."""
        same = self.first == self.second
        return tar_at_fmr(self.scores[same], self.scores[~same], target)

    def tars(self, target: float, weights: Codes) -> Matrix:
        """TAR in every replicate, (r,): mated comparisons count w times, non-mated ones w * v times.

        Args:
            target: FMR.
            weights: How often every person is drawn, (r, people).
        """
        same = self.first == self.second
        order = np.argsort(self.scores[same])
        mated, owner = self.scores[same][order], self.first[same][order]
        others = np.flatnonzero(~same)
        counts = np.zeros((weights.shape[1], weights.shape[1]))
        np.add.at(counts, (self.first[others], self.second[others]), 1)
        totals = np.rint(((weights @ counts) * weights).sum(axis=1)).astype(np.int64)
        held = others[np.argsort(-self.scores[others])[: max(1000, int(_TAIL * target * len(others)))]]
        found = np.full(len(weights), np.nan)
        for row, (drawn, budget) in enumerate(zip(weights, error_budgets(target, totals), strict=True)):
            each = drawn[self.first[held]] * drawn[self.second[held]]
            seen = np.flatnonzero(each)
            within = int(np.searchsorted(np.cumsum(each[seen]), budget, side="right"))
            genuine = drawn[owner]
            if len(seen) and (within < len(seen) or len(held) == len(others)) and genuine.any():
                lowest = self.scores[held[seen[max(within, 1) - 1]]]
                accepted = np.searchsorted(mated, lowest, side="left" if within else "right")
                found[row] = genuine[accepted:].sum() / genuine.sum()
        return found


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
        seed=SEED,
        curves=False,
    )


def judge_lag(found: Embeddings, vectors: Matrix, letters: tuple[str, str], replicates: int = 0) -> Rates:
    """LAG people whose names begin with ``letters[0]`` to ``letters[1]``."""
    parts = [PurePosixPath(name).parts for name in found.frame["file_name"]]
    taken = np.array([letters[0] <= p[0][0].lower() <= letters[1] for p in parts])
    people = np.unique([p[0] for p, mine in zip(parts, taken, strict=True) if mine], return_inverse=True)[1]
    young = np.array(["y" in p[1:-1] for p in parts])[taken]
    units = unit(vectors[taken])
    across = Scores(
        (units[young] @ units[~young].T).ravel(),
        np.repeat(people[young], int((~young).sum())),
        np.tile(people[~young], int(young.sum())),
    )
    within = [_within(units[rows], people[rows]) for rows in (young, ~young)]
    asked = ((across, 0.01), (across, 0.001), (within[0], 0.01), (within[1], 0.001))
    weights = draw_weights(int(people.max()) + 1, replicates, SEED)
    return Rates(
        LAG_RATES,
        np.array([one.tar(target) for one, target in asked]),
        np.stack([one.tars(target, weights) for one, target in asked], axis=1),
    )


def _within(units: Matrix, people: Codes) -> Scores:
    """All pairs of one set."""
    first, second = np.triu_indices(len(units), 1)
    return Scores((units @ units.T)[first, second], people[first], people[second])


def judge_lfw(found: Embeddings, vectors: Matrix, pairs: Path, replicates: int = 0) -> Rates:
    """LFW by its list ``pairs.txt``; a pair with an image that has no embedding (no face was found) is rejected."""
    rows = {PurePosixPath(name).stem: k for k, name in enumerate(found.frame["file_name"])}
    pictures, names = [], []
    for line in pairs.read_text(encoding="utf-8").splitlines()[1:]:
        words = line.split()
        who = words[0], words[0] if len(words) == 3 else words[2]
        numbers = int(words[1]), int(words[-1])
        pictures.append([rows.get(f"{name}_{number:04d}", -1) for name, number in zip(who, numbers, strict=True)])
        names.append(who)
    return _of_pairs(unit(vectors), np.array(pictures), names, replicates)


def _of_pairs(units: Matrix, pictures: Codes, names: Sequence[tuple[str, str]], replicates: int) -> Rates:
    people = np.unique(np.array(names), return_inverse=True)[1].reshape(-1, 2)
    same = people[:, 0] == people[:, 1]
    scores = np.einsum("nd,nd->n", units[pictures[:, 0]], units[pictures[:, 1]])
    scores[(pictures < 0).any(axis=1)] = -1
    folds = consecutive_folds(len(same))
    weights = weights_of_subjects(people[:, 0], people[:, 1], replicates, SEED)
    return Rates(
        LFW_RATES,
        np.array([fold_accuracy(2 - 2 * scores, same, folds).mean, tar_at_fmr(scores[same], scores[~same], 0.001)]),
        np.column_stack(
            [
                replicate_accuracies(2 - 2 * scores, same, folds, weights),
                replicate_tars(scores, same, weights, [0.001]),
            ]
        ),
    )
