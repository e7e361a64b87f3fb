"""Images that gave no face count in the rates of their own group, as far as their age and sex are known."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from frbias.core.data.embeddings import Embeddings
from frbias.core.foundation.errors import BadInputError
from frbias.core.stages.measuring import measure_embeddings
from frbias.core.stages.requests.measuring import MeasureOptions
from frbias.core.verification.acquisition import AcquisitionCounts

FAILED = [
    {"age": 3.0, "sex": "f", "failures": 7},
    {"age": 12.5, "sex": "", "failures": 2},
    {"age": 40.0, "sex": "m", "failures": 1},
    {"age": None, "sex": "f", "failures": 4},
]


def embedded(by: Any, ages: bool = True) -> Embeddings:
    rng = np.random.default_rng(2)
    who = np.repeat(np.arange(20), 6)
    frame = pd.DataFrame(
        {
            "file_name": [f"{k}.png" for k in range(120)],
            "subject": [f"{w}" for w in who],
            "age": np.tile([5.0, 8.0, 30.0, 31.0, 50.0, 52.0], 20) if ages else np.nan,
            "sex": np.where(who % 2, "f", "m"),
        }
    )
    matrix = rng.normal(size=(20, 16))[who] + rng.normal(size=(120, 16))
    note = {"failures": 14, "attempts": 134} if by is None else {"failures": 14, "attempts": 134, "by": by}
    return Embeddings(frame, matrix.astype(np.float32), {"failure_to_acquire": note})


def counts(by: Any, *, ages: bool = True, **options: Any) -> list[AcquisitionCounts | None]:
    wanted = MeasureOptions(at_fmr=(0.1,), bootstrap=0, **options)
    done = measure_embeddings(embedded(by, ages), wanted, name="m")
    assert done.at(0.1).failure_to_acquire == 14 / 134
    return [group.acquisition for group in done.at(0.1).groups]


def test_failures_are_grouped_as_the_images_are() -> None:
    assert counts(FAILED, groups="0-12,13-39,40+") == [
        AcquisitionCounts("0-12", 49, 9), AcquisitionCounts("13-39", 40, 0), AcquisitionCounts("40+", 41, 1),
    ]  # fmt: skip
    assert counts(FAILED, groups="sex") == [AcquisitionCounts("f", 71, 11), AcquisitionCounts("m", 61, 1)]
    assert counts(FAILED, groups="0-39,40+ x sex") == [
        AcquisitionCounts("0-39 x f", 47, 7), AcquisitionCounts("0-39 x m", 40, 0),
        AcquisitionCounts("40+ x f", 20, 0), AcquisitionCounts("40+ x m", 21, 1),
    ]  # fmt: skip


def test_what_is_not_known_is_not_zero() -> None:
    assert counts(None, groups="0-39,40+") == [None, None]
    assert counts([{"age": None, "sex": "", "failures": 14}], groups="0-39,40+") == [None, None]
    assert counts([{"age": 3.0, "sex": "", "failures": 14}], groups="sex") == [None, None]
    assert counts([], groups="sex") == [AcquisitionCounts("f", 60, 0), AcquisitionCounts("m", 60, 0)]


def test_without_ages_everybody_is_one_group_and_that_is_said() -> None:
    assert counts(FAILED, ages=False) == [AcquisitionCounts("all", 134, 14)]
    done = measure_embeddings(embedded(None, ages=False), MeasureOptions(at_fmr=(0.1,), bootstrap=0), name="m")
    assert done.groups.note == "no image has an age, so all of them are evaluated together, as one group"
    assert [group.name for group in done.groups.evaluated] == ["all"]


@pytest.mark.parametrize(
    "by",
    [
        7,
        [3],
        [{"age": "3", "sex": "", "failures": 1}],
        [{"age": 3.0, "failures": 1}],
        [{"age": 3.0, "sex": "", "failures": -1}],
        [{"age": 3.0, "sex": "", "failures": 10**30}],
    ],
)
def test_counts_of_a_stranger_are_checked(by: Any) -> None:
    with pytest.raises(BadInputError, match=r"failure_to_acquire\.by|failed than images in all"):
        counts(by)
