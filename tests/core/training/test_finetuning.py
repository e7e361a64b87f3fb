"""The claims of fine-tuning, on a small recogniser: exact resume, frozen stages, cache, moving average, keeping."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from frbias.core.data.images import write_png
from frbias.core.data.samples import SampleTable, make_table, read_samples, write_samples
from frbias.core.foundation.errors import BadInputError, FrbiasError, UsageError
from frbias.core.foundation.files import sha256_file
from frbias.core.foundation.folders import LOCK_NAME, Hold
from frbias.core.foundation.machine import Machine, Resources
from frbias.core.recognisers.loading import load_recogniser
from frbias.core.recognisers.maps import unit
from frbias.core.recognisers.trainable.base import stage_of_entries
from frbias.core.recognisers.trainable.weights import from_state
from frbias.core.stages.finetune import FinetuneResult, finetune
from frbias.core.stages.requests.finetune import FinetuneRequest
from frbias.core.training import trainer as trainer_module
from frbias.core.training.pixels import read_faces

CPU = Machine(Resources(device="cpu"))
SMALL: dict[str, Any] = {
    "frozen": ("stem", "1", "2", "3"),
    "epochs": 3,
    "batch_size": 8,
    "validation": 0.25,
    "lr": 0.02,
}


def train(people: SampleTable, out: Path, weights: str, **changes: Any) -> FinetuneResult:
    extra = {k: changes.pop(k) for k in ("observe", "force") if k in changes}
    request = FinetuneRequest(**{"data": str(people.root), "weights": weights, **SMALL, **changes})
    return finetune(request, out, machine=CPU, **extra)


def state(run: Path, which: str = "last") -> dict[str, torch.Tensor]:
    return load_file(run / "checkpoints" / which / "backbone.safetensors")


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def contents(folder: Path) -> dict[str, str]:
    """Hash of every file, but of the lock."""
    return {
        path.relative_to(folder).as_posix(): sha256_file(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != LOCK_NAME
    }


class Killed(BaseException):
    """Stands for the end of a process at an arbitrary step."""


def kill_at(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    done = 0
    original = trainer_module.Trainer._update

    def update(self: Any, epoch: int, number: int) -> None:
        nonlocal done
        original(self, epoch, number)
        done += 1
        if done == step:
            raise Killed

    monkeypatch.setattr(trainer_module.Trainer, "_update", update)


def test_a_run_explains_itself(people: SampleTable, weights: str, tmp_path: Path) -> None:
    seen: list[dict] = []
    result = train(people, tmp_path / "run", weights, observe=seen.append)
    assert [r["epoch"] for r in result.metrics] == [0, 1, 2, 3] == [r["epoch"] for r in seen]
    assert result.metrics[1]["loss"] > result.metrics[3]["loss"]
    assert result.best == result.metrics[result.best_epoch]["validation"]
    names = {p.name for p in (tmp_path / "run").iterdir()}
    assert names == {".files.csv", "checkpoints", "config.toml", "metrics.jsonl", "provenance.json", "split.csv"}
    assert {p.name for p in (tmp_path / "run" / "checkpoints").iterdir()} == {"last", "previous", "best"}
    loaded = load_recogniser(str(tmp_path / "run"))
    assert loaded.sha256 == result.weights_sha256
    assert loaded.name == "run"
    assert same(loaded.model.state_dict(), state(tmp_path / "run", "best"))
    again = train(people, tmp_path / "run", weights)
    assert again.reused
    assert again.best_epoch == result.best_epoch
    with pytest.raises(UsageError, match="lr"):
        train(people, tmp_path / "run", weights, lr=0.001)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"save_every": 1, "ema": 0.9, "clip": 0.5},
        {
            "optimiser": "adamw",
            "lr": 0.001,
            "epochs": 2,
            "save_every": 1,
            "accumulate": 2,
            "keep": 0.5,
            "augment": "fresh",
        },
        {
            "trained_bn": "train",
            "sampler": "per-subject",
            "centre_warmup": 1.0,
            "augment": "views",
            "views": 1,
            "cache": "on",
        },
    ],
)
def test_killed_and_resumed_is_bitwise_the_uninterrupted_run(
    people: SampleTable, weights: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    whole = train(people, tmp_path / "whole", weights, **changes)
    for step in (1,) if changes else (3, 1):
        with monkeypatch.context() as patch:
            kill_at(patch, step)
            with pytest.raises(Killed):
                train(people, tmp_path / "cut", weights, **changes)
    resumed = train(people, tmp_path / "cut", weights, **changes)
    assert whole.metrics == resumed.metrics
    assert contents(tmp_path / "whole") == contents(tmp_path / "cut")


def test_sigkill_and_resume(people: SampleTable, weights: str, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from frbias.core.foundation.machine import Machine, Resources\n"
        "from frbias.core.stages.finetune import finetune\n"
        "from frbias.core.stages.requests.finetune import FinetuneRequest\n"
        "finetune(FinetuneRequest(frozen=('stem','1','2','3'), epochs=8, batch_size=8, validation=0.25, lr=0.02,"
        " data=sys.argv[1], weights=sys.argv[3]), Path(sys.argv[2]), machine=Machine(Resources(device='cpu')))"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(people.root), str(tmp_path / "cut"), weights], env=environment
    )
    log = tmp_path / "cut" / "metrics.jsonl"
    while child.poll() is None and (not log.exists() or log.read_text().count("\n") < 3):
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    train(people, tmp_path / "cut", weights, epochs=8)
    train(people, tmp_path / "whole", weights, epochs=8)
    assert contents(tmp_path / "whole") == contents(tmp_path / "cut")


def test_a_damaged_newest_checkpoint_falls_back_to_the_one_before(
    people: SampleTable, weights: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(people, tmp_path / "whole", weights)
    with monkeypatch.context() as patch:
        kill_at(patch, 5)
        with pytest.raises(Killed):
            train(people, tmp_path / "cut", weights)
    (tmp_path / "cut" / "checkpoints" / "last" / "training.pt").write_bytes(b"cut off")
    train(people, tmp_path / "cut", weights)
    assert same(state(tmp_path / "whole"), state(tmp_path / "cut"))


@pytest.mark.parametrize("frozen", [("stem", "1", "2", "3"), ("stem", "1", "2", "3", "4"), ("3", "head")])
def test_frozen_stages_change_by_no_bit(
    people: SampleTable, weights: str, tmp_path: Path, frozen: tuple[str, ...]
) -> None:
    train(people, tmp_path / "run", weights, frozen=frozen, epochs=1, trained_bn="train")
    before, after = load_file(weights), state(tmp_path / "run")
    stages = stage_of_entries(from_state(before, "start"))
    changed = {stages[k] for k in before if not torch.equal(before[k], after[k])}
    assert changed == {"stem", "1", "2", "3", "4", "head"} - set(frozen)


def test_frozen_statistics_drift_only_when_asked_for(people: SampleTable, weights: str, tmp_path: Path) -> None:
    train(people, tmp_path / "run", weights, epochs=1, frozen_bn="train")
    before, after = load_file(weights), state(tmp_path / "run")
    stages = stage_of_entries(from_state(before, "start"))
    changed = {k for k in before if not torch.equal(before[k], after[k]) and stages[k] in ("stem", "1", "2", "3")}
    assert changed
    assert all(k.endswith(("running_mean", "running_var", "num_batches_tracked")) for k in changed)


def test_cached_and_uncached_training_agree_over_fifty_steps(people: SampleTable, weights: str, tmp_path: Path) -> None:
    """Distance between the results, as a share of the way that training went (measured 3e-6 and 4e-4)."""
    changes = {"epochs": 13, "batch_size": 4, "lr": 0.001, "frozen": ("stem", "1", "2", "3", "4")}
    train(people, tmp_path / "off", weights, cache="off", **changes)
    plain, start = state(tmp_path / "off"), load_file(weights)
    way = sum(float((start[k].float() - plain[k].float()).square().sum()) for k in start)
    assert way > 0
    for dtype, tolerance in (("fp32", 1e-4), ("fp16", 5e-3)):
        train(people, tmp_path / dtype, weights, cache="on", cache_dtype=dtype, **changes)
        cached = state(tmp_path / dtype)
        apart = sum(float((cached[k].float() - plain[k].float()).square().sum()) for k in start)
        assert apart <= tolerance**2 * way, dtype


def test_a_cut_off_cache_is_built_again(people: SampleTable, weights: str, tmp_path: Path) -> None:
    train(people, tmp_path / "one", weights, cache="on", seed=3)
    cache = Path(os.environ["FRBIAS_HOME"]) / "cache" / "prefix"
    for data in cache.glob("*/features.bin"):
        data.write_bytes(data.read_bytes()[:-10])
    train(people, tmp_path / "two", weights, cache="on", seed=3)
    assert same(state(tmp_path / "one"), state(tmp_path / "two"))


def test_accumulated_parts_make_the_same_step(people: SampleTable, weights: str, tmp_path: Path) -> None:
    for parts in (1, 4):
        train(people, tmp_path / str(parts), weights, accumulate=parts, epochs=1, lr=0.001)
    one, four = state(tmp_path / "1"), state(tmp_path / "4")
    assert all(torch.allclose(one[k].float(), four[k].float(), atol=1e-6) for k in one)


def test_centre_warm_up_leaves_the_recogniser_alone(people: SampleTable, weights: str, tmp_path: Path) -> None:
    train(people, tmp_path / "run", weights, epochs=1, centre_warmup=1.0, centres="random")
    assert same(load_file(weights), state(tmp_path / "run"))


def test_keeping_pulls_towards_the_start_model(people: SampleTable, weights: str, tmp_path: Path) -> None:
    moved = []
    for keep in (0.001, 5.0):
        result = train(people, tmp_path / str(keep), weights, keep=keep, epochs=3)
        moved.append(result.metrics[-1]["moved"])
    assert 0 < moved[1] < 0.5 * moved[0]


def test_photographs_are_kept_near_the_start_model_too(
    people: SampleTable, others: SampleTable, weights: str, tmp_path: Path
) -> None:
    """What is held near the start model is what is named, and the guard may not be the same pictures."""
    faces, start = read_faces(others).pixels, load_recogniser(weights)
    moved, distances = [], []
    for name, photos in (("without", {}), ("with", {"keep_photos": str(others.root)})):
        result = train(people, tmp_path / name, weights, keep=5.0, epochs=6, centres="random", **photos)
        moved.append(result.metrics[-1]["moved"])
        now = load_recogniser(str(tmp_path / name / "checkpoints" / "last"))
        distances.append(float((1 - (unit(now.embed(faces)) * unit(start.embed(faces))).sum(axis=1)).mean()))
    assert 0 < distances[1] < 0.8 * distances[0]
    assert moved[0] != moved[1]
    again = train(
        people, tmp_path / "again", weights, keep=5.0, epochs=6, centres="random", keep_photos=str(others.root)
    )
    assert same(state(tmp_path / "with"), state(tmp_path / "again"))
    with pytest.raises(UsageError, match="other work"):
        train(people, tmp_path / "with", weights, keep=5.0, epochs=6, centres="random", keep_photos=str(people.root))
    with pytest.raises(UsageError, match="give --keep"):
        train(people, tmp_path / "none", weights, keep_photos=str(others.root))
    with pytest.raises(UsageError, match="of the guard is one of --keep-photos too"):
        train(people, tmp_path / "none", weights, keep=1.0, keep_photos=str(others.root), guard=(str(others.root),))
    assert again.metrics[-1]["moved"] == moved[1]


def test_averaged_weights_are_the_ones_that_are_used(people: SampleTable, weights: str, tmp_path: Path) -> None:
    plain = train(people, tmp_path / "plain", weights)
    mean = train(people, tmp_path / "mean", weights, ema=0.9)
    training = torch.load(tmp_path / "mean" / "checkpoints" / "last" / "training.pt", weights_only=True)
    raw = {**state(tmp_path / "mean"), **training["model"]}
    assert same(raw, state(tmp_path / "plain"))
    assert not same(raw, state(tmp_path / "mean"))
    assert plain.metrics[-1]["loss"] == mean.metrics[-1]["loss"]
    assert plain.metrics[-1]["validation"] != mean.metrics[-1]["validation"]


def test_evaluation_every_few_epochs(people: SampleTable, others: SampleTable, weights: str, tmp_path: Path) -> None:
    result = train(people, tmp_path / "run", weights, eval_data=str(others.root), eval_every=2)
    assert [r["epoch"] for r in result.metrics if r.get("evaluation")] == [0, 2, 3]
    stored = json.loads((tmp_path / "run" / "evaluations" / "epoch-0002" / "metrics.json").read_text())
    assert stored["eer"] == result.metrics[2]["evaluation"]["eer"]
    full = tmp_path / "run" / "evaluations" / "epoch-0002" / "evaluation.json"
    if full.exists():
        assert json.loads(full.read_text())["schema"] == "frbias.evaluation"
    else:
        assert "no_groups" in stored


def test_one_process_at_a_time_trains_in_a_folder(
    people: SampleTable, weights: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        kill_at(patch, 1)
        with pytest.raises(Killed):
            train(people, tmp_path / "run", weights)
    before = (tmp_path / "run" / "metrics.jsonl").read_bytes()
    held = Hold(tmp_path / "run")
    with pytest.raises(UsageError, match="Another process"):
        train(people, tmp_path / "run", weights)
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == before
    held.release()
    train(people, tmp_path / "run", weights)


def test_patience_ends_training(
    people: SampleTable, weights: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer_module, "watched", lambda record, watch: (float(record["epoch"]), 0.0))
    result = train(people, tmp_path / "run", weights, epochs=30, patience=3)
    assert (result.best_epoch, result.epochs) == (1, 4)


def test_bad_images_are_listed_and_left_out(people: SampleTable, weights: str, tmp_path: Path) -> None:
    root = tmp_path / "set"
    shutil.copytree(people.root, root)
    rows = people.frame.to_dict("records")
    (root / "broken.png").write_bytes(b"no image")
    write_png(root / "large.png", torch.zeros(50, 60, 3, dtype=torch.uint8).numpy())
    extra = [{"file_name": name, "subject": "p00", "age": 3.0} for name in ("broken.png", "large.png")]
    write_samples(make_table(root, [*rows, *extra]))
    train(read_samples(root), tmp_path / "run", weights, epochs=1)
    listed = (tmp_path / "run" / "rejected.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in listed] == ["file", "broken.png", "large.png"]
    write_samples(make_table(root, extra[1:]))
    with pytest.raises(BadInputError, match="not aligned"):
        train(read_samples(root), tmp_path / "none", weights)


def test_a_loss_that_explodes_is_said_so(
    people: SampleTable, weights: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer_module.Trainer, "_rate", lambda self, epoch, step: 1e38)
    with pytest.raises(FrbiasError, match="smaller --lr"):
        train(people, tmp_path / "run", weights)
    assert len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()) == 1


def test_an_edited_record_of_the_settings_is_noticed(people: SampleTable, weights: str, tmp_path: Path) -> None:
    train(people, tmp_path / "run", weights, epochs=1)
    config = tmp_path / "run" / "config.toml"
    written = config.read_text()
    for old, new, words in (
        ("lr = 0.02", "lr = 0.05", "lr is 0.05 there, 0.02 in the run"),
        ("lr = 0.02", "lr   0.02", "cannot be read"),
        ("lr = 0.02", "lr = 0.5", r"config\.toml has \d+ of \d+ bytes"),
    ):
        assert old in written
        config.write_text(written.replace(old, new))
        with pytest.raises(BadInputError, match=words):
            train(people, tmp_path / "run", weights, epochs=1)
    config.write_text(written)
    assert train(people, tmp_path / "run", weights, epochs=1, cache="off").reused


def test_what_is_read_is_part_of_the_run(
    people: SampleTable, others: SampleTable, weights: str, tmp_path: Path
) -> None:
    first = train(people, tmp_path / "run", weights, epochs=1, eval_data=str(others.root))
    changed = tmp_path / "changed"
    shutil.copytree(others.root, changed)
    assert train(people, tmp_path / "run", weights, epochs=1, eval_data=str(changed)).reused
    face = next(changed.rglob("*.png"))
    write_png(face, torch.zeros(112, 112, 3, dtype=torch.uint8).numpy())
    with pytest.raises(UsageError, match="eval-data"):
        train(people, tmp_path / "run", weights, epochs=1, eval_data=str(changed))
    with pytest.raises(UsageError, match="weights"):
        train(people, tmp_path / "run", str(first.out), epochs=1, eval_data=str(others.root))
