"""The thesis' experiment: its files agree, what it lacks is named, and its graph runs small from end to end."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from frbias.cli.app import main
from frbias.core.assets.paths import embedded_folder
from frbias.core.foundation.machine import Machine, Resources
from frbias.experiment.grid import read_grid
from frbias.experiment.running import run_grid, weave

FOLDER = Path(__file__).parents[2] / "experiments"
SMALL = {"weights", "epochs", "eval-every", "bootstrap", "figures"}


def content(name: str) -> dict[str, Any]:
    return tomllib.loads((FOLDER / name).read_text())


def test_the_files_say_the_same() -> None:
    whole = content("thesis.toml")
    for name, position in (("thesis-cusp.toml", 0), ("thesis-eg3d.toml", 1)):
        half = content(name)
        assert {**half["train"], "label": whole["train"][position]["label"]} == whole["train"][position]
        assert half["finetune"] == whole["finetune"]
        assert {**half["evaluate"], "figures": True} == whole["evaluate"]
    dry = content("thesis-dry.toml")
    for section in ("finetune", "evaluate"):
        for key in {*whole[section], *dry[section]} - SMALL:
            assert dry[section][key] == whole[section][key], key


def test_the_published_run() -> None:
    for cell in read_grid(FOLDER / "thesis.toml").cells:
        options = cell.plan.finetune
        assert (options.weights, options.frozen) == ("r50", ("stem", "1", "2", "3"))
        assert (options.lr, options.momentum, options.epochs, options.batch_size) == (0.01, 0.9, 150, 25)
        assert (options.eval_data, options.eval_every) == ("test", 10)
        assert cell.plan.test.data == "fgnet"
        assert cell.plan.evaluate.protocol == "thesis"


def shape(name: str, tmp_path: Path) -> list[tuple[str, tuple[int, ...]]]:
    """Stages and what each waits for, by position; without the rendering of what stands in for FG-NET."""
    nodes = weave(read_grid(FOLDER / name), tmp_path).nodes
    kept = [key for key, node in nodes.items() if not (node.stage == "generate" and node.what == "mesh")]
    return [(nodes[k].stage, tuple(kept.index(n) for n in nodes[k].needs if n in kept)) for k in kept]


def test_the_dry_run_has_the_graph_of_the_thesis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRBIAS_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    found = shape("thesis.toml", tmp_path)
    assert found == shape("thesis-dry.toml", tmp_path)
    assert [stage for stage, _ in found].count("finetune") == 2
    assert len(found) == 12


def test_what_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FRBIAS_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        main(["run", str(FOLDER / "thesis.toml"), "--out", "out"])
    assert stopped.value.code == 3
    said = capsys.readouterr().err
    for words in ("r50 is not installed", "cusp is not installed", "eg3d is not installed", "fgnet is not installed"):
        assert words in said, words
    with pytest.raises(SystemExit) as stopped:
        main(["run", str(FOLDER / "thesis.toml"), "--out", "out", "--dry-run", "--json"])
    assert stopped.value.code == 3
    told = json.loads(capsys.readouterr().out)
    assert [cell["name"] for cell in told["cells"]] == ["train=CUSP", "train=EG3D-Age"]
    assert len(told["missing"]) == 4
    assert told["cells"][1]["options"]["finetune"]["epochs"] == 150
    assert not (tmp_path / "out").exists()


@pytest.mark.long
@pytest.mark.timeout(900)
def test_the_dry_run_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "embedded").symlink_to(embedded_folder())
    monkeypatch.setenv("FRBIAS_HOME", str(tmp_path / "home"))
    result = run_grid(read_grid(FOLDER / "thesis-dry.toml"), tmp_path / "out", Machine(Resources(workers=1)))
    assert result.failed() == []
    table = pd.read_csv(tmp_path / "out" / "table.csv")
    garbe = table[(table["measure"] == "garbe") & (table["target"] == 0.1)]
    assert list(garbe["setting"]) == ["train=CUSP", "train=EG3D-Age"]
    assert garbe["baseline"].between(0, 1).all()
    for cell in result.woven.cells:
        assert sorted(p.name for p in (cell.run / "evaluations").iterdir()) == [
            "epoch-0000", "epoch-0001", "epoch-0002",
        ]  # fmt: skip
        document = json.loads((cell.comparison / "comparison.json").read_text())
        groups = [group["name"] for group in document["other"]["targets"][0]["groups"]]
        assert len(groups) == 2
        assert len(document["other"]["curves"]["distributions"]["classes"]) == 5
