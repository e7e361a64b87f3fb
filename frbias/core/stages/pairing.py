"""From lists of pairs and embeddings of their pictures to scored pairs: who is found, in which fold, of which group."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from frbias.core.data.embeddings import Embeddings
from frbias.core.data.pairs import BY_KIND, CONSECUTIVE, GIVEN, PairList, find_rows
from frbias.core.foundation.errors import BadInputError, UsageError
from frbias.core.foundation.words import counted
from frbias.core.stages.requests.protocols import PairsRequest
from frbias.core.verification.accuracy import consecutive_folds, folds_by_kind, squared_distances
from frbias.core.verification.groups import NO_GROUP, Grouping, grouping_named
from frbias.core.verification.pair_results import ScoredPairs

Int64 = npt.NDArray[np.int64]
MOST_PAIRS = 20_000_000


@dataclass(frozen=True)
class Paired:
    """Pairs of rows of embeddings, ready to be judged.

    Attributes:
        first, second: Rows of the embeddings, shape (n,).
        mated: True for pairs of one person, shape (n,).
        folds: Fold of every pair, None for no accuracy over folds.
        fold_rule: How the folds came about.
        grouping: Group of every pair, or None.
        subjects: Subject codes of the two pictures, or None when unknown.
        listed: Pairs in the lists.
        missing_pictures: Pictures of the lists that have no embedding.
        left_out: Groups without mated or without non-mated pairs.
    """

    first: Int64
    second: Int64
    mated: npt.NDArray[np.bool_]
    folds: Int64 | None
    fold_rule: str
    grouping: Grouping | None
    subjects: tuple[Int64, Int64] | None
    listed: int
    missing_pictures: int
    left_out: tuple[str, ...]

    def scored(self, matrix: npt.NDArray[np.float32]) -> ScoredPairs:
        """The pairs with their distances."""
        groups = None if self.grouping is None else (self.grouping.names, self.grouping.codes)
        distances = np.concatenate(
            [squared_distances(matrix[self.first[part]], matrix[self.second[part]]) for part in _parts(len(self.first))]
        )
        return ScoredPairs(distances, self.mated, self.folds, groups, self.subjects)


def pair_up(lists: Mapping[str, PairList], embeddings: Embeddings, request: PairsRequest) -> Paired:
    """Find the pictures of lists among embeddings.

    Args:
        lists: By name; several make groups.
        embeddings: Of the pictures.
        request: Folds and groups.

    Raises:
        BadInputError: No pair has both pictures, or a name is ambiguous.
        UsageError: A list cannot be cut into folds, or has no column to group by.
    """
    parts = [_one_list(listed, embeddings, request) for listed in lists.values()]
    kept = [(part.first >= 0) & (part.second >= 0) for part in parts]
    listed, found = sum(len(k) for k in kept), sum(int(k.sum()) for k in kept)
    if not found:
        name = next(iter(lists.values())).files[0]
        raise BadInputError(
            f"Not one pair has both pictures among the {counted(len(embeddings), 'embedding')}: there is no {name}."
        )
    first, second, mated, folds = (
        np.concatenate([values[k] for values, k in zip(column, kept, strict=True)])
        for column in zip(*((p.first, p.second, p.mated, p.folds) for p in parts), strict=True)
    )
    grouping: Grouping | None
    if len(lists) > 1:
        codes = np.concatenate([np.full(int(k.sum()), number) for number, k in enumerate(kept)]).astype(np.int64)
        grouping = Grouping(tuple(lists), codes, "list", "a list of pairs each")
    else:
        grouping = _grouping(next(iter(lists.values())), kept[0], embeddings, first, second, request)
    grouping, left_out = _with_both_kinds(grouping, mated)
    rules = sorted({part.fold_rule for part in parts})
    missing = sum(part.missing for part in parts)
    subjects = _subjects(embeddings, first, second)
    return Paired(first, second, mated, folds, "; ".join(rules), grouping, subjects, listed, missing, left_out)


def pair_everything(embeddings: Embeddings, request: PairsRequest) -> Paired:
    """Every two images, grouped by the pair of groups they are of (``old - young`` has a group of its own).

    Raises:
        BadInputError: No image has a subject.
        UsageError: There are too many pairs.
    """
    columns = _columns(embeddings)
    samples = grouping_named(request.groups or "age", columns)
    named = embeddings.frame["subject"].astype(str).str.strip().ne("").to_numpy()
    rows = np.flatnonzero(named & (samples.codes != NO_GROUP))
    if not len(rows):
        raise BadInputError("No image has both a subject and a group, so there is nothing to compare.")
    count = len(rows) * (len(rows) - 1) // 2
    if count > MOST_PAIRS:
        raise UsageError(
            f"--pairs all holds every pair, at most {MOST_PAIRS}; {len(rows)} images have {count}. Use fewer images."
        )
    one, two = (rows[side].astype(np.int64) for side in np.triu_indices(len(rows), k=1))
    subjects = _subjects(embeddings, one, two)
    assert subjects is not None
    mated = subjects[0] == subjects[1]
    grouping, left_out = _with_both_kinds(_across(samples, one, two), mated)
    return Paired(one, two, mated, None, "none", grouping, subjects, count, 0, left_out)


@dataclass(frozen=True)
class _OneList:
    first: Int64
    second: Int64
    mated: npt.NDArray[np.bool_]
    folds: Int64
    fold_rule: str
    missing: int


def _one_list(listed: PairList, embeddings: Embeddings, request: PairsRequest) -> _OneList:
    frame = embeddings.frame
    sources = frame["source_file"].astype(str).tolist() if "source_file" in frame.columns else []
    rows = find_rows(listed.files, frame["file_name"].astype(str).tolist(), sources)
    folds, rule = folds_of(listed, request.folds)
    missing = int((rows < 0).sum())
    return _OneList(rows[listed.first], rows[listed.second], listed.mated, folds, rule, missing)


def folds_of(listed: PairList, count: int) -> tuple[Int64, str]:
    """Fold of every pair, as the list says or cut into ``count``, and the rule."""
    if listed.fold is not None:
        return listed.fold, GIVEN
    folds = consecutive_folds(len(listed), count)
    mixed = all(0 < listed.mated[folds == fold].sum() < (folds == fold).sum() for fold in range(count))
    if mixed or listed.form == "bin":
        return folds, CONSECUTIVE
    return folds_by_kind(listed.mated, count), BY_KIND


def _grouping(
    listed: PairList,
    kept: npt.NDArray[np.bool_],
    embeddings: Embeddings,
    first: Int64,
    second: Int64,
    request: PairsRequest,
) -> Grouping | None:
    if request.groups is None:
        return None
    column = listed.groups.get(request.groups)
    if column is not None:
        texts = [text for text, chosen in zip(column, kept, strict=True) if chosen]
        return grouping_named(request.groups, {request.groups: np.array(texts, dtype=object)})
    try:
        samples = grouping_named(request.groups, _columns(embeddings))
    except UsageError as error:
        if not listed.groups:
            raise
        raise UsageError(f"{error.message} The list of pairs has {', '.join(listed.groups)}.") from error
    return _across(samples, first, second)


def _across(samples: Grouping, first: Int64, second: Int64) -> Grouping:
    """Groups of pairs from groups of samples: both in one, or one in each of two."""
    one, two = samples.codes[first], samples.codes[second]
    low, high = np.minimum(one, two), np.maximum(one, two)
    width = len(samples.names)
    cell = np.where(low >= 0, low * width + high, NO_GROUP)
    present = np.unique(cell[cell >= 0])
    order = sorted(present.tolist(), key=lambda c: (c // width != c % width, c))  # within a group first
    names = [
        samples.names[c // width] + (f" - {samples.names[c % width]}" if c // width != c % width else "") for c in order
    ]
    codes = np.full(len(cell), NO_GROUP, dtype=np.int64)
    for number, value in enumerate(order):
        codes[cell == value] = number
    return Grouping(tuple(names), codes, f"pairs of {samples.by}", samples.rule, samples.gaps)


def _with_both_kinds(
    grouping: Grouping | None, mated: npt.NDArray[np.bool_]
) -> tuple[Grouping | None, tuple[str, ...]]:
    """The groups that have mated and non-mated pairs, and the names of the others."""
    if grouping is None:
        return None, ()
    kinds = [mated[grouping.codes == number] for number in range(len(grouping.names))]
    good = [number for number, kind in enumerate(kinds) if kind.any() and not kind.all()]
    if not good:
        raise BadInputError("No group has both mated and non-mated pairs; choose other groups.")
    new = np.full(len(grouping.names) + 1, NO_GROUP, dtype=np.int64)
    new[good] = np.arange(len(good))
    left_out = tuple(name for number, name in enumerate(grouping.names) if number not in good)
    return replace(grouping, names=tuple(grouping.names[k] for k in good), codes=new[grouping.codes]), left_out


def _subjects(embeddings: Embeddings, first: Int64, second: Int64) -> tuple[Int64, Int64] | None:
    names = embeddings.frame["subject"].fillna("").astype(str).str.strip().to_numpy()
    used = np.unique(np.concatenate([np.unique(first), np.unique(second)]))
    if (names[used] == "").any():
        return None
    codes = np.full(len(names), -1, dtype=np.int64)
    codes[used] = np.unique(names[used], return_inverse=True)[1]
    return codes[first], codes[second]


def _columns(embeddings: Embeddings) -> dict[str, Any]:
    frame = embeddings.frame
    return {str(c): frame[c].to_numpy() for c in frame.columns if c not in ("file_name", "subject", "embedding")}


def _parts(count: int, size: int = 100_000) -> Sequence[slice]:
    return [slice(start, start + size) for start in range(0, count, size)]
