"""Checkpoints of a run: complete or absent, never half.

``checkpoints/last`` and ``checkpoints/previous`` are the two newest, ``checkpoints/best`` the best epoch. Each is a
folder with ``backbone.safetensors`` (the weights to use; the moving average when one is kept); the newest two also
hold ``training.pt`` (position, optimiser, state of the loss, best epoch so far; tensors and plain values only).
"""

import os
import pickle
import shutil
import sys
from pathlib import Path
from typing import Any

import torch

from frbias.core.foundation.files import make_folder
from frbias.core.recognisers.base import Pixels
from frbias.core.recognisers.loading import BACKBONE_FILE
from frbias.core.recognisers.trainable.base import StateDict
from frbias.core.recognisers.trainable.weights import write_state

FOLDER, TRAINING_FILE = "checkpoints", "training.pt"
_WORK, _OLD = ".new", ".old"


def save_checkpoint(run: Path, weights: StateDict, pixels: Pixels, training: dict[str, Any]) -> None:
    """Write the newest checkpoint; the one before is kept."""
    folder = run / FOLDER
    work = _write(folder, weights, pixels, training)
    if (folder / "last").exists():
        shutil.rmtree(folder / "previous", ignore_errors=True)
        (folder / "last").rename(folder / "previous")
    work.rename(folder / "last")
    _sync(folder)


def save_best(run: Path, weights: StateDict, pixels: Pixels) -> None:
    """Write the weights of the best epoch in place of earlier ones."""
    folder = run / FOLDER
    work = _write(folder, weights, pixels, None)
    if (folder / "best").exists():
        shutil.rmtree(folder / _OLD, ignore_errors=True)
        (folder / "best").rename(folder / _OLD)
    work.rename(folder / "best")
    _sync(folder)
    shutil.rmtree(folder / _OLD, ignore_errors=True)


def newest_checkpoint(run: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]] | None:
    """Weights and training state of the newest checkpoint that can be read, or None; cleans up after a kill."""
    folder = run / FOLDER
    shutil.rmtree(folder / _WORK, ignore_errors=True)
    if (folder / _OLD).exists():
        if (folder / "best").exists():
            shutil.rmtree(folder / _OLD)
        else:
            (folder / _OLD).rename(folder / "best")
    for name in ("last", "previous"):
        found = _read(folder / name)
        if found is not None:
            return found
    return None


def _write(folder: Path, weights: StateDict, pixels: Pixels, training: dict[str, Any] | None) -> Path:
    work = folder / _WORK
    shutil.rmtree(work, ignore_errors=True)
    make_folder(work)
    write_state(work / BACKBONE_FILE, weights, pixels)
    (work / BACKBONE_FILE).chmod(0o644)
    if training is not None:
        torch.save(_plain(training), work / TRAINING_FILE)
    for path in work.iterdir():
        with path.open("rb") as stream:
            os.fsync(stream.fileno())
    return work


def _plain(value: Any) -> Any:
    """The value made anew, so that equal values give equal bytes: a pickle also shows which parts are the same object."""
    if isinstance(value, torch.Tensor):
        return value.detach().clone().contiguous()
    if isinstance(value, str):
        return sys.intern(value)
    if isinstance(value, dict):
        return {_plain(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_plain(inner) for inner in value)
    return value


def _read(folder: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]] | None:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        training = torch.load(folder / TRAINING_FILE, map_location="cpu", weights_only=True)
        return load_file(folder / BACKBONE_FILE), training
    except (OSError, SafetensorError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError):
        return None


def _sync(folder: Path) -> None:
    """Make renames in a folder last, where folders can be opened (not on Windows)."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
