"""Two sets of embeddings are compared on the images they share, and only when these are of the same people."""

import numpy as np
import pandas as pd
import pytest

from frbias.core.data.embeddings import Embeddings
from frbias.core.foundation.errors import BadInputError
from frbias.core.stages.measuring import same_images


def embeddings(names: list[str], subjects: list[str], start: float) -> Embeddings:
    frame = pd.DataFrame({"file_name": names, "subject": subjects, "age": 20.0, "sex": ""})
    return Embeddings(frame, np.arange(len(names), dtype=np.float32)[:, None] + np.float32(start), {})


def test_rows_are_brought_into_one_order() -> None:
    one = embeddings(["a", "b", "c"], ["p", "q", "q"], 0)
    two = embeddings(["d", "c", "a"], ["r", "q", "p"], 10)
    first, second, left_out = same_images(one, two)
    assert list(first.frame["file_name"]) == list(second.frame["file_name"]) == ["a", "c"]
    assert first.matrix.ravel().tolist() == [0, 2]
    assert second.matrix.ravel().tolist() == [12, 11]
    assert left_out == 2


def test_what_does_not_belong_together() -> None:
    one = embeddings(["row-0", "row-1"], ["p", "q"], 0)
    with pytest.raises(BadInputError, match="row-0 is of p in one set of embeddings and of q in the other"):
        same_images(one, embeddings(["row-0", "row-1"], ["q", "p"], 0))
    with pytest.raises(BadInputError, match="share no file name"):
        same_images(one, embeddings(["x", "y"], ["p", "q"], 0))
