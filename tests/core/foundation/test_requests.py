"""Requests read what people write, say everything that is wrong at once, and know what decides a result."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from frbias.core.foundation.errors import UsageError
from frbias.core.foundation.requests import Request, option
from frbias.core.foundation.values import Unusable, converted, numbers


@dataclass(frozen=True, kw_only=True)
class Brew(Request):
    title = "brew"
    bean: Literal["arabica", "robusta"] = option("arabica", help="Bean.")
    cups: int = option(2, help="Cups.", low=1, high=12)
    heat: float = option(93.5, help="Degrees.", low=20, high=100)
    ages: tuple[float, ...] = option((1.0,), help="Ages.", low=0)
    where: Path | None = option(None, help="Where to.", decides=False)
    sugar: bool = option(False, help="Sugar.")
    hand_drip: str = option(help="Filter.")

    def conflicts(self) -> Iterator[str]:
        if self.sugar and self.bean == "robusta":
            yield "--sugar spoils robusta."


def test_text_and_values_give_the_same_request() -> None:
    typed = Brew.read({"bean": "robusta", "cups": "3", "heat": "90", "ages": "0:2:1,5", "hand-drip": "v60"})
    toml = Brew.read({"bean": "robusta", "cups": 3, "heat": 90, "ages": [0, 1, 2, 5], "hand_drip": "v60"})
    assert typed == toml == Brew(bean="robusta", cups=3, heat=90.0, ages=(0.0, 1.0, 2.0, 5.0), hand_drip="v60")


def test_everything_wrong_is_said_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        Brew.read({"bean": "arabika", "cups": "three", "heat": 300, "suggar": True}, where="[brew]")
    text = str(caught.value)
    assert text.splitlines()[0] == "5 things are wrong with [brew]:"
    assert "did you mean arabica?" in text
    assert "'three' is not a whole number" in text
    assert "has no option 'suggar'; did you mean 'sugar'?" in text
    assert "--heat 300 is out of range" in text
    assert "--hand-drip is missing" in text
    with pytest.raises(UsageError, match=r"--heat 300 is out of range; use 20 to 100\."):
        Brew(heat=300.0, hand_drip="v60")


def test_conflicts_come_when_values_are_right() -> None:
    with pytest.raises(UsageError, match="spoils robusta"):
        Brew(bean="robusta", sugar=True, hand_drip="v60")


@pytest.mark.parametrize("bad", [math.inf, math.nan, "x", True, None, 10**400])
def test_numbers_are_finite_numbers(bad: object) -> None:
    with pytest.raises(UsageError, match="--heat"):
        Brew.read({"heat": bad if bad is not None else {}, "hand-drip": "v60"})


def test_what_decides() -> None:
    brew = Brew(hand_drip="v60", where=Path("x"))
    assert "where" not in brew.identity()
    assert brew.to_json()["where"] == "x"
    assert brew.identity()["ages"] == [1.0]


def test_a_home_folder_is_meant_by_a_tilde() -> None:
    assert Brew.read({"where": "~/x", "hand-drip": "v60"}).where == Path.home() / "x"


def test_spans() -> None:
    assert numbers("0:10:5,7") == (0.0, 5.0, 10.0, 7.0)
    for bad in ("", "a", "5:1:1", "0:1:0", "0:1e9:1", "1:2", "nan"):
        with pytest.raises(Unusable):
            numbers(bad)
    assert converted("yes", bool) is True
    with pytest.raises(Unusable):
        converted("maybe", bool)
