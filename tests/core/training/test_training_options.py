import math
import subprocess
import sys

import pytest

from frbias.core.foundation.errors import UsageError
from frbias.core.training.options import FinetuneOptions, angle, options_from, stages_named


@pytest.mark.parametrize(
    ("text", "radians"),
    [("0.5", 0.5), ("0.5rad", 0.5), ("28.6deg", math.radians(28.6)), (" 90DEG ", math.pi / 2), ("0", 0)],
)
def test_angles(text: str, radians: float) -> None:
    assert angle(text) == pytest.approx(radians)


def test_a_bare_number_of_degrees_is_refused_with_a_hint() -> None:
    with pytest.raises(UsageError, match=r"write 28\.6deg"):
        angle("28.6")


@pytest.mark.parametrize("text", ["", "deg", "half", "-1", "nan", "inf", "91deg"])
def test_no_angles(text: str) -> None:
    with pytest.raises(UsageError):
        angle(text)


def test_stage_one_takes_the_stem_with_it() -> None:
    assert stages_named("3, 1,layer2") == ("stem", "1", "2", "3")
    assert stages_named("3") == ("3",)
    assert stages_named("none") == () == stages_named("")


@pytest.mark.parametrize("text", ["9", "1,x", "stem,1,2,3,4,head", "0"])
def test_stages_that_do_not_exist_or_leave_nothing(text: str) -> None:
    with pytest.raises(UsageError, match="--frozen"):
        stages_named(text)


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
        ({"epochs": 0}, "--epochs"),
    ],
)
def test_nonsense_is_refused(change: dict, word: str) -> None:
    with pytest.raises(UsageError, match=word):
        FinetuneOptions(**change)


def test_options_as_people_write_them() -> None:
    options = options_from({"frozen": "1,2", "margin": "28.6deg", "batch-size": 12, "margins": "1,10deg,0.1"})
    assert options.frozen == ("stem", "1", "2")
    assert options.margin == pytest.approx(math.radians(28.6))
    assert options.margins == (1.0, pytest.approx(math.radians(10)), 0.1)
    assert options.batch_size == 12
    assert options_from({"loss": "cosface", "margin": 0.35}).margin == 0.35
    with pytest.raises(UsageError, match="no option 'speed'"):
        options_from({"speed": 1})


def test_options_need_no_torch() -> None:
    code = "import sys, frbias.core.training.options, frbias.cli.finetune; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
