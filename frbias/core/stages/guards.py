"""The photographs that a guard looks at, and the lists of pairs that go with them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from frbias.core.data.pairfiles import read_pairs
from frbias.core.data.pairs import PairList, find_rows
from frbias.core.data.samples import SampleTable
from frbias.core.foundation.devices import World
from frbias.core.foundation.errors import BadInputError
from frbias.core.foundation.files import sha256_file
from frbias.core.foundation.machine import Machine
from frbias.core.foundation.progress import SILENT, Progress
from frbias.core.stages.align import photographs_of
from frbias.core.stages.pairing import folds_of
from frbias.core.stages.requests.guard import GuardOptions
from frbias.core.stages.shared import faces_for
from frbias.core.training.guarding import GuardPairs, GuardSet, Rows, Vectors, guarded_pairs, guarded_rows
from frbias.core.verification.accuracy import FOLDS


@dataclass(frozen=True, eq=False)
class GuardPhotographs:
    """One guard before anybody has looked at it.

    Attributes:
        name: Of the set.
        table: The images that are looked at: those of the list, else all, at most 2000 of them; aligned or not.
        listed: The pairs that are judged, each with its fold; None without a list.
    """

    name: str
    table: SampleTable
    listed: PairList | None

    def faces(self, size: tuple[int, int], machine: Machine, world: World) -> "GuardPhotographs":
        """The same with faces as a recogniser of that input size (height, width) takes them."""
        return replace(self, table=faces_for(self.table, size, machine, world))

    def seen(self, frame: pd.DataFrame, start: Vectors) -> GuardSet:
        """The guard as the start model sees it.

        Args:
            frame: The samples of the images that could be used.
            start: Their embeddings, (n, D).

        Raises:
            BadInputError: No pair of either kind is left.
        """
        pairs = None if self.listed is None else _pairs(self.listed, frame)
        return GuardSet(self.name, [str(subject) for subject in frame["subject"]], start, pairs)


def guard_photographs(options: GuardOptions, progress: Progress = SILENT) -> list[GuardPhotographs]:
    """The guards that are asked for, in order.

    Raises:
        AssetMissingError: A set is not installed.
        BadInputError: A list cannot be read, no guard holds its pictures, or two lists are of one guard.
    """
    tables = [photographs_of(name, progress)[0] for name in options.guard]
    lists: dict[int, PairList] = {}
    for text in options.guard_pairs:
        listed = read_pairs(Path(text).expanduser())
        number = _holder(listed, tables)
        if number in lists:
            raise BadInputError(
                f"{lists[number].path.name} and {listed.path.name} are both of --guard {options.guard[number]}; give one "
                "list for a set."
            )
        lists[number] = listed
    found = []
    for number, (name, table) in enumerate(zip(options.guard, tables, strict=True)):
        title = Path(name).name or name
        if number in lists:
            found.append(_listed(title, table, lists[number]))
        else:
            found.append(GuardPhotographs(title, table.select(guarded_rows(len(table)).tolist()), None))
    return found


def guard_lists(options: GuardOptions) -> list[dict[str, str]]:
    """Names and hashes of the lists of pairs, which decide what becomes of a guard."""
    paths = [Path(text).expanduser() for text in options.guard_pairs]
    return [{"name": path.name, "sha256": sha256_file(path)} for path in paths]


def _holder(listed: PairList, tables: Sequence[SampleTable]) -> int:
    """Number of the guard that holds the most pictures of a list."""
    held = [int((_rows(listed, table.frame) >= 0).sum()) for table in tables]
    if not max(held, default=0):
        raise BadInputError(
            f"No --guard holds the pictures of {listed.path.name}; there is no {listed.files[0]}. Give the folder they "
            "lie in with --guard."
        )
    return held.index(max(held))


def _listed(name: str, table: SampleTable, listed: PairList) -> GuardPhotographs:
    rows, fewest = _rows(listed, table.frame), int(min(listed.mated.sum(), (~listed.mated).sum()))
    if fewest < 2:
        raise BadInputError(f"{listed.path.name} has one pair of a kind; accuracy over folds needs two of each.")
    folded = replace(listed, fold=folds_of(listed, min(FOLDS, fewest))[0])
    there = (rows[listed.first] >= 0) & (rows[listed.second] >= 0)
    there[there] = guarded_pairs(listed.first[there], listed.second[there], listed.mated[there])
    chosen = folded.take(there)
    used = np.unique(rows[np.concatenate([chosen.first, chosen.second])])
    return GuardPhotographs(name, table.select(used.tolist()), chosen)


def _pairs(listed: PairList, frame: pd.DataFrame) -> GuardPairs:
    rows = _rows(listed, frame)
    kept = listed.take((rows[listed.first] >= 0) & (rows[listed.second] >= 0))
    if not len(kept) or kept.mated.all() or not kept.mated.any():
        raise BadInputError(f"Of {listed.path.name} not one pair of either kind shows two faces that can be used.")
    _, folds = np.unique(np.asarray(kept.fold), return_inverse=True)
    if folds.max() < 1:
        raise BadInputError(f"The pairs of {listed.path.name} that can be used are all of one fold; two are needed.")
    return GuardPairs(rows[kept.first], rows[kept.second], kept.mated, folds.astype(np.int64))


def _rows(listed: PairList, frame: pd.DataFrame) -> Rows:
    sources = frame["source_file"].astype(str).tolist() if "source_file" in frame.columns else []
    return find_rows(listed.files, frame["file_name"].astype(str).tolist(), sources)
