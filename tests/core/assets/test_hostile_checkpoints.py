"""Hostile torch files: refused by name with nothing executed; honest ones are read."""

import io
import os
import pickle
import resource
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from pickle_builders import (
    MAGIC,
    Canary,
    Reduces,
    float_storage,
    glob,
    text,
    zip_storage,
    zipped,
)

from frbias.core.assets.checkpoints import load_checkpoint
from frbias.core.foundation.errors import BadInputError


@pytest.fixture
def canary(tmp_path: Path) -> Canary:
    return Canary(tmp_path / "executed")


TORCH_FILES: dict[str, tuple[Callable[[Canary], bytes], str]] = {
    "call in data.pkl": (lambda c: zipped(pickle.dumps({"x": Reduces(os.system, c.command)}, 2)), "system"),
    "eval in data.pkl": (lambda c: zipped(pickle.dumps({"x": Reduces(eval, c.code)}, 4)), "builtins.eval"),
    "state with a call": (
        lambda c: zipped(pickle.dumps({"x": Reduces(dict, state=Reduces(os.system, c.command))}, 2)),
        "dict",
    ),
    "INST in data.pkl": (lambda c: zipped(b"\x80\x02(" + text(c.command) + b"ios\nsystem\n."), "os.system"),
    "storage that is not there": (lambda c: zipped(b"\x80\x02" + zip_storage(1, "7") + b"."), "storage size"),
    "storage claiming a gigabyte": (lambda c: zipped(b"\x80\x02" + zip_storage(2**28) + b"."), "storage size"),
    "compressed records (zip bomb)": (
        lambda c: zipped(b"\x80\x02}.", {"0": b"\0" * 50_000_000}, compression=zipfile.ZIP_DEFLATED),
        "compressed record",
    ),
    "compressed records that save nothing": (
        lambda c: zipped(b"\x80\x02}.", {"0": bytes(range(256))}, compression=zipfile.ZIP_DEFLATED),
        "compressed record",
    ),
    "TorchScript program": (lambda c: _with_code(), "TorchScript"),
    "torch.load inside": (
        lambda c: zipped(b"\x80\x02" + glob("torch.serialization", "load") + text(str(c.path)) + b"\x85R."),
        "torch.serialization.load",
    ),
    "torch.jit inside": (
        lambda c: zipped(b"\x80\x02" + glob("torch.jit", "load") + text(str(c.path)) + b"\x85R."),
        "torch.jit.load",
    ),
    "whole module": (lambda c: _saved(torch.nn.Linear(2, 2)), "torch.nn.modules.linear.Linear"),
    "argparse namespace": (lambda c: _saved({"args": __import__("argparse").Namespace(a=1)}), "argparse.Namespace"),
    "legacy stream with a call": (lambda c: _legacy(pickle.dumps(Reduces(os.system, c.command), 2)), "system"),
    "legacy stream claiming a gigabyte": (lambda c: _legacy(b"\x80\x02" + float_storage(2**28) + b"."), "storage size"),
    "truncated archive": (lambda c: _saved({"x": torch.zeros(100)})[:700], ""),
}


def _saved(value: Any) -> bytes:
    out = io.BytesIO()
    torch.save(value, out)
    return out.getvalue()


def _with_code() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("model/data.pkl", b"\x80\x02}.")
        archive.writestr("model/code/__torch__.py", "raise SystemExit(1)")
    return out.getvalue()


def _legacy(structure: bytes) -> bytes:
    return b"\x80\x02\x8a\x0a" + MAGIC + b"." + b"\x80\x02M\xe9\x03." + b"\x80\x02}." + structure + b"\x80\x02]."


@pytest.mark.parametrize("name", TORCH_FILES)
def test_hostile_torch_file(name: str, canary: Canary, tmp_path: Path) -> None:
    make, offender = TORCH_FILES[name]
    path = tmp_path / "hostile.pth"
    path.write_bytes(make(canary))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(BadInputError) as caught:
        load_checkpoint(path)
    assert offender in getattr(caught.value, "name", "")
    assert not canary.path.exists()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300 * 1024


@pytest.mark.parametrize("legacy", [False, True])
def test_honest_torch_files_are_read(legacy: bool, tmp_path: Path) -> None:
    torch.manual_seed(3)
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9)
    value = {
        "model": module.state_dict(),
        "optimizer": optimizer.state_dict(),
        "epoch": 3,
        "parameter": torch.nn.Parameter(torch.ones(2)),
    }
    path = tmp_path / "good.pth"
    torch.save(value, path, _use_new_zipfile_serialization=not legacy)
    loaded = load_checkpoint(path)
    assert loaded["epoch"] == 3
    assert all(torch.equal(loaded["model"][k], v) for k, v in module.state_dict().items())
