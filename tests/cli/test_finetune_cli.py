"""``frbias finetune`` and ``frbias export`` as people type them."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from networks import tiny_network
from safetensors.torch import save_file

from frbias.cli.app import main
from frbias.core.data.images import write_png
from frbias.core.data.samples import make_table, write_samples


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    try:
        main(list(arguments))
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    else:
        code = 0
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with the image set ``people`` and the weights ``small.safetensors``."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FRBIAS_HOME", str(tmp_path / "home"))
    rng = np.random.default_rng(1)
    rows = []
    for subject in "abcd":
        pattern = rng.uniform(30, 225, (5, 5, 3)).astype(np.float32)
        for age in (5, 25, 60):
            small = pattern + rng.normal(0, 20, pattern.shape).astype(np.float32)
            face = np.clip(cv2.resize(small, (112, 112), interpolation=cv2.INTER_CUBIC), 0, 255).astype(np.uint8)
            write_png(tmp_path / "people" / f"{subject}_{age}.png", face)
            rows.append({"file_name": f"{subject}_{age}.png", "subject": subject, "age": float(age)})
    write_samples(make_table(tmp_path / "people", rows))
    torch.manual_seed(2)
    save_file(tiny_network().state_dict(), tmp_path / "small.safetensors")
    return tmp_path


LINE = ["--weights", "small.safetensors", "--batch-size", "6", "--epochs", "1", "--device", "cpu"]


def test_fine_tune_then_export(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "finetune", "--frozen", "1,2,3", "--data", "people", "--out", "runs/a", *LINE)
    assert code == 0, err
    for word in ("stem", "head", "held-out subjects", "6 images of 2 subjects, ages 5 to 60", "1 step in 1 epoch on"):
        assert word in out
    head, start, first = err.splitlines()[-3:]
    assert head.split() == ["epoch", "lr", "loss", "images/s", "EER", "%", "d'", "FNMR", "%", "GARBE"]
    assert start.split()[0] == "0"
    assert first.split()[0] == "1"
    assert first.endswith("best")
    code, out, _ = run(capsys, "finetune", "--frozen", "1,2,3", "--data", "people", "--out", "runs/a", *LINE, "--json")
    assert code == 0
    found = json.loads(out)
    assert found["reused"]
    assert found["best_epoch"] == 1
    code, out, err = run(capsys, "export", "runs/a", "--onnx", "--json")
    assert code == 0, err
    assert json.loads(out)["largest_difference"] < 1e-4
    assert (place / "exports" / "a" / "recognition.onnx").is_file()


def test_the_settings_file_of_a_run_starts_the_same_run(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [
        "--margin",
        "28.6deg",
        "--loss",
        "arcface",
        "--scale",
        "30",
        "--frozen",
        "2,3",
        "--data",
        "people",
        *LINE,
    ]
    assert run(capsys, "finetune", *arguments, "--out", "one")[0] == 0
    code, _, err = run(capsys, "finetune", "--config", "one/config.toml", "--out", "two", "--device", "cpu")
    assert code == 0, err
    one, two = (
        (place / name / "checkpoints" / "last" / "backbone.safetensors").read_bytes() for name in ("one", "two")
    )
    assert one == two


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--frozen", "9"], 2, "'9', which is no stage"),
        (["--frozen", "1,2,3,4,head"], 2, "nothing is left to train"),
        (["--margin", "28.6"], 2, "28.6deg"),
        (["--loss", "triplet"], 2, "arcface"),
        (["--data", "nowhere"], 3, "nowhere"),
        (["--data", "./nowhere"], 2, "nowhere"),
        (["--weights", "nobody"], 3, "nobody"),
        (["--batch-size", "500"], 2, "training images"),
        (["--cache", "on", "--frozen", "none"], 2, "not frozen"),
        (["--eval-data", "people"], 2, "trained on"),
        (["--amp", "fp16"], 2, "bf16"),
        (["--device", "cuda:99"], 2, "CUDA"),
    ],
)
def test_nonsense_gets_one_sentence(
    place: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, words: str
) -> None:
    given = {"--data": "people", "--out": "runs/x", **dict(zip(LINE[::2], LINE[1::2], strict=True))}
    given |= dict(zip(arguments[::2], arguments[1::2], strict=True))
    found, _, err = run(capsys, "finetune", *(word for pair in given.items() for word in pair))
    assert found == code, err
    assert words in err
    assert "Traceback" not in err
    assert not (place / "runs" / "x" / "checkpoints").exists()


def test_the_plain_line_says_what_is_missing(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "finetune", "--frozen", "1,2,3")
    assert code == 3
    for word in ("'train'", "frbias generate", "frbias align", "CC0"):
        assert word in err


def test_the_plain_line_finds_the_set_called_train(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "datasets").mkdir()
    (place / "people").rename(place / "datasets" / "train")
    code, _, err = run(capsys, "finetune", "--frozen", "1,2,3", *LINE)
    assert code == 0, err
    assert (place / "runs" / "finetune" / "checkpoints" / "best" / "backbone.safetensors").is_file()


def test_export_of_what_is_not_there(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "export", "nobody")[0] == 3
    code, _, err = run(capsys, "export", "small.safetensors", "--detector", "face.txt")
    assert code == 2
    assert "insightface:<pack>" in err
