"""Grids: how a file becomes cells, which work they share, and that their table is what the raw scores say."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from small_grids import document, write_grid

from frbias.cli import console
from frbias.cli.grid_view import result_json, show_result
from frbias.core.data.embeddings import read_embeddings
from frbias.core.foundation.errors import AssetMissingError, BadInputError
from frbias.core.foundation.machine import Machine, Resources
from frbias.core.verification.bootstrap import draw_weights
from frbias.core.verification.measures.rates import error_budgets
from frbias.experiment.grid import make_grid, read_grid
from frbias.experiment.running import GridResult, run_grid, weave

MESH: dict[str, Any] = {"backend": "mesh", "subjects": 5}
BASE: dict[str, Any] = {"train": MESH, "test": {**MESH, "first_subject": 5}}
MACHINE = Machine(Resources(workers=1, threads=1))


def test_lists_make_cells() -> None:
    grid = make_grid({**BASE, "seeds": [7, 8], "seed": 3, "finetune": {"lr": [0.1, 0.01], "frozen": [[1, 2], "none"]}})
    assert len(grid.cells) == 8
    assert [cell.name for cell in grid.cells[:3]] == [
        "lr=0.1, frozen=1,2, seed=7",
        "lr=0.1, frozen=1,2, seed=8",
        "lr=0.1, frozen=none, seed=7",
    ]
    plan = grid.cells[1].plan
    assert (plan.finetune.lr, plan.finetune.frozen, plan.finetune.seed) == (0.1, ("stem", "1", "2"), 8)
    assert plan.train.generated is not None
    assert plan.test.generated is not None
    assert (plan.train.generated.seed, plan.test.generated.seed, plan.evaluate.seed) == (8, 3, 3)


def test_an_option_that_takes_a_list_is_no_grid_unless_it_holds_several() -> None:
    one = make_grid({**BASE, "evaluate": {"at_fmr": [0.1, 0.01]}, "finetune": {"frozen": [1, 2]}})
    assert one.single
    assert one.cells[0].plan.evaluate.at_fmr == (0.1, 0.01)
    several = make_grid({**BASE, "evaluate": {"at_fmr": [[0.1, 0.01], [0.1]]}, "finetune": {"frozen": ["1,2", "none"]}})
    assert {(cell.plan.evaluate.at_fmr, cell.plan.finetune.frozen) for cell in several.cells} == {
        (rates, frozen) for rates in ((0.1, 0.01), (0.1,)) for frozen in (("stem", "1", "2"), ())
    }


def test_sections_given_several_times_and_sets_by_name() -> None:
    trains = [{"backend": "mesh", "label": "few", "subjects": 3}, {"backend": "eg3d", "psi": 0.5}]
    grid = make_grid(
        {"train": trains, "test": {"data": ["fgnet", "agedb"]}, "finetune": {"guard": [["a"], ["b", "c"]]}}
    )
    assert list(grid.settings()) == [
        "train=few, data=fgnet, guard=a",
        "train=few, data=fgnet, guard=b,c",
        "train=few, data=agedb, guard=a",
        "train=few, data=agedb, guard=b,c",
        "train=eg3d, data=fgnet, guard=a",
        "train=eg3d, data=fgnet, guard=b,c",
        "train=eg3d, data=agedb, guard=a",
        "train=eg3d, data=agedb, guard=b,c",
    ]
    assert grid.cells[1].plan.finetune.guard == ("b", "c")


def test_everything_wrong_with_a_grid_is_said_at_once() -> None:
    wrong = {
        "sede": 1,
        "seeds": ["x"],
        "train": {"backend": "mash"},
        "test": 3,
        "finetune": {"lr": ["x", 0.1, 0.1], "zz": [1, 2]},
    }
    with pytest.raises(BadInputError) as caught:
        make_grid(wrong, "grid.toml")
    lines = str(caught.value).splitlines()
    assert lines[0] == "7 things are wrong with grid.toml:"
    for words in ("seeds is no list", "'seed'?", "lr names 0.1 twice", "'mesh'?", "[test] is a single", "'x'", "'zz'"):
        assert sum(words in line for line in lines) == 1, words
    with pytest.raises(BadInputError, match="makes 20,000 cells"):
        make_grid({**BASE, "seeds": list(range(10_000)), "finetune": {"lr": [0.1, 0.2]}})


def test_cells_share_the_work_that_is_the_same(tmp_path: Path) -> None:
    woven = weave(make_grid(document(tmp_path)), tmp_path / "out", MACHINE)
    stages = [node.stage for node in woven.nodes.values()]
    assert {stage: stages.count(stage) for stage in set(stages)} == {"finetune": 12, "embed": 13, "compare": 12}
    assert not woven.contents.missing
    for key, node in woven.nodes.items():
        assert all(list(woven.nodes).index(need) < list(woven.nodes).index(key) for need in node.needs)


def test_one_changed_learning_rate_changes_its_cells_alone(tmp_path: Path) -> None:
    before = weave(make_grid(document(tmp_path)), tmp_path / "out", MACHINE)
    after = weave(make_grid(document(tmp_path, finetune={"lr": [0.05, 0.02]})), tmp_path / "out", MACHINE)
    rates = [cell.plan.finetune.lr for cell in before.grid.cells]
    same = [old == new for old, new in zip(before.cells, after.cells, strict=True)]
    assert same == [rate == 0.05 for rate in rates]
    new = [node for key, node in after.nodes.items() if key not in before.nodes]
    assert sorted(node.stage for node in new) == ["compare"] * 6 + ["embed"] * 6 + ["finetune"] * 6


def test_another_content_under_the_same_name_is_other_work(tmp_path: Path) -> None:
    grid = make_grid(document(tmp_path))
    before = weave(grid, tmp_path / "out", MACHINE)
    (tmp_path / "faces-test" / "p0" / "p0_8.png").write_bytes((tmp_path / "faces-test/p1/p1_8.png").read_bytes())
    after = weave(grid, tmp_path / "out", MACHINE)
    kept = {node.stage for key, node in after.nodes.items() if key in before.nodes}
    assert kept == {"finetune"}


def test_missing_assets_are_all_named_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRBIAS_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    trains = [{"backend": "eg3d"}, {"backend": "cusp"}]
    grid = make_grid({"train": trains, "test": {"data": ["fgnet", "agedb"]}, "finetune": {"weights": "r50"}})
    with pytest.raises(AssetMissingError) as caught:
        run_grid(grid, tmp_path / "out")
    for word in ("EG3D", "CUSP", "FG-NET", "AgeDB", "r50"):
        assert word in str(caught.value), word
    assert not (tmp_path / "out").exists()


def no_seconds(*arguments: Any, **options: Any) -> float:
    """In place of the estimate of every fine-tuning, which takes longer than the fine-tuning does here."""
    return 0.0


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, GridResult]:
    folder = tmp_path_factory.mktemp("grid")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FRBIAS_HOME", str(folder / "home"))
        patch.setattr("frbias.core.training.plan.seconds_of", no_seconds)
        return folder, run_grid(make_grid(document(folder)), folder / "out", MACHINE)


def _brute_force(folder: Path, weights: np.ndarray | None) -> np.ndarray:
    """FNMR over both groups at FMR 0.1, from all pairs; one value, or one for each row of weights of subjects."""
    found = read_embeddings(folder)
    unit = found.matrix.astype(np.float64)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    names = sorted(set(found.subjects))
    who, young = np.array([names.index(s) for s in found.subjects]), np.asarray(found.ages) < 20
    one, two = np.triu_indices(len(who), 1)
    inside = young[one] == young[two]
    one, two = one[inside], two[inside]
    scores, mated = (unit @ unit.T)[one, two], who[one] == who[two]
    draws = np.ones((1, len(names)), dtype=np.int64) if weights is None else weights
    values = []
    for w in draws:
        count = np.where(mated, w[who[one]], w[who[one]] * w[who[two]])
        budget = error_budgets(0.1, np.array([count[~mated].sum()]))[0]
        seen = ~mated & (count > 0)
        order = np.argsort(-scores[seen], kind="stable")
        allowed = int(np.searchsorted(np.cumsum(count[seen][order]), budget, side="right"))
        taken = scores[seen][order]
        tau = taken[allowed - 1] if allowed else np.nextafter(np.float32(taken[0]), np.float32(2))
        values.append(count[mated][scores[mated] < tau - 1e-7].sum() / count[mated].sum())
    return np.array(values)


@pytest.mark.long
@pytest.mark.xdist_group("grid")
def test_the_table_is_what_the_raw_scores_say(finished: tuple[Path, GridResult]) -> None:
    _, result = finished
    assert not result.failed()
    table = result.table
    weights = draw_weights(7, 200, 0)
    ps, rows = [], []
    for setting, cells in result.woven.grid.settings().items():
        nodes = [result.woven.cells[result.woven.grid.cells.index(cell)] for cell in cells]
        assert len(nodes) == 3
        start = _brute_force(nodes[0].baseline, None)[0]
        tuned = np.array([_brute_force(n.finetuned, None)[0] for n in nodes])
        change = np.mean(
            [_brute_force(n.finetuned, weights) - _brute_force(n.baseline, weights) for n in nodes], axis=0
        )
        rng = np.random.Generator(np.random.PCG64(0))
        drawn = change + (tuned - start).std(ddof=1) / np.sqrt(3) * rng.standard_t(2, size=(50, 200))
        row = table[(table["setting"] == setting) & (table["measure"] == "fnmr")].iloc[0]
        assert row["runs"] == 3
        assert row["baseline"] == pytest.approx(start)
        assert row["finetuned"] == pytest.approx(tuned.mean())
        assert row["difference"] == pytest.approx((tuned - start).mean())
        assert (row["low"], row["high"]) == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])))
        ps.append(min(1.0, 2 * (min((drawn <= 0).sum(), (drawn >= 0).sum()) + 1) / (drawn.size + 1)))
        rows.append(row)
    assert [row["p"] for row in rows] == pytest.approx(ps)
    order = np.argsort(ps, kind="stable")
    adjusted = np.maximum.accumulate([min(1.0, (4 - k) * ps[i]) for k, i in enumerate(order)])
    assert [rows[i]["p_holm"] for i in order] == pytest.approx(list(adjusted))
    assert {row["correction"] for row in rows} == {"Holm"}


@pytest.mark.long
@pytest.mark.xdist_group("grid")
def test_the_files_say_the_same(finished: tuple[Path, GridResult]) -> None:
    folder, _ = finished
    out = folder / "out"
    cells, table = pd.read_csv(out / "cells.csv"), pd.read_parquet(out / "table.parquet")
    assert set(cells["seed"]) == {1, 2, 3}
    assert len(cells) == 12 * len(cells[cells["cell"] == cells["cell"][0]])
    means = cells[cells["measure"] == "fnmr"].groupby("setting", sort=False)["difference"].mean()
    assert means.tolist() == pytest.approx(table[table["measure"] == "fnmr"]["difference"].tolist())
    written = json.loads((out / "grid.json").read_text())
    assert [cell["status"] for cell in written["cells"]] == ["done"] * 12
    assert written["cells"][3]["options"]["finetune"]["frozen"] == ["stem", "1", "2", "3"]


@pytest.mark.long
@pytest.mark.xdist_group("grid")
def test_what_is_shown(finished: tuple[Path, GridResult], capsys: pytest.CaptureFixture[str]) -> None:
    _, result = finished
    console.reset()
    show_result(result)
    said = capsys.readouterr().out
    for words in (
        "At a false match rate of 10 %",
        "fnmr_worst",
        "seeds and subjects",
        "Holm",
        "37 pieces of work done",
    ):
        assert words in said, words
    assert said.count("lr=0.05, frozen=1,2,3,4") == 5
    told = json.loads(json.dumps(result_json(result), allow_nan=False))
    assert (told["cells"], told["failed"], len(told["table"])) == (12, [], len(result.table))


@pytest.mark.long
@pytest.mark.xdist_group("grid")
def test_only_what_changed_runs_again_and_a_failure_stops_nobody(
    finished: tuple[Path, GridResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, first = finished
    monkeypatch.setenv("FRBIAS_HOME", str(folder / "home"))
    monkeypatch.setattr("frbias.core.training.plan.seconds_of", no_seconds)
    places = {node.place for node in first.woven.nodes.values()}
    before = {path: path.stat().st_mtime_ns for place in places for path in place.rglob("*")}
    gated = document(folder, evaluate={"fail_if": ["eer >= 0", "eer > 1"]})
    again = run_grid(make_grid(gated), folder / "out", MACHINE)
    assert (again.count("done"), again.count("reused")) == (0, 37)
    assert len(again.broken_gates) == 12
    assert all("eer" in text and "seed=" in text for text in again.broken_gates)
    blocked = weave(make_grid(document(folder, finetune={"lr": [0.05, 0.02]})), folder / "out", MACHINE)
    (blocked.cells[6].run).mkdir()
    (blocked.cells[6].run / "mine.txt").write_text("of somebody else")
    changed = run_grid(make_grid(document(folder, finetune={"lr": [0.05, 0.02]})), folder / "out", MACHINE)
    assert {s: changed.count(s) for s in ("done", "reused", "failed", "skipped")} == {
        "done": 15, "reused": 19, "failed": 1, "skipped": 2,
    }  # fmt: skip
    ((cell, problem),) = changed.failed()
    assert cell.name == "lr=0.02, frozen=1,2,3,4, seed=1"
    assert "did not make" in problem
    assert "did not make" in (folder / "out" / "problems.txt").read_text()
    assert changed.table[changed.table["measure"] == "eer"]["runs"].tolist() == [3, 3, 2, 3]
    assert {path: path.stat().st_mtime_ns for place in places for path in place.rglob("*")} == before


@pytest.mark.long
@pytest.mark.xdist_group("grid")
def test_the_command_line_lists_every_cell_and_does_nothing(finished: tuple[Path, GridResult]) -> None:
    folder, result = finished
    path = write_grid(folder / "grid.toml", document(folder))
    assert len(read_grid(path).cells) == 12
    command = [sys.executable, "-m", "frbias", "run", str(path), "--out", str(folder / "out"), "--dry-run", "--json"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert answer.returncode == 0, answer.stderr
    found = json.loads(answer.stdout)
    assert [cell["name"] for cell in found["cells"]] == [cell.name for cell in result.woven.grid.cells]
    assert found["cells"][4]["options"]["finetune"]["lr"] == 0.05
    assert {step["state"] for step in found["steps"]} == {"finished"}
    assert found["estimate"]["seconds"] == 0
