"""Experiment files: what is accepted and what is refused."""

import json
from pathlib import Path

import pytest

from frbias.cli.app import main
from frbias.core.foundation.errors import AssetMissingError, BadInputError
from frbias.core.stages.requests.protocols import IdentifyRequest, PairsRequest
from frbias.experiment.demo import demo_plan
from frbias.experiment.grid import make_grid, read_grid
from frbias.experiment.plan import make_plan, read_plan
from frbias.experiment.protocols import OF_TEST
from frbias.experiment.stages import run_experiment
from frbias.synth.cusp.request import CuspRequest
from frbias.synth.mesh.request import MeshRequest

GOOD = {
    "name": "x",
    "train": {"backend": "mesh", "subjects": 10},
    "test": {"backend": "mesh", "subjects": 5, "first_subject": 10},
    "finetune": {"frozen": "1,2,3"},
}


def test_a_good_plan() -> None:
    plan = make_plan({**GOOD, "seed": 7, "evaluate": {"at-fmr": ["1%", 0.001], "seed": 3, "groups": "0-19,20-60"}})
    assert plan.train.generated == MeshRequest(subjects=10, seed=7)
    assert plan.finetune.frozen == ("stem", "1", "2", "3")
    assert (plan.finetune.seed, plan.evaluate.seed) == (7, 3)
    assert plan.evaluate.at_fmr == (0.01, 0.001)
    assert plan.align.detector == "yunet"


def test_published_protocols_take_the_pictures_of_the_test_set_unless_they_name_others() -> None:
    asked = {"pairs": {"pairs": ["a.csv"]}, "identify": {"at-fpir": ["10%"], "seed": 2}}
    plan = make_plan({**GOOD, "seed": 7, **asked})
    assert plan.protocols["pairs"] == PairsRequest(pairs=("a.csv",), embeddings=OF_TEST, seed=7)
    assert plan.protocols["identify"] == IdentifyRequest(at_fpir=(0.1,), embeddings=OF_TEST, seed=2)
    other = make_plan({**GOOD, "pairs": {"pairs": ["lfw.bin"], "flip": "add"}, "identify": {"data": "lfw"}})
    assert other.protocols["pairs"] == PairsRequest(pairs=("lfw.bin",), flip="add")
    assert other.protocols["identify"] == IdentifyRequest(data="lfw")
    assert make_plan(GOOD).protocols == {}


def test_a_list_of_pairs_that_is_not_there_is_said_before_any_work(tmp_path: Path) -> None:
    plan = make_plan({**GOOD, "pairs": {"pairs": [str(tmp_path / "none.csv")]}})
    with pytest.raises(BadInputError, match=r"none\.csv does not exist; give a list of pairs"):
        run_experiment(plan, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"trian": {}}, "'trian' is unknown; did you mean 'train'"),
        ({"test": {"backend": "mesh", "subjects": 5, "first_subject": 9}}, "share people"),
        ({"train": {"data": "fgnet"}, "test": {"data": "fgnet"}}, "share people"),
        ({"train": {"backend": "cusp", "input": "mesh:11"}}, "share people"),
        ({"test": {}}, "either backend"),
        ({"test": {"backend": "mesh", "data": "fgnet"}}, "either backend"),
        ({"test": {"data": "fgnet", "subjects": 3}}, "'subjects' has no meaning"),
        ({"test": {"data": ["fgnet"]}}, "not the name of an image set"),
        ({"test": {"backend": ["mesh"]}}, r"\[test\] backend"),
        ({"test": 3}, r"\[test\] is a single value"),
        ({"align": "x"}, r"\[align\] is a single value"),
        ({"align": {"detektor": "yunet"}}, r"\[align\] has no option 'detektor'; did you mean 'detector'"),
        ({"train": {"backend": "mesh", "psi": 0.5}}, r"\[train\] has no option 'psi'"),
        ({"seed": "zero"}, "seed"),
        ({"seed": -1}, "seed -1 is out of range"),
        ({"finetune": {"epochs": "three"}}, r"\[finetune\] epochs 'three' is not a whole number"),
        ({"finetune": {"epochs": [3]}}, r"\[finetune\] epochs is a list"),
        ({"finetune": {"lr": {"high": 1}}}, r"\[finetune\] lr is a table"),
        ({"finetune": {"data": "people"}}, r"\[finetune\] has no option 'data'; the other sections"),
        ({"evaluate": {"models": ["a"]}}, r"\[evaluate\] has no option 'models'"),
        ({"evaluate": {"at_fmr": [2]}}, r"\[evaluate\] --at-fmr 2"),
        ({"evaluate": {"protocol": "tesis"}}, "thesis"),
        ({"pairs": {}}, r"\[pairs\] .*pairs"),
        ({"pairs": {"pairs": ["all"]}}, r"\[pairs\] --pairs all stands alone and needs --groups"),
        ({"pairs": {"pairs": ["lfw.bin"], "data": "lfw"}}, r"\[pairs\] --pairs lfw.bin brings its own pictures"),
        ({"identify": {"weights": "sface"}}, r"\[identify\] has no option 'weights'; the other sections"),
        ({"identify": {"at-fpir": [3]}}, r"\[identify\] --at-fpir 3 is no rate"),
    ],
)
def test_refusals(change: dict[str, object], message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        make_plan({**GOOD, **change})


def test_everything_wrong_is_said_at_once() -> None:
    wrong = {
        "sede": 1,
        "train": {"backend": "mesh", "subjects": 0, "ages": [5, 99]},
        "test": {"backend": "mash"},
        "align": {"size": 100, "template": "arcfase"},
        "finetune": {"lr": "fast", "epoch": 3},
        "evaluate": {"bootstrap": -1, "alpha": 2},
    }
    with pytest.raises(BadInputError) as caught:
        make_plan(wrong, "plan.toml")
    lines = str(caught.value).splitlines()
    assert lines[0] == "9 things are wrong with plan.toml:"
    assert len(lines) == 10
    for words in ("'seed'?", "[train] subjects 0", "99 is out of range", "'mesh'?", "arcface?", "'fast'", "'epochs'?"):
        assert sum(words in line for line in lines) == 1, words
    assert all("[evaluate]" in line for line in lines[-2:])


def test_other_seed_means_other_people() -> None:
    plan = make_plan({**GOOD, "test": {"backend": "mesh", "subjects": 5, "seed": 1}})
    assert plan.test.generated is not None
    assert plan.test.generated.seed == 1


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"absent\.toml does not exist\.$"):
        read_plan(tmp_path / "absent.toml")
    for text in ("[train\n", "x = " + "[" * 50_000, "x = " + "9" * 5000, "\udcff"):
        (tmp_path / "bad.toml").write_text(text, errors="surrogateescape")
        with pytest.raises(BadInputError, match="cannot be read") as caught:
            read_plan(tmp_path / "bad.toml")
        assert len(str(caught.value).splitlines()) == 1


def test_the_documented_files_are_plans() -> None:
    files = sorted((Path(__file__).parents[2] / "experiments").glob("*.toml"))
    assert {path.name for path in files} >= {"thesis-cusp.toml", "thesis-eg3d.toml"}
    cusp = read_plan(next(path for path in files if path.name == "thesis-cusp.toml"))
    assert isinstance(cusp.train.generated, CuspRequest)
    assert (cusp.finetune.epochs, cusp.finetune.lr, cusp.finetune.batch_size) == (150, 0.01, 25)
    assert cusp.evaluate.protocol == "thesis"
    for path in files:
        read_grid(path)


def test_all_that_is_missing_is_named_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRBIAS_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    plan = make_plan(
        {"train": {"backend": "eg3d"}, "test": {"data": "fgnet"}, "finetune": {"weights": "r50", "eval-data": "agedb"}}
    )
    with pytest.raises(AssetMissingError) as caught:
        run_experiment(plan, tmp_path / "out")
    for word in ("EG3D", "FG-NET", "r50", "AgeDB"):
        assert word in str(caught.value), word
    assert not (tmp_path / "out").exists()


def test_the_demo_tests_on_people_it_does_not_train_on() -> None:
    plan = demo_plan(train_subjects=72, test_subjects=9_999, bootstrap=0, seed=3)
    train, test = plan.train.generated, plan.test.generated
    assert isinstance(train, MeshRequest)
    assert isinstance(test, MeshRequest)
    assert train.first_subject == 10_000
    assert not set(train.ages) & set(test.ages)
    assert (plan.finetune.recipe, plan.finetune.epochs, plan.finetune.remove) == ("projection", 0, ("auto",))
    assert (train.seed, plan.finetune.seed, plan.evaluate.seed) == (3, 3, 3)


def test_the_demo_cuts_faces_out_by_known_points_and_draws_its_figures_once() -> None:
    plan = demo_plan(train_subjects=8, test_subjects=8, bootstrap=0, seed=0)
    assert plan.align.detector == "points"
    assert not plan.evaluate.figures


def test_the_demo_can_be_planned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The stages of the demo, none of them done, and nothing written."""
    with pytest.raises(SystemExit) as stopped:
        main(["demo", "--out", str(tmp_path / "demo"), "--dry-run", "--json"])
    assert not stopped.value.code
    found = json.loads(capsys.readouterr().out)
    stages = json.dumps(found)
    for stage in ("generate", "align", "finetune", "embed", "compare"):
        assert stage in stages, stage
    assert not (tmp_path / "demo").exists()


def test_a_grid_says_that_it_judges_by_no_published_protocol() -> None:
    with pytest.raises(BadInputError, match=r"\[identify\] is not judged in a grid"):
        make_grid({**GOOD, "identify": {}, "seeds": [1, 2]})
    assert make_grid({**GOOD, "identify": {}}).cells[0].plan.protocols


def test_a_suggestion_ends_the_sentence() -> None:
    with pytest.raises(BadInputError, match=r"has no option 'epoch'; did you mean 'epochs'\?$"):
        make_plan({"train": {"data": "a"}, "test": {"data": "b"}, "finetune": {"epoch": 1}})
