"""Experiment files: what is accepted and what is refused."""

from pathlib import Path

import pytest

from frbias.core.foundation.errors import BadInputError
from frbias.experiment.plan import make_plan, read_plan

GOOD = {
    "name": "x",
    "train": {"backend": "mesh", "subjects": 10},
    "test": {"backend": "mesh", "subjects": 5, "first_subject": 10},
    "finetune": {"frozen": "1,2,3"},
}


def test_a_good_plan() -> None:
    plan = make_plan(GOOD)
    assert plan.train.backend == "mesh"
    assert plan.train.options == {"subjects": 10}
    assert plan.finetune["frozen"] == "1,2,3"
    assert plan.seed == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"trian": {}}, "'trian' is unknown"),
        ({"test": {"backend": "mesh", "subjects": 5, "first_subject": 9}}, "share subjects"),
        ({"test": {}}, "either backend"),
        ({"test": {"backend": "mesh", "data": "fgnet"}}, "either backend"),
        ({"test": {"data": "fgnet", "subjects": 3}}, "'subjects' has no meaning"),
        ({"test": 3}, r"lacks the section \[test\]"),
    ],
)
def test_refusals(change: dict[str, object], message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        make_plan({**GOOD, **change})


def test_other_seed_means_other_people() -> None:
    plan = make_plan({**GOOD, "test": {"backend": "mesh", "subjects": 5, "seed": 1}})
    assert plan.test.options["seed"] == 1


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="cannot be read"):
        read_plan(tmp_path / "absent.toml")
    (tmp_path / "bad.toml").write_text("[train\n")
    with pytest.raises(BadInputError, match="cannot be read"):
        read_plan(tmp_path / "bad.toml")
