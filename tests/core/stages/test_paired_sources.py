"""Two sets of embeddings are compared on the images they share, and only when these are of the same people."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from frbias.core.data.embeddings import Embeddings
from frbias.core.data.samples import make_table
from frbias.core.foundation.devices import World
from frbias.core.foundation.errors import BadInputError
from frbias.core.foundation.machine import LOCAL
from frbias.core.stages.measuring import same_images
from frbias.core.stages.sources import EmbeddedSet, ImageSource


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


def test_files_that_vanish_after_the_identity_was_asked_for_are_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise what was made of fewer pictures would be finished under the name of all."""
    monkeypatch.setenv("FRBIAS_HOME", str(tmp_path / "home"))
    names = ["a.png", "b.png"]
    for name in names:
        (tmp_path / name).write_bytes(name.encode())
    table = make_table(tmp_path, [{"file_name": name, "subject": name[0], "age": 5} for name in names])
    made = embeddings(names, ["a", "b"], 0)
    monkeypatch.setattr("frbias.core.stages.shared.faces_for", lambda *arguments, **options: table)
    monkeypatch.setattr("frbias.core.stages.shared.embeddings_of", lambda *arguments, **options: made)
    images = ImageSource("people", table, ())
    source = EmbeddedSet(images, SimpleNamespace(input_size=(112, 112)))  # type: ignore[arg-type]
    images.identity()
    assert source.load(LOCAL, World()) is made
    (tmp_path / "b.png").unlink()
    with pytest.raises(BadInputError, match="Files of people vanished or changed meanwhile"):
        source.load(LOCAL, World())
    (tmp_path / "a.png").unlink()
    with pytest.raises(BadInputError, match=r"None of the 2 files of .* is there"):
        source.load(LOCAL, World())
