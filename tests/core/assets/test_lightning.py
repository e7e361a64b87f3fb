"""Checkpoints of PyTorch Lightning: their weights are read, their classes stay names, and nothing is run."""

import sys
import types
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
import torch

from frbias.core.assets.checkpoints import load_checkpoint
from frbias.core.assets.pickle_records import UnsafePickleError
from frbias.core.foundation.errors import BadInputError


@pytest.fixture
def model_checkpoint(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A class that pickles as Lightning's callback; the module is gone when a file is read."""
    name = "pytorch_lightning.callbacks.model_checkpoint"
    made = type("ModelCheckpoint", (), {"__module__": name})
    module = types.ModuleType(name)
    module.ModelCheckpoint = made  # type: ignore[attr-defined]
    for part in ("pytorch_lightning", "pytorch_lightning.callbacks"):
        monkeypatch.setitem(sys.modules, part, types.ModuleType(part))
    monkeypatch.setitem(sys.modules, name, module)
    return made


def content(callback: Any, **more: Any) -> dict[str, Any]:
    torch.manual_seed(0)
    weights = torch.randn(6, 4)
    return {
        "epoch": 3,
        "pytorch-lightning_version": "1.4.4",
        "state_dict": {
            "model.a": weights,
            "model.b": weights[1:3].t(),
            "model.n": torch.tensor(7),
            "model.e": torch.empty(0, 3),
        },
        "callbacks": {callback: {"best_model_path": "x.ckpt", "best_model_score": torch.tensor(0.5)}},
        "optimizer_states": [{"state": {0: {"momentum_buffer": torch.zeros(6, 4)}}, "param_groups": [{"lr": 0.1}]}],
        "hyper_parameters": {"arch": "ir_101", "args": Namespace(lr=0.1), "callback": callback()},
        **more,
    }


def test_the_weights_are_read_and_nothing_else(model_checkpoint: Any, tmp_path: Path) -> None:
    torch.save(content(model_checkpoint), tmp_path / "a.ckpt")
    for name in [n for n in sys.modules if n.startswith("pytorch_lightning")]:
        del sys.modules[name]
    found = load_checkpoint(tmp_path / "a.ckpt")
    assert list(found) == ["state_dict"]
    wanted = content(model_checkpoint)["state_dict"]
    assert found["state_dict"].keys() == wanted.keys()
    assert all(
        torch.equal(found["state_dict"][k], v) and found["state_dict"][k].dtype == v.dtype for k, v in wanted.items()
    )
    assert not any(n.startswith("pytorch_lightning") for n in sys.modules)


class Evil:
    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.place,))


@pytest.mark.parametrize("where", ["hyper_parameters", "state_dict", "callbacks"])
def test_what_would_run_is_refused_by_name(where: str, model_checkpoint: Any, tmp_path: Path) -> None:
    torch.save(content(model_checkpoint, **{where: {"x": Evil(tmp_path / "ran")}}), tmp_path / "evil.ckpt")
    with pytest.raises(UnsafePickleError) as caught:
        load_checkpoint(tmp_path / "evil.ckpt")
    assert not (tmp_path / "ran").exists()
    assert caught.value.name


def test_names_of_lightning_elsewhere_stay_refused(model_checkpoint: Any, tmp_path: Path) -> None:
    """Without Lightning's version the file is none of its checkpoints."""
    plain = content(model_checkpoint)
    del plain["pytorch-lightning_version"]
    torch.save(plain, tmp_path / "plain.pth")
    with pytest.raises(UnsafePickleError, match="pytorch_lightning"):
        load_checkpoint(tmp_path / "plain.pth")


def test_a_checkpoint_cut_short(model_checkpoint: Any, tmp_path: Path) -> None:
    torch.save(content(model_checkpoint), tmp_path / "a.ckpt")
    data = (tmp_path / "a.ckpt").read_bytes()
    (tmp_path / "cut.ckpt").write_bytes(data[: len(data) // 2])
    with pytest.raises(BadInputError):
        load_checkpoint(tmp_path / "cut.ckpt")
