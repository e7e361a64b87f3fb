import math
import subprocess
import sys
from dataclasses import replace

import pytest

from frbias.core.foundation.errors import UsageError
from frbias.core.stages.requests.finetune import FinetuneRequest
from frbias.core.training.options import FinetuneOptions, angle, stages_named
from frbias.core.training.recipes import USUAL, read_recipe, recipe_names


@pytest.mark.parametrize(
    ("text", "radians"),
    [("0.5", 0.5), ("0.5rad", 0.5), ("28.6deg", math.radians(28.6)), (" 90DEG ", math.pi / 2), ("0", 0)],
)
def test_angles(text: str, radians: float) -> None:
    assert angle(text) == pytest.approx(radians)


def test_a_bare_number_of_degrees_is_refused_with_a_hint() -> None:
    with pytest.raises(UsageError, match=r"write 28\.6deg"):
        FinetuneOptions.read({"margin": "28.6"})


@pytest.mark.parametrize("text", ["", "deg", "half", "-1", "nan", "inf", "91deg"])
def test_no_angles(text: str) -> None:
    with pytest.raises(UsageError, match="--margin"):
        FinetuneOptions.read({"margin": text})


def test_stage_one_takes_the_stem_with_it() -> None:
    assert stages_named("3, 1,layer2") == ("stem", "1", "2", "3")
    assert stages_named("3") == ("3",)
    assert stages_named("none") == () == stages_named("")


@pytest.mark.parametrize("text", ["9", "1,x", "stem,1,2,3,4,head", "0"])
def test_stages_that_do_not_exist_or_leave_nothing(text: str) -> None:
    with pytest.raises(UsageError, match="--frozen"):
        FinetuneOptions.read({"frozen": text})
    with pytest.raises(UsageError, match="--frozen"):
        FinetuneOptions(frozen=tuple(text.split(",")))


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"loss": "triplet"}, "--loss"),
        ({"lr": 0.0}, "--lr"),
        ({"lr": math.nan}, "--lr"),
        ({"batch_size": 25, "accumulate": 2}, "--accumulate"),
        ({"batch_size": 25, "sampler": "per-subject"}, "--per-subject"),
        ({"validation": 0.0}, "--watch"),
        ({"cache": "on", "augment": "fresh"}, "--augment fresh"),
        ({"cache": "on", "frozen_bn": "train"}, "--frozen-bn train"),
        ({"epochs": -1}, "--epochs"),
    ],
)
def test_nonsense_is_refused(change: dict, word: str) -> None:
    with pytest.raises(UsageError, match=word):
        FinetuneOptions(**change)


def test_options_as_people_write_them() -> None:
    given = {"frozen": "1,2", "margin": "28.6deg", "batch-size": 12, "margins": "1,10deg,0.1"}
    options = FinetuneOptions.read(given)
    assert options.frozen == ("stem", "1", "2")
    assert options.margin == pytest.approx(math.radians(28.6))
    assert options.margins == (1.0, pytest.approx(math.radians(10)), 0.1)
    assert options.batch_size == 12
    assert options == FinetuneOptions.read({**given, "frozen": ["1", 2], "margins": [1, "10deg", 0.1]})
    assert FinetuneOptions.read({"loss": "cosface", "margin": 0.35}).margin == 0.35
    with pytest.raises(UsageError, match="takes none"):
        FinetuneOptions.read({"loss": "cosface", "margin": "20deg"})
    with pytest.raises(UsageError, match="no option 'speed'"):
        FinetuneOptions.read({"speed": 1})


def test_what_is_written_reads_back() -> None:
    for options in (
        FinetuneOptions(),
        FinetuneOptions(frozen=(), loss="cosface", margin=0.35, decay_all=True, seed=2**62),
    ):
        assert FinetuneOptions.read(options.as_written()).identity() == options.identity()


def test_everything_wrong_is_said_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        FinetuneOptions.read({"lr": "fast", "epochs": -1, "loss": "arkface", "frozen": 9, "sede": 1})
    assert [word in str(caught.value) for word in ("--lr", "--epochs -1", "arcface?", "'9'", "'seed'?")] == [True] * 5


def test_options_need_no_torch() -> None:
    code = "import sys, frbias.core.stages.requests.finetune, frbias.cli.finetune; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_recipe_can_be_read_and_says_what_was_measured() -> None:
    assert recipe_names()[0] == USUAL == "projection"
    for name in recipe_names():
        recipe = read_recipe(name)
        assert recipe.about.endswith(".")
        assert "FNMR" in recipe.measured
        assert FinetuneRequest.read({"recipe": name}).recipe == name


def test_which_recipe_is_taken() -> None:
    assert FinetuneRequest.read({"data": "x", "seed": 3}).recipe == "projection"
    frozen = FinetuneRequest.read({"frozen": "1,2,3"})
    assert (frozen.recipe, frozen.blend, frozen.peak_lr) == ("head", 0.5, 0.001)
    assert FinetuneRequest.read({"epochs": 7}).frozen == ("stem", "1", "2", "3", "4")
    assert FinetuneRequest.read({"recipe": "head"}).peak_lr == 0.01


def test_the_thesis_recipe_is_the_thesis() -> None:
    thesis = FinetuneRequest.read({"recipe": "thesis"})
    assert thesis.frozen == ("stem", "1", "2", "3")
    assert (thesis.lr, thesis.epochs, thesis.batch_size, thesis.momentum, thesis.blend) == (0.01, 20, 25, 0.9, 1.0)
    assert replace(thesis, recipe="") == FinetuneRequest(lr=0.01)
    assert FinetuneRequest.read({"recipe": "thesis", "epochs": "150"}).epochs == 150


def test_recipes_of_ones_own(tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "mine.toml"
    path.write_text('about = "Mine."\n[finetune]\nfrozen = [1, 2]\nmargin = "20deg"\n')
    mine = FinetuneRequest.read({"recipe": str(path), "lr": "0.1"})
    assert (mine.frozen, mine.lr, mine.blend) == (("stem", "1", "2"), 0.1, 1.0)
    for text, words in (
        ("[finetune]\nspeed = 1\n", "no option 'speed'"),
        ("[finetune]\nlr = 'fast'\n", "--lr"),
        ("lr = 1\n", "no section"),
        ("x = 1\n[finetune]\n", "nothing else"),
        ("x = [", "cannot be read"),
        ("x = " + "[" * 50_000, "cannot be read"),
    ):
        path.write_text(text)
        with pytest.raises(UsageError, match=words):
            FinetuneRequest.read({"recipe": str(path)})
    with pytest.raises(UsageError, match="did you mean 'thesis'"):
        FinetuneRequest.read({"recipe": "tesis"})


def test_the_rate_is_chosen_by_what_is_trained() -> None:
    rates = {text: FinetuneOptions.read({"frozen": text}).peak_lr for text in ("1,2,3,4", "1,2,3", "none", "head")}
    assert rates == {"1,2,3,4": 0.01, "1,2,3": 0.001, "none": 0.001, "head": 0.001}
    assert FinetuneOptions(lr=0.3).peak_lr == FinetuneOptions(lr=0.3).identity()["lr"] == 0.3
    assert FinetuneOptions().identity() == FinetuneOptions(lr=0.001).identity()
