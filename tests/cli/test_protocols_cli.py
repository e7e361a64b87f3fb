"""``frbias evaluate --pairs`` and ``--identify``, ``frbias compare --remedy``: from a command line to a result."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from frbias.cli.app import main


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as caught:
        main(list(arguments))
    out, err = capsys.readouterr()
    return int(caught.value.code or 0), out, err


@pytest.fixture
def people(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Embeddings of 30 people, six each, and a list of pairs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FRBIAS_HOME", str(tmp_path / "home"))
    rng = np.random.default_rng(0)
    who = np.repeat(np.arange(30), 6)
    matrix = rng.normal(size=(30, 16))[who] + 0.8 * rng.normal(size=(180, 16))
    names = np.array([f"p{w}/{k}.png" for k, w in enumerate(who)])
    ages = np.tile([5.0, 9.0, 15.0, 30.0, 45.0, 50.0], 30)
    np.savez(
        "e.npz",
        embedding=matrix.astype(np.float32),
        subject=np.array([f"p{w}" for w in who]),
        age=ages,
        file_name=names,
    )
    lines = [
        f"{names[6 * k]} {names[6 * k + 1 + k % 5]} 1\n{names[6 * k]} {names[(6 * k + 7) % 180]} 0" for k in range(30)
    ]
    Path("pairs.txt").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_pairs_on_the_terminal_and_as_json(people: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("evaluate", "--pairs", "pairs.txt", "--embeddings", "e.npz", "--at-fmr", "10%", "--no-figures")
    code, out, _ = run(capsys, *arguments, "--bootstrap", "100")
    assert code == 0
    assert "60 of 60 pairs" in out
    assert "Accuracy over folds" in out
    assert max(len(line) for line in out.splitlines() if not line.startswith("In ")) <= 120
    code, out, _ = run(capsys, *arguments, "--bootstrap", "100", "--json")
    document = json.loads(out)
    assert code == 0
    assert document["schema"] == "frbias.pairs"
    assert document["all"]["mated"] == document["all"]["non_mated"] == 30
    assert len(list(people.glob("evaluations/pairs-*/pairs.json"))) == 1  # the second run found the first


def test_identification(people: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "evaluate", "--identify", "--embeddings", "e.npz", "--bootstrap", "100", "--out", "o")
    assert code == 0
    assert "rank-1" in out
    assert "Searches with one mate" in out
    document = json.loads((people / "o" / "identification.json").read_text())
    assert document["searches"]["mated"] == 180
    with (people / "o" / "figures" / "cmc.csv").open() as stream:
        shares = {(row["group"], int(row["rank"])): float(row["share"]) for row in csv.DictReader(stream)}
    assert [shares["all", rank] for rank in range(1, 21)] == document["cmc"]
    assert {group["name"] for group in document["groups"]} | {"all"} == {name for name, _ in shares}


def test_gates_of_protocols_end_with_4(people: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("--embeddings", "e.npz", "--bootstrap", "0", "--no-figures", "--fail-if")
    for protocol, met, broken in (
        (("--pairs", "pairs.txt", "--at-fmr", "10%"), "tar@10% < 0", "accuracy <= 1"),
        (("--identify",), "rank_1 < 0", "fnir[0-12]@10% >= 0"),
    ):
        code, _, err = run(capsys, "evaluate", *protocol, *arguments, met)
        assert code == 0, err
        code, out, err = run(capsys, "evaluate", *protocol, *arguments, broken, "--json")
        assert code == 4
        assert broken in err
        assert json.loads(out)["schema"].startswith("frbias.")


def test_remedies(people: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(
        capsys, "compare", "e.npz", "--remedy", "group-threshold,s-norm", "--groups", "0-12,13-60", "--at-fmr", "10%",
        "--bootstrap", "100", "--no-figures", "--out", "o", "--json",
    )  # fmt: skip
    assert code == 0
    names = [c["other"]["name"] for c in json.loads(out)["comparisons"]]
    assert [name.partition(" + ")[2] for name in names] == ["group-threshold", "s-norm"]
    assert {p.name for p in (people / "o").iterdir()} >= {"01", "02"}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--pairs", "pairs.txt"), "--pairs needs the pictures"),
        (("--pairs", "none.csv", "--embeddings", "e.npz"), "none.csv is not a file; give LFW's pairs.txt"),
        (("--pairs", "e.npz", "--embeddings", "e.npz"), "e.npz is not a text file"),
        (
            ("--pairs", "pairs.txt", "--identify", "--embeddings", "e.npz"),
            "Give one of --pairs and --identify, not both.",
        ),
        (
            ("--pairs", "pairs.txt", "--embeddings", "e.npz", "--baseline", "x"),
            "--baseline has no meaning with --pairs.",
        ),
        (("--embeddings", "e.npz", "--folds", "5"), "--folds belongs to --pairs."),
        (("--embeddings", "e.npz", "--gallery", "oldest"), "--gallery belongs to --identify."),
        (("--identify", "--embeddings", "e.npz", "--gallery", "all"), "--gallery 'all' is unknown"),
        (("--identify", "--embeddings", "e.npz", "--fail-if", "tar > 1"), "'tar' is not a quantity of this protocol"),
    ],
)
def test_mistakes_are_one_sentence(
    people: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], sentence: str
) -> None:
    code, _, err = run(capsys, "evaluate", *arguments)
    assert code == 2
    assert sentence in " ".join(err.split())
    assert "Traceback" not in err


def test_a_hostile_set_is_refused(people: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("lfw.bin").write_bytes(b"\x80\x02cposix\nsystem\nU\x0ctouch canary\x85R.")
    code, _, err = run(capsys, "evaluate", "--pairs", "lfw.bin")
    assert code == 2
    assert "posix.system" in err
    assert not Path("canary").exists()


def test_a_plan_does_nothing(people: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, _ = run(capsys, "evaluate", "--pairs", "pairs.txt", "--embeddings", "e.npz", "--dry-run")
    assert code == 0
    assert not Path("evaluations").exists()
