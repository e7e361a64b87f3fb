"""Every output folder says how it was made, and is either unfinished or finished, never half of each.

``provenance.json`` is written when a stage claims its folder and again when it is done. It holds no
times, so the same work asked for in the same words gives the same bytes.

=============  ==================================================================
key            meaning
=============  ==================================================================
schema_version 2
stage          name of the stage (``generate``, ``align``, ...)
stage_version  raised whenever the stage would give another result for the same arguments and inputs
complete       false while the stage is at work, true when every file is in place
arguments      what the result depends on, resolved: the request's identity
key            SHA-256 of stage, version, arguments and inputs: equal keys mean equal work
inputs         content hashes of everything that was read
versions       frbias, Python and the libraries that shape the result
told           the command and the name and licence of the data, as first asked for; not part of the key
results        counts and other facts known at the end
=============  ==================================================================
"""

import importlib.metadata
import platform
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from frbias import __version__
from frbias.core.foundation.devices import World
from frbias.core.foundation.errors import BadInputError, UsageError
from frbias.core.foundation.files import read_json, read_object, remove_temporaries, sha256_json, write_json, write_text
from frbias.core.foundation.folders import (
    JOURNAL,
    LISTING_NAME,
    LOCK_NAME,
    FolderVanishedError,
    Hold,
    empty_folder,
    hold,
    is_occupied,
    refuse_damaged,
    write_listing,
)
from frbias.core.foundation.group import decided_by_the_leader

PROVENANCE_NAME = "provenance.json"
SCHEMA = 2
_LIBRARIES = ("numpy", "opencv-python", "torch", "numba", "pandas", "onnxruntime")


def library_versions(names: tuple[str, ...] = _LIBRARIES) -> dict[str, str]:
    """Versions of frbias, Python and the named distributions that are installed; imports none of them."""
    found = {"frbias": __version__, "python": platform.python_version()}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


@dataclass(frozen=True)
class Work:
    """What is to be done: two works are the same when their keys are equal.

    Attributes:
        stage: Name of the stage.
        version: Version of the stage.
        arguments: JSON values the result depends on (not the device, the batch size or the number of workers).
        inputs: Content hashes of everything that is read, and what else is read from outside.
        told: What a reader wants to know and the result does not depend on: the command, the name of the data.
    """

    stage: str
    version: int
    arguments: dict[str, Any]
    inputs: dict[str, Any]
    told: dict[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """SHA-256 of all of it."""
        return sha256_json([SCHEMA, self.stage, self.version, self.arguments, self.inputs])

    def record(self) -> dict[str, Any]:
        """The provenance of work that has begun."""
        return {
            "schema_version": SCHEMA,
            "stage": self.stage,
            "stage_version": self.version,
            "complete": False,
            "arguments": self.arguments,
            "inputs": self.inputs,
            "key": self.key,
            "versions": library_versions(),
            **({"told": self.told} if self.told else {}),
        }


class _Results(dict[str, Any]):
    def __init__(self, path: Path) -> None:
        found = read_object(path).get("results", {})
        if not isinstance(found, dict):
            raise BadInputError(f"{path}: results is {_short(found)}, expected an object; make it again with --force.")
        super().__init__(found)
        self.path = path

    def __missing__(self, name: str) -> Any:
        raise BadInputError(f"{self.path}: results.{name} is missing; make it again with --force.")


State = Literal["new", "unfinished", "finished", "other"]


@dataclass(frozen=True)
class StageFolder:
    """An output folder claimed by one stage; make one with :func:`claim_work`.

    Attributes:
        path: The folder.
        record: The provenance as written at the claim.
        finished: True when the same work had been completed here before.
        held: Keeps other processes out until the work is finished; None when it was, or another rank holds it.
    """

    path: Path
    record: dict[str, Any]
    finished: bool
    held: Hold | None = None

    def finish(self, results: dict[str, Any]) -> None:
        """List the files, mark the folder complete and record ``results`` (JSON values: counts, hashes).

        Raises:
            FolderVanishedError: The folder was removed while it was being filled.
        """
        if not (self.path / PROVENANCE_NAME).is_file():
            raise FolderVanishedError(self.path)
        write_text(self.path / LISTING_NAME, write_listing(self.path, PROVENANCE_NAME))
        write_json(self.path / PROVENANCE_NAME, {**self.record, "complete": True, "results": results})
        shutil.rmtree(self.path / JOURNAL, ignore_errors=True)
        if self.held is not None:
            self.held.release()

    def abandon(self) -> None:
        """Give the folder back when nothing was put into it, so that other work can have it."""
        if not self.finished and [p.name for p in self.path.iterdir() if p.name != LOCK_NAME] == [PROVENANCE_NAME]:
            (self.path / PROVENANCE_NAME).unlink()
            if self.held is not None:
                self.held.release()
            self.path.rmdir()

    def results(self) -> dict[str, Any]:
        """The results recorded when the work was finished; one that is not there is bad input, not a key error."""
        return _Results(self.path / PROVENANCE_NAME)


def state_of(path: Path, work: Work) -> State:
    """What ``path`` holds, seen by ``work``: nothing yet, this work (unfinished or finished), or something else."""
    path = Path(path)
    if path.exists() and not path.is_dir():
        return "other"
    found = read_provenance(path)
    if found is None:
        return "other" if path.is_dir() and is_occupied(path) else "new"
    if found.get("replaced"):
        return "new"
    if found.get("key") != work.key:
        return "other"
    return "finished" if found.get("complete") else "unfinished"


def claim_work(path: Path, work: Work, *, force: bool = False, leader: bool = True) -> StageFolder:
    """Claim ``path`` for some work: a new or empty folder, or one holding the same work, finished or not.

    Args:
        path: Output folder.
        work: What is to be done.
        force: Delete what an earlier frbias stage left there. A folder that frbias did not make is never deleted.
        leader: Only the leader of a distributed run writes; the others read the state alone.

    Raises:
        UsageError: The folder holds something else, or other work of this stage.
    """
    path = Path(path)
    record = work.record()
    if _is_done(path, work, force=force):
        if leader:
            shutil.rmtree(path / JOURNAL, ignore_errors=True)
        refuse_damaged(path)
        return StageFolder(path, record, finished=True)
    if not leader:
        return StageFolder(path, record, finished=False)
    path.mkdir(parents=True, exist_ok=True)
    held = hold(path)
    try:
        if _is_done(path, work, force=force):  # by another process, meanwhile
            return StageFolder(path, record, finished=True)
        found = read_provenance(path)
        if found is not None and (force or found.get("replaced")):
            write_json(path / PROVENANCE_NAME, {**_REPLACED, "stage": work.stage})
            empty_folder(path, PROVENANCE_NAME)
        remove_temporaries(path)
        write_json(path / PROVENANCE_NAME, record)
    except BaseException:
        held.release()
        raise
    return StageFolder(path, record, finished=False, held=held)


_REPLACED = {"schema_version": SCHEMA, "stage": "", "complete": False, "key": "", "replaced": True}


def _is_done(path: Path, work: Work, *, force: bool) -> bool:
    """Whether ``path`` holds this very work, finished, which is not to be replaced.

    Raises:
        UsageError: It holds something else.
    """
    if path.exists() and not path.is_dir():
        raise UsageError(f"{path} is a file; choose a folder with --out.")
    found = read_provenance(path)
    if found is None:
        if path.is_dir() and is_occupied(path):
            raise UsageError(f"{path} holds something that frbias did not make; choose another folder with --out.")
        return False
    if force or found.get("replaced"):
        if found.get("stage") != work.stage:
            raise UsageError(f"{path} holds the result of '{found.get('stage')}'; choose another folder with --out.")
        return False
    if found.get("key") != work.key:
        difference = _first_difference(found, work.record())
        raise UsageError(
            f"{path} holds other work ({difference}); choose another folder with --out, or replace it with --force."
        )
    return bool(found.get("complete"))


def claim_folder(
    path: Path,
    *,
    stage: str,
    version: int = 1,
    arguments: dict[str, Any],
    inputs: dict[str, Any] | None = None,
    force: bool = False,
    leader: bool = True,
) -> StageFolder:
    """:func:`claim_work` of the :class:`Work` made of these parts."""
    return claim_work(path, Work(stage, version, arguments, inputs or {}), force=force, leader=leader)


def claim_together(
    path: Path, work: Work, world: World, barrier: Callable[[], None], *, force: bool = False
) -> StageFolder:
    """Claim a folder for all processes of ``world``: the leader does, and all hear what came of it.

    Args:
        path: Output folder.
        work: What is to be done.
        world: Place of this process.
        barrier: As yielded by :func:`frbias.core.foundation.group.process_group`.
        force: Replace an earlier result.

    Raises:
        UsageError: As :func:`claim_work`, in the leader.
        ElsewhereError: The same, in the others.
    """
    folder = decided_by_the_leader(lambda: claim_work(path, work, force=force), world)
    barrier()
    return folder


def read_provenance(folder: Path) -> dict[str, Any] | None:
    """The provenance record of a folder, or None when it has none that can be read.

    Raises:
        BadInputError: It is such a record, with a value of another type than it has to have.
    """
    path = Path(folder) / PROVENANCE_NAME
    try:
        value = read_json(path)
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or "stage" not in value:
        return None
    for name, (kind, words) in _TYPES.items():
        if name in value and not isinstance(value[name], kind):
            raise BadInputError(f"{path}: {name} is {_short(value[name])}, expected {words}.")
    return value


_TYPES: dict[str, tuple[type, str]] = {
    "stage": (str, "a text"),
    "key": (str, "a text"),
    "complete": (bool, "true or false"),
    **dict.fromkeys(("arguments", "inputs", "versions", "results"), (dict, "an object")),
}


def _first_difference(found: dict[str, Any], record: dict[str, Any]) -> str:
    if found.get("stage") != record["stage"]:
        return f"the result of '{found.get('stage')}'"
    for part in ("arguments", "inputs"):
        old, new = found.get(part) or {}, record[part]
        for name in sorted({*old, *new}):
            if old.get(name) != new.get(name):
                return f"{name} {_short(old.get(name))} there, {_short(new.get(name))} here"
    return "made by another version of frbias"


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else text[:37] + "..."
