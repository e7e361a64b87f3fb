"""The harness of experiments/transfer: smaller sets of the same renders, rates of LAG, recipes that commands know."""

import importlib
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from frbias.core.data.embeddings import Embeddings
from frbias.core.data.images import write_png
from frbias.core.data.samples import make_table, read_samples, write_samples
from frbias.core.foundation.requests import option_fields, option_name
from frbias.core.stages.requests.adapt import AdaptRequest
from frbias.core.stages.requests.finetune import FinetuneRequest

HERE = Path(__file__).resolve().parents[2] / "experiments" / "transfer"


@pytest.fixture
def harness(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[ModuleType, ModuleType]]:
    monkeypatch.syspath_prepend(str(HERE))
    yield importlib.import_module("transfer"), importlib.import_module("photographs")
    for name in ("transfer", "photographs"):
        sys.modules.pop(name)


def test_the_first_people_are_a_set_of_their_own(harness: tuple[ModuleType, ModuleType], tmp_path: Path) -> None:
    rows = []
    for person in ("b", "a", "c"):
        for age in (5.0, 30.0):
            name = f"{person}/{person}_{age:g}.png"
            (tmp_path / "all" / person).mkdir(parents=True, exist_ok=True)
            write_png(tmp_path / "all" / name, np.full((8, 8, 3), int(age), np.uint8))
            rows.append({"file_name": name, "subject": person, "age": age})
    write_samples(make_table(tmp_path / "all", rows))
    for _ in range(2):
        out = harness[0].first_people(tmp_path / "all", tmp_path / "two", 2)
        found = read_samples(out)
        assert sorted(set(found.subjects)) == ["a", "b"]
        assert len(found) == sum(path.is_file() for path in found.paths) == 4


def test_rates_of_lag_are_those_of_counting(harness: tuple[ModuleType, ModuleType]) -> None:
    rng = np.random.default_rng(0)
    names = [f"{p}/{'y/' if k % 2 else ''}{k}.png" for p in ("anna", "bert", "carl", "zoe") for k in range(10)]
    vectors = rng.normal(size=(40, 6)) + np.repeat(rng.normal(size=(4, 6)), 10, axis=0)
    frame = pd.DataFrame({"file_name": names, "subject": [n.split("/")[0] for n in names], "age": np.nan, "sex": ""})
    found = harness[1].judge_lag(Embeddings(frame, vectors.astype(np.float32), {}), vectors, ("a", "m"))
    units = vectors[:30] / np.linalg.norm(vectors[:30], axis=1, keepdims=True)
    mated, others = [], []
    for i in range(30):
        for j in range(30):
            if "/y/" in names[i] and "/y/" not in names[j]:
                (mated if names[i][0] == names[j][0] else others).append(float(units[i] @ units[j]))
    assert len(mated) == 75
    for rate, target in ((found.young_old_1, 0.01), (found.young_old_01, 0.001)):
        allowed = int(target * len(others))
        threshold = sorted(others, reverse=True)[allowed - 1] if allowed else np.nextafter(max(others), 2)
        assert rate == pytest.approx(np.mean([score >= threshold for score in mated]))


def test_recipes_use_options_of_their_commands() -> None:
    recipes = tomllib.loads((HERE / "recipes.toml").read_text(encoding="utf-8"))
    known = {
        command: {option_name(field) for field in option_fields(request)}
        for command, request in (("adapt", AdaptRequest), ("finetune", FinetuneRequest))
    }
    for recipe in recipes.values():
        named = {name.replace("_", "-") for name in recipe if name != "command"}
        assert named <= known[recipe["command"]]
