"""The harness of experiments/transfer: sets of the first people, maps from blocks, rates and their bootstrap, recipes."""

import importlib
import sys
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from frbias.core.data.embeddings import Embeddings
from frbias.core.data.images import write_png
from frbias.core.data.samples import make_table, read_samples, write_samples
from frbias.core.foundation.requests import option_fields, option_name
from frbias.core.recognisers.adapted import AdaptedRecogniser
from frbias.core.recognisers.loading import load_recogniser
from frbias.core.stages.adapt import adapt
from frbias.core.stages.requests.adapt import AdaptRequest
from frbias.core.stages.requests.finetune import FinetuneRequest
from frbias.core.verification.measures.rates import tar_at_fmr

HERE = Path(__file__).resolve().parents[2] / "experiments" / "transfer"


@pytest.fixture
def harness(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[ModuleType, ModuleType, ModuleType]]:
    monkeypatch.syspath_prepend(str(HERE))
    names = ("transfer", "photographs", "renders")
    yield tuple(importlib.import_module(name) for name in names)  # type: ignore[misc]
    for name in names:
        sys.modules.pop(name)


Harness = tuple[ModuleType, ModuleType, ModuleType]


def _people(folder: Path, people: Sequence[str], side: int = 8) -> Path:
    rng = np.random.default_rng(len(people))
    rows = []
    for person in people:
        for age in (5.0, 30.0):
            name = f"{person}/{person}_{age:g}.png"
            (folder / person).mkdir(parents=True, exist_ok=True)
            write_png(folder / name, rng.integers(0, 256, (side, side, 3), dtype=np.uint8))
            rows.append({"file_name": name, "subject": person, "age": age, "yaw": float(rng.normal())})
    write_samples(make_table(folder, rows))
    return folder


def test_the_first_people_of_blocks_are_a_set_of_their_own(harness: Harness, tmp_path: Path) -> None:
    blocks = [_people(tmp_path / "one", ("b", "a")), _people(tmp_path / "two", ("c", "d"))]
    for _ in range(2):
        found = read_samples(harness[2].first_people(blocks, tmp_path / "three", 3))
        assert sorted(set(found.subjects)) == ["a", "b", "c"]
        assert len(found) == sum(path.is_file() for path in found.paths) == 6


def test_a_map_from_blocks_is_the_one_that_adapt_learns(
    harness: Harness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "small.py").write_text(
        "import numpy as np\n\ndef embed(faces):\n    return np.asarray(faces, np.float32)[:, ::28, ::28, :2].reshape(len(faces), -1)\n"
    )
    weights = f"{tmp_path / 'small.py'}:embed"
    blocks = [_people(tmp_path / n, who, 112) for n, who in (("p", "abcd"), ("q", "efgh"))]
    renders = harness[2].Renders(tmp_path / "work")
    monkeypatch.setattr(harness[2].Renders, "blocks", lambda self, seed, people: blocks)
    found = renders.learned(load_recogniser(weights), "small", {"remove": "common,growth,pose"}, 3, 6)
    data = harness[2].first_people(blocks, tmp_path / "six", 6)
    request = AdaptRequest(data=(str(data),), weights=weights, remove=("common", "growth", "pose"), seed=3)
    made = load_recogniser(str(adapt(request, tmp_path / "adapted").out))
    assert isinstance(made, AdaptedRecogniser)
    np.testing.assert_allclose(made.map.matrix, found.matrix, atol=1e-6)
    assert np.linalg.matrix_rank(np.eye(32) - found.matrix, tol=1e-6) == 3


def test_replicates_of_a_rate_are_those_of_sets_in_which_people_come_so_often(harness: Harness) -> None:
    rng = np.random.default_rng(1)
    who = np.repeat(np.arange(12), 6)
    first, second = np.triu_indices(len(who), 1)
    scores = harness[1].Scores(rng.normal(size=len(first)) + 2 * (who[first] == who[second]), who[first], who[second])
    weights = np.concatenate([np.ones((1, 12), np.int64), rng.integers(0, 3, (5, 12))])
    found = scores.tars(0.01, weights)
    assert found[0] == pytest.approx(scores.tar(0.01))
    for rate, drawn in zip(found, weights, strict=True):
        same = scores.first == scores.second
        times = np.where(same, drawn[scores.first], drawn[scores.first] * drawn[scores.second])
        mated, others = (np.repeat(scores.scores[kind], times[kind]) for kind in (same, ~same))
        assert rate == pytest.approx(tar_at_fmr(mated, others, 0.01))


def test_pairs_of_lfw_count_and_a_missing_image_is_a_rejection(harness: Harness, tmp_path: Path) -> None:
    mated = [f"p{k}\t1\t2" for k in range(10)]
    lines = [line for k in range(10) for line in (mated[k], f"p{k}\t1\tp{(k + 1) % 10}\t2")]
    (tmp_path / "pairs.txt").write_text("\n".join(["10\t1", *lines]))
    names = [f"p{k}/p{k}_{n:04d}.png" for k in range(10) for n in (1, 2)]
    vectors = np.repeat(np.eye(10), 2, axis=0)
    frame = pd.DataFrame({"file_name": names, "subject": [n.split("/")[0] for n in names], "age": np.nan, "sex": ""})
    whole = harness[1].judge_lfw(Embeddings(frame, vectors.astype(np.float32), {}), vectors, tmp_path / "pairs.txt", 5)
    assert whole.values[0] == 1
    assert whole.draws.shape == (5, 2)
    rows = np.arange(20) != 3
    part = Embeddings(frame[rows].reset_index(drop=True), vectors[rows].astype(np.float32), {})
    assert harness[1].judge_lfw(part, vectors[rows], tmp_path / "pairs.txt").values[0] == pytest.approx(0.95)


def test_rates_of_lag_are_those_of_counting(harness: Harness) -> None:
    rng = np.random.default_rng(0)
    names = [f"{p}/{'y/' if k % 2 else ''}{k}.png" for p in ("anna", "bert", "carl", "zoe") for k in range(10)]
    vectors = rng.normal(size=(40, 6)) + np.repeat(rng.normal(size=(4, 6)), 10, axis=0)
    frame = pd.DataFrame({"file_name": names, "subject": [n.split("/")[0] for n in names], "age": np.nan, "sex": ""})
    found = harness[1].judge_lag(Embeddings(frame, vectors.astype(np.float32), {}), vectors, ("a", "m"), 3)
    units = vectors[:30] / np.linalg.norm(vectors[:30], axis=1, keepdims=True)
    mated, others = [], []
    for i in range(30):
        for j in range(30):
            if "/y/" in names[i] and "/y/" not in names[j]:
                (mated if names[i][0] == names[j][0] else others).append(float(units[i] @ units[j]))
    assert len(mated) == 75
    assert np.isfinite(found.against(found)["young-young 1 %"]).all()
    for rate, target in ((found.values[0], 0.01), (found.values[1], 0.001)):
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
