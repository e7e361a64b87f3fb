"""Faces not to be trusted: by every rule, and only where something is known."""

import numpy as np
import pandas as pd

from frbias.core.data.doubtful import RULES, DoubtfulFace, doubtful_faces, judged

NAN = float("nan")
AGREE, RESIDUAL, SCORE = RULES


def table(*rows: tuple[float, float, float]) -> pd.DataFrame:
    columns = [rule.column for rule in RULES]
    found = pd.DataFrame([dict(zip(columns, row, strict=True)) for row in rows], columns=columns)
    return found.assign(
        file_name=[f"{k}.png" for k in range(len(rows))], source_file=[f"{k}.jpg" for k in range(len(rows))]
    )


def test_every_rule_finds_its_faces_the_worst_first() -> None:
    fine = (0.99, 0.01, 0.95)
    found = doubtful_faces(
        table(fine, (0.9, 0.01, 0.95), (0.99, 0.5, 0.95), (0.99, 0.01, 0.1), (0.4, 0.01, 0.95), (0.8, 0.5, 0.95))
    )
    assert [(face.source_file, face.reasons) for face in found] == [
        ("5.jpg", (AGREE.words, RESIDUAL.words)),
        ("4.jpg", (AGREE.words,)),
        ("1.jpg", (AGREE.words,)),
        ("2.jpg", (RESIDUAL.words,)),
        ("3.jpg", (SCORE.words,)),
    ]
    assert found[1] == DoubtfulFace("4.png", "4.jpg", (AGREE.words,), 0.4, 0.01, 0.95)


def test_a_bound_itself_is_trusted_and_so_is_what_is_not_known() -> None:
    frame = table((AGREE.bound, RESIDUAL.bound, SCORE.bound), (NAN, NAN, NAN))
    assert doubtful_faces(frame) == ()
    assert judged(frame).tolist() == [True, False]


def test_points_that_were_given_may_lie_further_from_the_template() -> None:
    assert RESIDUAL.given is not None
    between = (RESIDUAL.bound + RESIDUAL.given) / 2
    frame = table(
        (NAN, between, NAN), (0.99, between, 0.95), (NAN, RESIDUAL.given + 0.01, NAN), (NAN, RESIDUAL.given, NAN)
    )
    assert [face.file_name for face in doubtful_faces(frame)] == ["1.png", "2.png"]
    assert RESIDUAL.told == "above 0.045 (0.1 where points were given): points far from the template"


def test_tables_without_the_columns_list_nothing() -> None:
    frame = pd.DataFrame({"file_name": ["a.png", "b.png"]})
    assert doubtful_faces(frame) == ()
    assert not judged(frame).any()


def test_columns_of_other_tools_may_hold_text() -> None:
    frame = pd.DataFrame({"file_name": ["a.png", "b.png"], "detector_score": ["sure", "0.05"]})
    (only,) = doubtful_faces(frame)
    assert (only.file_name, only.source_file, only.point_agreement) == ("b.png", "", None)
    assert np.array_equal(judged(frame), [False, True])
