"""What is kept of a training: averaged weights, maps, and guards that pull back."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from frbias.core.data.pairfiles import read_pairs
from frbias.core.data.pairs import find_rows
from frbias.core.data.samples import SampleTable
from frbias.core.foundation.errors import BadInputError, UsageError
from frbias.core.foundation.machine import Machine, Resources
from frbias.core.recognisers.adapted import AdaptedRecogniser
from frbias.core.recognisers.loading import load_recogniser
from frbias.core.recognisers.maps import unit
from frbias.core.stages.finetune import FinetuneResult, finetune
from frbias.core.stages.requests.adapt import AdaptRequest
from frbias.core.stages.requests.finetune import FinetuneRequest
from frbias.core.training.damage import damaged
from frbias.core.training.guarding import Guard, GuardSet, drift_of, guarded_pairs
from frbias.core.training.pixels import read_faces
from frbias.core.verification.accuracy import fold_accuracy

SMALL: dict[str, Any] = {"frozen": ("stem", "1", "2", "3", "4"), "epochs": 2, "batch_size": 8, "validation": 0.25}


def train(people: SampleTable, out: Path, weights: str, **changes: Any) -> FinetuneResult:
    request = FinetuneRequest(**{"data": str(people.root), "weights": weights, **SMALL, **changes})
    return finetune(request, out, machine=Machine(Resources(device="cpu")))


def state(run: Path, which: str) -> dict[str, torch.Tensor]:
    return load_file(run / "checkpoints" / which / "backbone.safetensors")


def unlabelled(table: SampleTable, folder: Path) -> str:
    """The pictures of a set in a folder that says nothing about them."""
    photos = folder / "photos"
    photos.mkdir()
    for number, path in enumerate(table.paths):
        (photos / f"{number}.png").write_bytes(path.read_bytes())
    return str(photos)


def test_kept_weights_lie_between_the_start_model_and_the_trained_one(
    people: SampleTable, weights: str, tmp_path: Path
) -> None:
    whole = train(people, tmp_path / "whole", weights)
    half = train(people, tmp_path / "half", weights, blend=0.25)
    start, best, kept = load_file(weights), state(tmp_path / "half", "best"), state(tmp_path / "half", "final")
    for name, value in start.items():
        expected = value.float() + 0.25 * (best[name].float() - value.float())
        assert torch.allclose(kept[name].float(), expected, atol=1e-6), name
    assert any(not torch.equal(best[name], kept[name]) for name in start)
    loaded = load_recogniser(str(tmp_path / "half"))
    assert torch.equal(loaded.model.state_dict()["features.layers.2.weight"], kept["features.layers.2.weight"])
    assert (whole.final["share"], half.final["share"]) == (1.0, 0.25)
    assert not (tmp_path / "whole" / "checkpoints" / "final").exists()
    assert whole.final["validation"] == pytest.approx(whole.best, abs=1e-3, nan_ok=True)


def test_the_map_alone_trains_nothing(people: SampleTable, weights: str, tmp_path: Path) -> None:
    changes = {"epochs": 0, "remove": ("common",), "within": 1, "damage": "none"}
    result = train(people, tmp_path / "run", weights, **changes)
    found = load_recogniser(str(tmp_path / "run"))
    assert isinstance(found, AdaptedRecogniser)
    assert (found.name, result.epochs, result.best_epoch) == ("run", 0, 0)
    start = load_file(weights)
    assert all(torch.equal(start[k], v) for k, v in state(tmp_path / "run", "last").items())
    split = (tmp_path / "run" / "split.csv").read_text().splitlines()[1:]
    trained = [row for row, line in enumerate(split) if line.endswith(",train")]
    base = load_recogniser(weights)
    vectors = base.embed(read_faces(people).pixels[trained])
    mean = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).mean(axis=0)
    assert np.abs(found.map.matrix @ mean).max() < 1e-5
    assert len(result.final["made_of"]) == 2
    assert np.linalg.matrix_rank(found.map.matrix, tol=1e-4) == base.embedding_length - 2
    assert train(people, tmp_path / "run", weights, **changes).reused
    with pytest.raises(BadInputError, match="can only be run"):
        train(people, tmp_path / "again", str(tmp_path / "run"))
    with pytest.raises(UsageError, match="leaves the recogniser as it is"):
        train(people, tmp_path / "nothing", weights, epochs=0)


def test_the_map_is_learned_from_images_and_damaged_copies(people: SampleTable, weights: str, tmp_path: Path) -> None:
    train(people, tmp_path / "run", weights, epochs=0, remove=("common",))
    split = (tmp_path / "run" / "split.csv").read_text().splitlines()[1:]
    faces = read_faces(people).pixels[[row for row, line in enumerate(split) if line.endswith(",train")]]
    base, found = load_recogniser(weights), load_recogniser(str(tmp_path / "run"))
    mean = unit(np.concatenate([base.embed(faces), base.embed(damaged(faces, 0))])).mean(axis=0)
    assert isinstance(found, AdaptedRecogniser)
    assert np.abs(found.map.matrix @ mean).max() < 1e-5
    alone = unit(base.embed(faces)).mean(axis=0)
    assert np.abs(found.map.matrix @ alone).max() > 1e-4


@pytest.mark.parametrize("labelled", [True, False])
def test_a_harmful_recipe_is_stopped_and_pulled_back(
    people: SampleTable, others: SampleTable, weights: str, tmp_path: Path, labelled: bool
) -> None:
    """The old defaults, at a rate that tears the recogniser apart."""
    guard = str(others.root) if labelled else unlabelled(others, tmp_path)
    changes: dict[str, Any] = {"frozen": ("stem", "1", "2", "3"), "epochs": 12, "lr": 2.0, "clip": 0.0, "warmup": 0.0}
    changes |= {"watch": "loss", "validation": 0.0, "guard": (guard,), "guard_drift": 0.02}
    result = train(people, tmp_path / "run", weights, **changes)
    (reading,) = result.final["guard"]
    assert result.epochs < 12, "training went on although the guard had fallen"
    assert result.final["share"] < 1.0
    assert not reading["broken"]
    assert (reading["tar"] is not None) == labelled
    kept = load_recogniser(str(tmp_path / "run"))
    faces = read_faces(others).pixels
    start, trained = load_recogniser(weights), load_recogniser(str(tmp_path / "run" / "checkpoints" / "best"))
    assert drift_of(start.embed(faces), kept.embed(faces)) < drift_of(start.embed(faces), trained.embed(faces))
    text = " ".join(result.final["guarded"])
    assert text.startswith("Guard ")
    assert "(kept)" in text
    assert kept.description.guarded == tuple(result.final["guarded"])


def test_the_old_default_recipe_is_stopped_and_pulled_back(
    crowd: SampleTable, others: SampleTable, weights: str, tmp_path: Path
) -> None:
    """What fine-tuning did before there were recipes, as it was: stages 1 to 3 frozen, rate 0.01, 20 epochs."""
    asked = {"data": str(crowd.root), "weights": weights, "recipe": "thesis"}
    request = FinetuneRequest.read({**asked, "guard": [unlabelled(others, tmp_path)], "guard-drift": 0.05})
    assert (request.frozen, request.lr, request.epochs, request.blend) == (("stem", "1", "2", "3"), 0.01, 20, 1.0)
    result = finetune(request, tmp_path / "run", machine=Machine(Resources(device="cpu")))
    (reading,) = result.final["guard"]
    along = [record["guard"]["photos"] for record in result.metrics[1:]]
    assert along[-1] > request.guard_drift
    assert result.epochs < 20, "training went on although the guard had fallen"
    assert result.best_epoch < result.epochs or result.final["share"] < 1.0, "what broke the guard was kept"
    assert reading["drift"] <= request.guard_drift


def test_without_a_guard_it_says_so(people: SampleTable, weights: str, tmp_path: Path) -> None:
    result = train(people, tmp_path / "run", weights)
    assert result.final["guarded"] == ["No photographs were looked at along the way (--guard SET)."]
    assert json.loads((tmp_path / "run" / "provenance.json").read_text())["results"]["final"]["guard"] == []


def test_a_guard_of_people_that_are_trained_on_is_refused(people: SampleTable, weights: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the guard is the same picture"):
        train(people, tmp_path / "run", weights, guard=(str(people.root),))


def test_readings_of_a_guard() -> None:
    rng = np.random.default_rng(0)
    people = np.repeat(np.arange(20), 3)
    start = (rng.normal(size=(20, 16))[people] + 0.4 * rng.normal(size=(60, 16))).astype(np.float32)
    names = [f"s{p}" for p in people]
    guard = Guard((GuardSet("set", names, start),), fall=0.05, drift=0.1, fmr=0.01)
    (same,) = guard.readings([start])
    assert same.tar is not None
    assert (same.broken, same.tar[0]) == (False, same.tar[1])
    assert same.drift == pytest.approx(0, abs=1e-6)
    noise = rng.normal(size=start.shape).astype(np.float32)
    (worse,) = guard.readings([start + 3 * noise])
    assert worse.broken
    assert worse.tar is not None
    assert worse.tar[1] < worse.tar[0] - 0.05
    turn = np.linalg.qr(rng.normal(size=(16, 16)))[0]
    assert drift_of(start, 5 * start @ turn) == pytest.approx(0, abs=1e-5)
    alone = Guard((GuardSet("set", [""] * 60, start),), fall=0.05, drift=0.1, fmr=0.01)
    assert alone.readings([start + 3 * noise])[0].broken
    assert alone.readings([start + 3 * noise])[0].tar is None


def test_pull_towards_the_start_weights(people: SampleTable, weights: str, tmp_path: Path) -> None:
    start = load_file(weights)
    moved = []
    for l2sp in (0.0, 60.0):
        changes = {"weight_decay": 0.0, "lr": 0.01, "epochs": 25, "momentum": 0.0, "schedule": "constant", "clip": 0.0}
        train(people, tmp_path / str(l2sp), weights, l2sp=l2sp, **changes)
        last = state(tmp_path / str(l2sp), "last")
        moved.append(sum(float((last[k].float() - start[k].float()).square().sum()) for k in start))
    assert 0 < moved[1] < 0.7 * moved[0]


def pair_list(table: SampleTable, path: Path) -> str:
    """Every mated pair of a set and as many others, as CSV, with folds."""
    names, subjects = [str(name) for name in table.frame["file_name"]], table.subjects
    pairs = [(i, j) for i in range(len(names)) for j in range(i)]
    mated = [pair for pair in pairs if subjects[pair[0]] == subjects[pair[1]]]
    others = [pair for pair in pairs if subjects[pair[0]] != subjects[pair[1]]][:: len(pairs) // len(mated) - 1]
    lines = ["file1,file2,same,fold"]
    for kind, chosen in ((1, mated), (0, others)):
        lines += [f"{names[i]},{names[j]},{kind},{k % 4}" for k, (i, j) in enumerate(chosen)]
    path.write_text("\n".join(lines))
    return str(path)


def test_a_guard_with_a_list_of_pairs_is_judged_by_its_accuracy(
    people: SampleTable, others: SampleTable, weights: str, tmp_path: Path
) -> None:
    listed = pair_list(others, tmp_path / "pairs.csv")
    changes: dict[str, Any] = {"frozen": ("stem", "1", "2", "3"), "epochs": 12, "lr": 2.0, "clip": 0.0, "warmup": 0.0}
    changes |= {"watch": "loss", "validation": 0.0, "guard": (str(others.root),), "guard_pairs": (listed,)}
    result = train(people, tmp_path / "run", weights, **changes)
    (reading,) = result.final["guard"]
    assert (reading["tar"], reading["eer"], reading["broken"]) == (None, None, False)
    faces = read_faces(others).pixels
    pairs = read_pairs(Path(listed))
    rows = find_rows(pairs.files, [str(name) for name in others.frame["file_name"]])
    expected = []
    for one in (load_recogniser(weights), load_recogniser(str(tmp_path / "run"))):
        vectors = unit(one.embed(faces))[rows]
        distances = np.square(vectors[pairs.first] - vectors[pairs.second]).sum(axis=1)
        expected.append(fold_accuracy(distances, pairs.mated, pairs.fold).mean)
    assert reading["accuracy"] == pytest.approx(expected, abs=1e-9)
    assert reading["accuracy"][0] - reading["accuracy"][1] <= 0.01
    assert result.epochs < 12, "training went on although the accuracy had fallen"
    assert result.final["share"] < 1.0
    along = [record["guard"][others.root.name] for record in result.metrics[1:]]
    assert along[-1] < reading["accuracy"][0] - 0.01
    (said,) = result.final["guarded"]
    assert said.startswith(f"Guard {others.root.name}: accuracy of its pairs {100 * expected[0]:.2f} -> ")
    (tmp_path / "pairs.csv").write_text((tmp_path / "pairs.csv").read_text().replace(",0,0", ",0,1"))
    with pytest.raises(UsageError, match="other work"):
        train(people, tmp_path / "run", weights, **changes)


def test_guards_are_named_one_by_one_or_with_commas(tmp_path: Path) -> None:
    comma = tmp_path / "a,b"
    comma.mkdir()
    for given, found in (
        ("albums,passports", ("albums", "passports")),
        (["albums, passports", "lfw"], ("albums", "passports", "lfw")),
        ([str(comma)], (str(comma),)),
    ):
        assert FinetuneRequest.read({"data": "x", "guard": given}).guard == found
        assert AdaptRequest.read({"data": ["x"], "guard": "g", "guard-pairs": given}).guard_pairs == found


def test_lists_of_pairs_that_no_guard_goes_with(
    people: SampleTable, others: SampleTable, weights: str, tmp_path: Path
) -> None:
    listed = pair_list(others, tmp_path / "pairs.csv")
    with pytest.raises(UsageError, match="give the pictures with --guard"):
        train(people, tmp_path / "run", weights, guard_pairs=(listed,))
    (tmp_path / "photos").mkdir()
    for path in others.paths[:4]:
        (tmp_path / "photos" / f"other-{path.name}").write_bytes(path.read_bytes())
    with pytest.raises(BadInputError, match=r"No --guard holds the pictures of pairs\.csv; there is no q"):
        train(people, tmp_path / "run", weights, guard=(str(tmp_path / "photos"),), guard_pairs=(listed,))
    again = (listed, pair_list(others, tmp_path / "more.csv"))
    with pytest.raises(BadInputError, match=r"pairs\.csv and more\.csv are both of"):
        train(people, tmp_path / "run", weights, guard=(str(others.root),), guard_pairs=again)


def test_of_a_long_list_every_kth_pair_of_either_kind_is_looked_at() -> None:
    rng = np.random.default_rng(0)
    first, mated = np.arange(6000), np.repeat([True, False], 3000)
    chosen = guarded_pairs(first, first + 6000, mated)
    images = np.unique([first[chosen], first[chosen] + 6000])
    assert 1500 < len(images) <= 2000
    assert mated[chosen].sum() == (~mated[chosen]).sum()
    few = rng.integers(0, 900, (2, 6000))
    assert guarded_pairs(few[0], few[1], mated).all()
