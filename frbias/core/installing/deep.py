"""A deep look at what frbias has written: every file of the store, the caches and finished folders against its hash."""

import os
import stat
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from frbias.core.assets import prefixes
from frbias.core.assets.catalogue import find_model_asset
from frbias.core.assets.embedded import EMBEDDED_MODELS
from frbias.core.assets.paths import data_home, embedded_folder
from frbias.core.assets.records import read_book, restored_path
from frbias.core.foundation.errors import FrbiasError
from frbias.core.foundation.files import sha256_file
from frbias.core.foundation.folders import LISTING_NAME, damage
from frbias.core.foundation.progress import SILENT, Progress
from frbias.core.foundation.provenance import PROVENANCE_NAME, SCHEMA, Work, read_provenance
from frbias.core.installing.models import verify_model

_SKIPPED = frozenset({"__pycache__", "node_modules", "site-packages"})


@dataclass(frozen=True)
class Finding:
    """Something that is not as it was made, or that others should not see.

    Attributes:
        what: ``model``, ``data set``, ``cache``, ``folder`` or ``data root``.
        place: Name, or path.
        problem: What is wrong, one clause.
        advice: What to do, one clause or command.
        damaged: False for what is only worth knowing: unfinished work, folders that others can read.
    """

    what: str
    place: str
    problem: str
    advice: str
    damaged: bool = True


@dataclass(frozen=True)
class DeepLook:
    """What :func:`look_deeper` found.

    Attributes:
        checked: Models, data sets, cached results and finished folders that were compared.
        findings: What is wrong.
    """

    checked: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether nothing is damaged."""
        return not any(one.damaged for one in self.findings)

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {**asdict(self), "good": self.good}


def look_deeper(under: Path, *, progress: Progress = SILENT) -> DeepLook:
    """Compare the store, the caches and every finished folder below ``under`` with their recorded hashes.

    Nothing is changed or fetched. Links are not followed.

    Args:
        under: Where to look for folders of stages.
        progress: Where to report.
    """
    findings: list[Finding] = []
    checked = 0
    with progress.task("comparing with hashes", None) as advance:
        for found in (*_store(), *_caches(), *_folders(Path(under), inside_cache=False)):
            checked += 1
            findings += found
            advance(1)
    return DeepLook(checked, [*findings, *_open_to_others()])


def _store() -> Iterator[list[Finding]]:
    for name, model in EMBEDDED_MODELS.items():
        path = embedded_folder() / model.file_name
        if path.is_file():
            changed = sha256_file(path) != model.sha256
            yield [
                Finding("model", name, f"{path} is not the pinned file", f"rm {path}  (it is fetched again)")
            ] * changed
    try:
        models, datasets = read_book("models"), read_book("datasets")
    except FrbiasError as error:
        yield [Finding("data root", str(data_home()), error.message.rstrip("."), "restore the file, or delete it")]
        return
    for name in models:
        asset = find_model_asset(name)
        advice = f"{asset.install_command if asset else f'frbias models add {name} FILE'} --force"
        yield [Finding("model", name, problem.rstrip("."), advice) for problem in _problems_of_model(name)]
    for name, record in datasets.items():
        path = restored_path(str(record.get("path", "")))
        if not path.exists():
            yield [Finding("data set", name, f"{path} is gone", f"frbias data add {name} FOLDER")]
        elif (path / PROVENANCE_NAME).is_file():
            yield _of_folder(path, "data set", f"frbias data import {name} SOURCE --force")


def _problems_of_model(name: str) -> list[str]:
    try:
        return verify_model(name)
    except FrbiasError as error:
        return [error.message]
    except (KeyError, TypeError, AttributeError):
        return ["its record in models.json is damaged"]


def _caches() -> Iterator[list[Finding]]:
    yield from _folders(data_home() / "cache", inside_cache=True)
    for entry in prefixes.entries():
        problem = prefixes.problem_of(entry)
        yield [Finding("cache", str(entry), problem, f"rm -r {entry}")] if problem else []


def _folders(root: Path, *, inside_cache: bool) -> Iterator[list[Finding]]:
    cache = (data_home() / "cache").resolve()
    for parent, inside, names in os.walk(root):
        inside[:] = sorted(n for n in inside if not n.startswith(".") and n not in _SKIPPED)
        if not inside_cache and Path(parent).resolve() == cache:
            inside[:] = []
        elif PROVENANCE_NAME in names:
            kind, advice = ("cache", f"rm -r {parent}") if inside_cache else ("folder", "make it again with --force")
            yield _of_folder(Path(parent), kind, advice)


def _of_folder(folder: Path, what: str, advice: str) -> list[Finding]:
    place = str(folder)
    try:
        record = read_provenance(folder)
    except FrbiasError as error:
        return [Finding(what, place, error.message.rstrip("."), advice)]
    if record is None:
        return [Finding(what, place, f"{PROVENANCE_NAME} cannot be read", advice)]
    if record.get("replaced"):
        return [Finding(what, place, "it was being replaced", "run the same command with --force again", damaged=False)]
    found = [] if _own_key(record) else [Finding(what, place, f"{PROVENANCE_NAME} was changed", advice)]
    if not record.get("complete"):
        return [*found, Finding(what, place, "it is unfinished", "run the same command again", damaged=False)]
    if not (folder / LISTING_NAME).is_file():
        return [*found, Finding(what, place, "it has no list of its files, so they cannot be checked", advice)]
    return [*found, *(Finding(what, place, problem, advice) for problem in damage(folder, deep=True))]


def _own_key(record: dict[str, Any]) -> bool:
    """Whether the key of a record is that of the work it describes; True for records of other schemas."""
    if record.get("schema_version") != SCHEMA:
        return True
    stage, version = str(record["stage"]), record.get("stage_version")
    try:
        key = Work(stage, version, record.get("arguments") or {}, record.get("inputs") or {}).key  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
    return bool(key == record.get("key"))


def _open_to_others() -> list[Finding]:
    """The data root and the caches, where others may read them: embeddings and aligned faces are personal data."""
    places = [place for place in (data_home(), data_home() / "cache") if place.is_dir()]
    found = [place for place in places if os.name == "posix" and place.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)]
    return [
        Finding(
            "data root", str(place), "other people of this machine can read it", f"chmod 700 {place}", damaged=False
        )
        for place in found
    ]
