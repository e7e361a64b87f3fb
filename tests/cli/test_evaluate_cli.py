"""``frbias evaluate`` and ``frbias compare`` as a person runs them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from frbias.cli.app import main
from frbias.core.data.embeddings import Embeddings, write_embeddings
from frbias.core.foundation.files import read_json


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = 0
    try:
        main(list(arguments))
    except SystemExit as exit_:
        code = int(exit_.code or 0)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.fixture(autouse=True)
def _somewhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Results without --out go below the current folder, what evaluations share into the data root."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FRBIAS_HOME", str(tmp_path / "home"))


@pytest.fixture
def scores(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "score": np.r_[rng.normal(2, 1, 300), rng.normal(0, 1, 3000)].round(2),
            "mated": np.r_[np.ones(300, int), np.zeros(3000, int)],
            "group": rng.choice(["young", "old"], 3300),
        }
    )
    frame.to_csv(tmp_path / "f.csv", index=False)
    return tmp_path / "f.csv"


def embeddings(path: Path, noise: float) -> Path:
    rng = np.random.default_rng(5)
    who, ages = rng.integers(0, 30, 250), rng.integers(0, 70, 250).astype(float)
    matrix = rng.normal(size=(30, 16))[who] + noise * rng.normal(size=(250, 16))
    frame = pd.DataFrame(
        {
            "file_name": [f"{k}.png" for k in range(250)],
            "subject": [f"{w:03d}" for w in who],
            "age": ages,
            "sex": np.where(who % 2, "f", "m"),
        }
    )
    provenance = {"name": path.stem, "failure_to_acquire": {"failures": 5, "attempts": 255}}
    write_embeddings(path, Embeddings(frame, matrix.astype(np.float32), provenance))
    return path


def counted(frame: pd.DataFrame, tau: float) -> dict[str, tuple[int, int]]:
    return {
        str(name): (
            int(((part["mated"] == 0) & (part["score"] >= tau)).sum()),
            int(((part["mated"] == 1) & (part["score"] < tau)).sum()),
        )
        for name, part in frame.groupby("group")
    }


def test_scores_as_json(scores: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(
        capsys, "evaluate", "--scores", str(scores), "--at-fmr", "0.1,0.01,0.001", "--json", "--no-figures"
    )
    assert code == 0
    document, frame = json.loads(out), pd.read_csv(scores)
    assert [t["target"] for t in document["targets"]] == [0.1, 0.01, 0.001]
    for record in document["targets"]:
        errors = counted(frame, record["tau"])
        assert {g["name"]: (g["false_matches"], g["false_non_matches"]) for g in record["groups"]} == errors
        assert record["achieved_fmr"] == record["false_matches"] / 3000 <= record["target"]
        for name in ("garbe", "gini_fmr", "gini_fnmr", "fdr", "ir"):
            assert record[name] is not None or record[f"{name}_reason"]
    assert "curves" not in document
    _, out, _ = run(capsys, "evaluate", "--scores", str(scores), "--json", "--curves", "--no-figures")
    assert json.loads(out)["curves"]["det"]


def test_scores_for_people(scores: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    code, out, _ = run(capsys, "evaluate", "--scores", str(scores), "--alpha", "0.25", "--no-figures")
    assert code == 0
    for word in ("young", "GARBE", "95% interval", "alpha 0.25", "by chance", "lower", "no subject bootstrap", "EER"):
        assert word in out, word


def test_a_broken_gate_exits_with_4_after_printing(scores: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(
        capsys, "evaluate", "--scores", str(scores), "--json", "--no-figures", "--fail-if", "eer > 0.0001"
    )
    assert code == 4
    assert json.loads(out)["schema"] == "frbias.evaluation"
    assert "eer is 0." in err
    code, _, _ = run(capsys, "evaluate", "--scores", str(scores), "--fail-if", "garbe@10% > 100%", "-q", "--no-figures")
    assert code == 0
    code, _, err = run(capsys, "evaluate", "--scores", str(scores), "--fail-if", "garbe is bad")
    assert code == 2
    assert "cannot be read" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "Give one of --data NAME, --embeddings FILE or --scores FILE"),
        (("--scores", "missing.csv"), "not a file"),
        (("--embeddings", "missing.parquet"), "does not exist"),
        (("--embeddings", "E", "--scores", "S"), "Give one of"),
        (("--scores", "S", "--at-fmr", "2"), "between 0 and 1"),
        (("--scores", "S", "--at-fmr", "1e-7"), "smallest usable target is 1/3000"),
        (("--scores", "S", "--protocol", "thesis"), "needs embeddings"),
        (("--scores", "S", "--groups", "race"), "neither a column"),
        (("--scores", "S", "--baseline", "S"), "--baseline needs embeddings"),
        (("--embeddings", "E", "--protocol", "best"), "thesis, decades, fgnet4"),
        (("--embeddings", "E", "--protocol", "thesis", "--groups", "sex"), "not both"),
        (("--embeddings", "E", "--groups", "0-20,10-30"), "overlap"),
        (("--embeddings", "E", "--protocol", "tesis"), "did you mean 'thesis'?"),
        (("--embeddings", "E", "--fail-if", "garb > 1"), "did you mean 'garbe'?"),
        (("--embeddings", "E", "--fail-if", "garbe@5% > 1"), "FMR 0.05 is not among --at-fmr"),
        (("--embeddings", "E", "--fail-if", "fnmr[0-9] > 1", "--groups", "0-19,20+"), "none of the groups 0-19, 20+"),
    ],
)
def test_mistakes_are_one_sentence(
    arguments: tuple[str, ...], message: str, scores: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = embeddings(scores.parent / "e.parquet", 1.0)
    real = [str({"S": scores, "E": found}.get(a, a)) for a in arguments]
    code, out, err = run(capsys, "evaluate", *real)
    assert code == 2
    assert message in err
    assert out == ""
    assert sorted(p.name for p in scores.parent.iterdir() if p.is_dir() and any(p.iterdir())) == []
    assert len(err.strip().splitlines()) <= 2


def test_a_folder_of_results_and_finished_work_is_used_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found, out = embeddings(tmp_path / "model.parquet", 1.2), tmp_path / "out"
    wanted = (
        "evaluate",
        "--embeddings",
        str(found),
        "--groups",
        "0-29,30+",
        "--bootstrap",
        "120",
        "-o",
        str(out),
        "--json",
    )
    code, first, _ = run(capsys, *wanted)
    assert code == 0
    document: dict[str, Any] = read_json(out / "evaluation.json")
    assert document["name"] == "model"
    assert document["samples"]["failure_to_acquire"] == 5 / 255
    assert {k: v for k, v in document.items() if k != "curves"} == json.loads(first)
    assert read_json(out / "provenance.json")["complete"] is True
    table = pd.read_csv(out / "rates.csv")
    assert table["false_matches"].tolist() == [g["false_matches"] for t in document["targets"] for g in t["groups"]]
    assert (out / "figures" / "det.png").is_file()
    written = {p: p.read_bytes() for p in out.rglob("*") if p.is_file()}
    with monkeypatch.context() as patch:
        patch.setattr("frbias.core.stages.evaluate.measure_embeddings", None)  # must not be called again
        code, second, _ = run(capsys, *wanted)
    assert (code, second) == (0, first)
    code, _, err = run(capsys, *wanted, "--alpha", "0.7")
    assert code == 2
    assert "alpha 0.5 there, 0.7 here" in err
    code, _, _ = run(capsys, *wanted, "--force")
    assert code == 0
    assert {p: p.read_bytes() for p in out.rglob("*") if p.is_file()} == written


def test_saved_scores_give_the_same_evaluation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found, out = embeddings(tmp_path / "model.parquet", 1.2), tmp_path / "out"
    options = ("--at-fmr", "0.1,0.01", "--bootstrap", "120", "--no-figures", "--json")
    code, first, _ = run(
        capsys,
        "evaluate",
        "--embeddings",
        str(found),
        "--groups",
        "0-29,30+",
        "-o",
        str(out),
        "--save-scores",
        *options,
    )
    assert code == 0
    code, second, _ = run(capsys, "evaluate", "--scores", str(out / "scores.parquet"), *options)
    assert code == 0
    for one, two in zip(json.loads(first)["targets"], json.loads(second)["targets"], strict=True):
        for name in ("tau", "false_matches", "false_non_matches", "garbe", "gini_fmr", "gini_fnmr", "fdr", "ir"):
            assert one[name] == two[name], name
        assert one["measures"]["garbe"]["bootstrap"] == two["measures"]["garbe"]["bootstrap"]
    code, _, err = run(
        capsys, "evaluate", "--scores", str(out / "scores.parquet"), "-o", str(tmp_path / "o"), "--save-scores"
    )
    assert code == 2
    assert "saved already" in err


def test_baseline_and_compare_say_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new, third = (
        embeddings(tmp_path / f"{n}.parquet", s) for n, s in (("old", 1.5), ("new", 0.9), ("third", 1.5))
    )
    options = ("--groups", "0-29,30+", "--at-fmr", "0.1,0.02", "--bootstrap", "150", "--no-figures", "--json")
    code, out, _ = run(capsys, "evaluate", "--embeddings", str(new), "--baseline", str(old), *options)
    assert code == 0
    one = json.loads(out)
    code, out, _ = run(capsys, "compare", str(old), str(new), *options)
    assert code == 0
    assert json.loads(out) == one
    assert (one["baseline"]["name"], one["other"]["name"]) == ("old", "new")
    assert one["targets"][0]["fnmr"]["verdict"] == "better"
    code, out, _ = run(capsys, "compare", str(old), str(new), str(third), *options, "-o", str(tmp_path / "c"))
    assert code == 0
    three = json.loads(out)["comparisons"]
    assert three[0]["targets"] == one["targets"]
    assert three[1]["targets"][0]["garbe"]["difference"] == 0
    assert (tmp_path / "c" / "02" / "comparison.json").is_file()
    monkeypatch.setenv("COLUMNS", "160")
    code, out, _ = run(capsys, "compare", str(old), str(new), *options[:-1])
    assert "better" in out
    assert "At the baseline's threshold" in out
    code, _, err = run(capsys, "compare", str(old))
    assert code == 2
    assert "two or more" in err


def test_images_and_a_recogniser(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """--data embeds the aligned set below --out, then evaluates; the recogniser is a small stand-in."""
    import torch
    from torch import nn

    from frbias.core.data.images import write_png
    from frbias.core.data.samples import make_table, write_samples
    from frbias.core.recognisers.base import Description
    from frbias.core.recognisers.trainable.recogniser import Trainable

    class Small(nn.Module):
        input_size, embedding_dim = 112, 12

        def preprocess(self, images: torch.Tensor) -> torch.Tensor:
            return images.permute(0, 3, 1, 2).float() / 255

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return nn.functional.adaptive_avg_pool2d(x, 2).flatten(1) - 0.5

    monkeypatch.setattr(
        "frbias.core.recognisers.loading.load_recogniser",
        lambda spec, **given: Trainable(
            model=Small(), name=spec, sha256="0", description=Description("small", 12, (112, 112), True, spec)
        ),
    )
    rng = np.random.default_rng(0)
    folder, rows = tmp_path / "faces", []
    for subject in range(8):
        colours = rng.integers(60, 190, (2, 2, 3))
        for k in range(6):
            noisy = colours + rng.integers(-25, 26, (2, 2, 3))
            name = f"{subject}/{subject}_{k}.png"
            write_png(folder / name, np.kron(noisy, np.ones((56, 56, 1))).clip(0, 255).astype(np.uint8))
            rows.append({"file_name": name, "subject": str(subject), "age": 10.0 + 30 * (k % 2)})
    write_samples(make_table(folder, rows))
    monkeypatch.chdir(tmp_path)
    wanted = ("--groups", "0-19,20+", "--at-fmr", "0.1", "--bootstrap", "0", "--json", "--no-figures")
    code, out, err = run(capsys, "evaluate", "--data", str(folder), "--weights", "small", *wanted)
    assert code == 0, err
    document = json.loads(out)
    assert document["name"] == "small"
    assert document["samples"]["samples"] == 48
    assert document["provenance"]["weights_sha256"] == "0"
    (written,) = (tmp_path / "evaluations").glob("faces-small-????????")
    assert read_json(written / "evaluation.json")["targets"][0]["garbe"] == document["targets"][0]["garbe"]
    (kept,) = (tmp_path / "home" / "cache" / "embeddings").iterdir()
    assert (kept / "embeddings.parquet").is_file()
    assert kept.parent.parent.stat().st_mode & 0o077 == 0

    def embedded_again(*arguments: object) -> None:
        raise AssertionError("embeddings were made again")

    monkeypatch.setattr("frbias.core.stages.embed.FedNetwork", embedded_again)
    others = ("--groups", "0-9,10+"), ("--groups", "0-19,20+", "--at-fmr", "0.2"), ("--protocol", "fgnet4")
    for k, other in enumerate(others):
        code, out, err = run(capsys, "evaluate", "--data", str(folder), "--weights", "small", *other, *wanted[4:])
        assert code == 0, err
        assert len(list((tmp_path / "evaluations").iterdir())) == k + 2
    code, _, err = run(capsys, "evaluate", "--data", str(folder), "--weights", "small", "--groups", "race", *wanted[4:])
    assert code == 2
    assert "'race' is no column of the samples" in err
    write_png(folder / "0/0_0.png", np.full((112, 112, 3), 200, np.uint8))
    code, _, err = run(capsys, "evaluate", "--data", str(folder), "--weights", "small", *wanted)
    assert code == 1
    assert "embeddings were made again" in err
