"""Options from a file: every type a TOML file has, all mistakes at once, names with a suggestion."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))


def test_numbers_lists_and_truths(call: Call, tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text(
        '[generate]\nsubjects = 2\nages = [5, 20.5, "30"]\nvariants = 1\nsize = 64\nout = "people"\n'
        '[evaluate]\nat-fmr = [0.1, "1%"]\nfail-if = ["tau > 1000", "eer > 0.99"]\nfigures = false\nscores = "s.csv"\n'
    )
    code, out, err = call("--config", "~/c.toml", "generate", "--dry-run", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["steps"][0]["what"] == "Generate 6 images of 2 subjects with mesh"
    (tmp_path / "s.csv").write_text("score,mated\n" + "".join(f"{k % 7 + 5 * (k % 2)},{k % 2}\n" for k in range(400)))
    for words in (("--config", "c.toml", "evaluate"), ("evaluate", "--config", "c.toml")):
        code, out, err = call(*words, "--bootstrap", 0, "--json")
        assert code == 0, err
        assert [target["target"] for target in json.loads(out)["targets"]] == [0.1, 0.01]
    code, out, _ = call("--config", "c.toml", "evaluate", "--at-fmr", "20%", "--bootstrap", 0, "--json")
    assert [target["target"] for target in json.loads(out)["targets"]] == [0.2]


def test_mistakes_are_told_together(call: Call, tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text('[embed]\nweigths = "sface"\nflipp = "add"\n')
    for words in (("--config", "c.toml", "embed", "x"), ("embed", "x", "--config", "c.toml")):
        code, out, err = call(*words)
        assert (code, out) == (2, "")
        assert "did you mean 'weights'?" in err
        assert "did you mean 'flip'?" in err
    (tmp_path / "c.toml").write_text('[embed]\nflip = 3\nbatch-size = "many"\n')
    err = call("--config", "c.toml", "embed", "x")[2]
    assert "--flip '3' is unknown" in err
    assert "--batch-size 'many' is not a whole number" in err
    (tmp_path / "c.toml").write_text("[embedd]\nx = 1\n[algin]\nx = 1\n")
    err = call("--config", "c.toml", "embed", "x")[2]
    assert "did you mean 'embed'?" in err
    assert "did you mean 'align'?" in err


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"[embed", "cannot be read"), (b"\xff\xfe", "cannot be read"), (b"embed = 3", "belong into a section")],
)
def test_files_that_are_no_settings(content: bytes, words: str, call: Call, tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_bytes(content)
    code, _, err = call("--config", "c.toml", "embed", "x")
    assert code == 2
    assert words in err
    assert call("--config", "missing.toml", "embed", "x")[2] == "frbias: --config: missing.toml does not exist.\n"


def test_groups_of_commands(call: Call, tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text('[data.stats]\ngroups = "9-5"\n')
    assert "upside down" in call("--config", "c.toml", "data", "stats", "x")[2]
