"""FG-NET's point files: 68 points in its own order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from frbias.core.data.datasets.layouts.fgnet import FIVE_POINTS, five_points, format_points, read_points
from frbias.core.foundation.errors import BadInputError

LINES = [f"{i}.5 {2 * i}" for i in range(68)]
GOOD = "\n".join(["version: 1", "n_points:  68", "{", *LINES, "}", ""])


@given(arrays(np.float64, (68, 2), elements=st.integers(-4000, 4000).map(lambda n: n / 8)))
def test_what_is_written_is_read_back(points: np.ndarray) -> None:
    np.testing.assert_array_equal(read_points(format_points(points)), points)


@pytest.mark.parametrize(
    "text", [GOOD, GOOD.replace("\n", "\r\n"), GOOD + "\n \n", GOOD.replace(" ", "  "), GOOD.replace("68", " 68 ", 1)]
)
def test_spellings_that_occur(text: str) -> None:
    points = read_points(text.encode())
    assert points[3].tolist() == [3.5, 6.0]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "version: 1",
        GOOD.replace("}", ""),
        GOOD.replace("3.5 6", "3.5"),
        GOOD.replace("3.5 6", "nan 6"),
        GOOD.replace("3.5 6", "x y"),
        GOOD.replace("68", "5", 1),
        GOOD.replace("3.5 6\n", ""),
        GOOD.replace("3.5 6", "1e300 1"),
        "\0" * 100,
        GOOD + " " * 70_000,
    ],
)
def test_damaged_files(text: str) -> None:
    with pytest.raises(BadInputError):
        read_points(text.encode())


def test_the_five_points_are_the_annotated_eye_centres_nose_tip_and_mouth_corners() -> None:
    assert FIVE_POINTS == (31, 36, 67, 48, 54)
    points = np.zeros((68, 2))
    points[31], points[36], points[67], points[48], points[54] = (10, 20), (30, 20), (20, 30), (12, 40), (28, 40)
    assert five_points(points).tolist() == [[10, 20], [30, 20], [20, 30], [12, 40], [28, 40]]


def test_points_in_another_order_are_not_believed() -> None:
    points = np.zeros((68, 2))
    points[31], points[36] = (30, 20), (10, 20)
    with pytest.raises(BadInputError, match="order"):
        five_points(points)
