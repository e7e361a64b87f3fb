"""Small image sets and grids for the tests of experiments."""

import json
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from frbias.core.data.samples import make_table, write_samples
from frbias.core.stages.requests.align import AlignRequest

AGES = (8.0, 12.0, 35.0, 50.0)


def write_faces(folder: Path, people: list[str], *, ages: tuple[float, ...] = AGES, seed: int = 0) -> Path:
    """An aligned set without faces: every person is a pattern of blots, every image adds some noise to it."""
    rng = np.random.default_rng(seed)
    rows = []
    for person in people:
        blots = cv2.resize(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8), (112, 112), interpolation=cv2.INTER_CUBIC)
        for age in ages:
            noise = cv2.resize(rng.normal(0, 60, (12, 12, 3)), (112, 112), interpolation=cv2.INTER_CUBIC)
            name = f"{person}/{person}_{age:g}.png"
            (folder / person).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(folder / name), np.clip(blots + noise, 0, 255).astype(np.uint8))
            rows.append({"file_name": name, "subject": person, "age": age})
    write_samples(make_table(folder, rows))
    return folder


def document(folder: Path, **changes: dict[str, Any]) -> dict[str, Any]:
    """A grid of 2 x 2 x 3 cells on two small sets below ``folder``, which are made when they are not there."""
    train, test = folder / "faces-train", folder / "faces-test"
    if not train.exists():
        write_faces(train, [f"t{k}" for k in range(6)], ages=(20.0, 40.0), seed=1)
        write_faces(test, [f"p{k}" for k in range(7)], seed=2)
    sections: dict[str, Any] = {
        "train": {"data": str(train)},
        "test": {"data": str(test)},
        "finetune": {
            "recipe": "head", "epochs": 1, "batch_size": 4, "validation": 0.34, "cache": "off", "warmup": 0.0,
            "lr": [0.05, 0.01], "frozen": [[1, 2, 3, 4], ["stem", 1, 2, 3]],
        },
        "evaluate": {"groups": "0-19,20-60", "at_fmr": [0.1], "bootstrap": 200},
    }  # fmt: skip
    for name, more in changes.items():
        sections[name] = {**sections[name], **more}
    return {"name": "small", "seeds": [1, 2, 3], **sections}


def write_grid(path: Path, content: dict[str, Any]) -> Path:
    """Write the content of an experiment file as TOML."""
    general = [f"{key} = {json.dumps(value)}" for key, value in content.items() if not isinstance(value, dict)]
    sections = [
        line
        for name, section in content.items()
        if isinstance(section, dict)
        for line in (f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in section.items()))
    ]
    path.write_text("\n".join([*general, *sections]))
    return path


@dataclass(frozen=True, kw_only=True)
class Deadly(AlignRequest):
    """A request that kills the process which receives it."""

    parent: int = 0

    def __setstate__(self, state: dict[str, Any]) -> None:
        if os.getpid() != state["parent"]:
            os.kill(os.getpid(), signal.SIGKILL)
