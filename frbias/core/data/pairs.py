"""Lists of pairs of face images: who is compared with whom, in which fold, and of which group.

==========  ====================================================================================================
form        what is read
==========  ====================================================================================================
lfw         LFW's ``pairs.txt``: a first line ``folds pairs`` (or ``pairs``), then per fold that many lines
            ``name i j`` (mated) and ``name1 i name2 j`` (non-mated); images ``name/name_000i``
two-lines   CALFW and CPLFW: ``file label`` per image, two lines a pair; label 0 is non-mated, 1..k mated (of fold k)
one-line    ``file1 file2 label`` per pair, label 1 (mated) or 0 or -1: AgeDB, CFP and the like; or ``label file1 file2``
csv         columns ``file1, file2, same`` (1/0), optional ``fold`` and any further columns to group by
==========  ====================================================================================================

File names are relative to the image set, with ``/``. They are looked for as they are, then without their suffix (an
aligned set has PNGs), then by the last part of the path where it is unique.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

from frbias.core.foundation.errors import BadInputError

Int64 = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]

MAX_PAIRS = 2_000_000
GIVEN, CONSECUTIVE, BY_KIND = "given", "consecutive", "each kind in consecutive parts"


@dataclass(frozen=True)
class PairList:
    """Pairs of images.

    Attributes:
        path: File it was read from.
        form: Form, see the module; ``bin`` for insightface's verification sets, ``cacdvs`` for CACD-VS.
        files: Names of the images, each once.
        first, second: Position in ``files`` of the two images of each pair, shape (n,).
        mated: True for pairs of one person, shape (n,).
        fold: Fold of every pair, 0..k-1, shape (n,); None when the list gives none.
        groups: Further columns: one text per pair.
        people: Name of the person in each file where the list says it (LFW), else None.
    """

    path: Path
    form: str
    files: tuple[str, ...]
    first: Int64
    second: Int64
    mated: Bool
    fold: Int64 | None = None
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    people: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.mated)

    def take(self, chosen: npt.NDArray[np.bool_]) -> "PairList":
        """The chosen pairs, over the same files."""
        fold = None if self.fold is None else self.fold[chosen]
        rows = np.flatnonzero(chosen)
        groups = {name: tuple(values[k] for k in rows) for name, values in self.groups.items()}
        return PairList(
            self.path, self.form, self.files, self.first[chosen], self.second[chosen], self.mated[chosen], fold, groups,
            self.people,
        )  # fmt: skip


@dataclass(frozen=True)
class NamedPair:
    """One pair as a list writes it.

    Attributes:
        first, second: File names.
        mated: True for one person.
        fold: Fold from 0, None when not given.
        people: Names of the two persons, or None.
    """

    first: str
    second: str
    mated: bool
    fold: int | None = None
    people: tuple[str, str] | None = None


def make_pair_list(
    path: Path, form: str, pairs: Sequence[NamedPair], groups: Mapping[str, Sequence[str]] | None = None
) -> PairList:
    """A list from its pairs in order.

    Raises:
        BadInputError: There is no pair, there are too many, one compares an image with itself, a name leaves the folder,
            or only one kind of pair is there.
    """
    if not pairs:
        raise BadInputError(f"{path} holds no pair.")
    if len(pairs) > MAX_PAIRS:
        raise BadInputError(f"{path} holds more than {MAX_PAIRS} pairs.")
    position: dict[str, int] = {}
    people: dict[str, str] = {}
    for number, pair in enumerate(pairs):
        for place, name in enumerate((pair.first, pair.second)):
            _check_name(path, number, name)
            position.setdefault(name, len(position))
            if pair.people is not None:
                people[name] = pair.people[place]
        if pair.first == pair.second:
            raise BadInputError(f"{path}, pair {number + 1}: compares {pair.first} with itself.")
    mated = np.array([pair.mated for pair in pairs])
    if mated.all() or not mated.any():
        raise BadInputError(f"{path} has {'no non-mated' if mated.all() else 'no mated'} pair; both kinds are needed.")
    return PairList(
        Path(path),
        form,
        tuple(position),
        np.array([position[pair.first] for pair in pairs]),
        np.array([position[pair.second] for pair in pairs]),
        mated,
        _folds(path, pairs),
        {name: tuple(values) for name, values in (groups or {}).items()},
        tuple(people[name] for name in position) if len(people) == len(position) else None,
    )


def find_rows(wanted: Sequence[str], names: Sequence[str], sources: Sequence[str] = ()) -> Int64:
    """Row of every wanted image among the images of a set, -1 where it is not there, shape (len(wanted),).

    Args:
        wanted: Names of a pair list.
        names: ``file_name`` of every row.
        sources: ``source_file`` of every row (what an aligned image was made from), or nothing.

    Raises:
        BadInputError: A name fits several rows equally well.
    """
    tables = [
        (key, _table(column, key))
        for key in (_whole, _without_suffix, _last)
        for column in (names, sources)
        if len(column)
    ]
    found = np.full(len(wanted), -1, dtype=np.int64)
    for number, name in enumerate(wanted):
        for key, table in tables:
            rows = table.get(key(name), [])
            if len(rows) > 1:
                raise BadInputError(
                    f"The pair list's {name} could be {names[rows[0]]} or {names[rows[1]]}; write names as in the image set."
                )
            if rows:
                found[number] = rows[0]
                break
    return found


def cacdvs_pairs(names: Sequence[str], path: Path) -> PairList:
    """The pairs of CACD-VS from the names of its images, ``0000_0.jpg`` and ``0000_1.jpg`` being pair 0.

    Of every 400 consecutive pairs (a fold) the first 200 are mated, the others not (README of the CACD verification
    subset; Chen, Chen and Hsu, ECCV 2014). Pairs with an image missing are left out.

    Raises:
        BadInputError: No pair is complete.
    """
    halves: dict[int, dict[str, str]] = {}
    for name in names:
        pair, _, half = PurePosixPath(name).stem.partition("_")
        if len(pair) == 4 and pair.isascii() and pair.isdigit() and half[:1] in ("0", "1"):
            halves.setdefault(int(pair), {})[half[0]] = name
    pairs = [
        NamedPair(both["0"], both["1"], number % 400 < 200, number // 400)
        for number, both in sorted(halves.items())
        if len(both) == 2
    ]
    return make_pair_list(path, "cacdvs", pairs)


def _folds(path: Path, pairs: Sequence[NamedPair]) -> Int64 | None:
    given = [pair.fold for pair in pairs]
    if all(fold is None for fold in given):
        return None
    known = np.array([-1 if fold is None else fold for fold in given])
    for kind in (True, False):  # CALFW writes the folds of mated pairs only: the others are in the same order
        rows = np.array([k for k, pair in enumerate(pairs) if pair.mated == kind])
        missing = known[rows] < 0
        if missing.all():
            count = int(known.max()) + 1
            if len(rows) < count:
                raise BadInputError(f"{path} gives {count} folds, but has {len(rows)} pairs of one kind.")
            known[rows] = np.arange(len(rows)) * count // len(rows)
        elif missing.any():
            raise BadInputError(f"{path}, pair {int(rows[missing][0]) + 1}: has no fold, though others have one.")
    return np.unique(known, return_inverse=True)[1].astype(np.int64)


def _check_name(path: Path, number: int, name: str) -> None:
    parts = name.split("/")
    if not name or name.startswith("/") or ".." in parts or ":" in parts[0] or not name.isprintable():
        raise BadInputError(f"{path}, pair {number + 1}: the name {ascii(name)[:100]} leaves the image set.")


def _table(names: Sequence[str], key: Callable[[str], str]) -> dict[str, list[int]]:
    table: dict[str, list[int]] = {}
    for row, name in enumerate(names):
        table.setdefault(key(str(name)), []).append(row)
    return table


def _whole(name: str) -> str:
    return name.removeprefix("./")


def _without_suffix(name: str) -> str:
    return str(PurePosixPath(_whole(name)).with_suffix("")) if name else ""


def _last(name: str) -> str:
    return PurePosixPath(name).stem if name else ""
