"""Lists of pairs in every form, and what is said of malformed ones."""

from pathlib import Path

import numpy as np
import pytest

from frbias.core.data.pairfiles import read_pairs
from frbias.core.data.pairs import cacdvs_pairs, find_rows
from frbias.core.foundation.errors import BadInputError

LFW = "2\t2\nAnn\t1\t2\nBob\t1\t3\nAnn\t1\tBob\t1\nBob\t3\tCy\t1\nCy\t1\t2\nDee\t4\t5\nCy\t1\tDee\t5\nAnn\t2\tDee\t4\n"


def written(folder: Path, text: str | bytes, name: str = "pairs.txt") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_lfw_folds_and_names(tmp_path: Path) -> None:
    found = read_pairs(written(tmp_path, LFW))
    assert (found.form, len(found)) == ("lfw", 8)
    assert found.mated.tolist() == [True, True, False, False] * 2
    assert found.fold.tolist() == [0] * 4 + [1] * 4
    named = [(found.files[a], found.files[b]) for a, b in zip(found.first, found.second, strict=True)]
    assert named[0] == ("Ann/Ann_0001.jpg", "Ann/Ann_0002.jpg")
    assert named[3] == ("Bob/Bob_0003.jpg", "Cy/Cy_0001.jpg")
    assert [found.people[k] for k in found.second[:4]] == ["Ann", "Bob", "Bob", "Cy"]


def test_lfw_view_1_has_no_folds(tmp_path: Path) -> None:
    found = read_pairs(written(tmp_path, "1\nAnn\t1\t2\nAnn\t1\tBob\t1\n"))
    assert found.fold is None
    assert found.mated.tolist() == [True, False]


def test_calfw_has_two_lines_a_pair_and_folds_of_mated_pairs_only(tmp_path: Path) -> None:
    mated = "".join(f"Ann_{2 * k:04d}.jpg {k // 2 + 1}\nAnn_{2 * k + 1:04d}.jpg {k // 2 + 1}\n" for k in range(6))
    others = "".join(f"Ann_{2 * k:04d}.jpg 0\nBob_{k:04d}.jpg 0\n" for k in range(6))
    found = read_pairs(written(tmp_path, mated + others))
    assert found.form == "two-lines"
    assert found.mated.tolist() == [True] * 6 + [False] * 6
    assert found.fold.tolist() == [0, 0, 1, 1, 2, 2] * 2


def test_two_lines_with_truth_values_have_no_folds(tmp_path: Path) -> None:
    found = read_pairs(written(tmp_path, "a.jpg 1\nb.jpg 1\nc.jpg 0\nd.jpg 0\n"))
    assert found.fold is None
    assert found.mated.tolist() == [True, False]


@pytest.mark.parametrize("text", ["a.jpg b.jpg 1\nc.jpg d.jpg 0\n", "1 a.jpg b.jpg\n-1 c.jpg d.jpg\n"])
def test_one_line_a_pair(tmp_path: Path, text: str) -> None:
    found = read_pairs(written(tmp_path, text))
    assert found.form == "one-line"
    assert found.files == ("a.jpg", "b.jpg", "c.jpg", "d.jpg")
    assert found.mated.tolist() == [True, False]


def test_csv_with_folds_and_groups(tmp_path: Path) -> None:
    text = "file1,file2,same,fold,race\nx/a b.jpg,y/c.jpg,1,3,Asian\nx\\d.jpg,./y/e.jpg,0,7,African\n"
    found = read_pairs(written(tmp_path, text, "p.csv"))
    assert found.files == ("x/a b.jpg", "y/c.jpg", "x/d.jpg", "y/e.jpg")
    assert found.fold.tolist() == [0, 1]
    assert dict(found.groups) == {"race": ("Asian", "African")}
    assert found.take(np.array([False, True])).groups == {"race": ("African",)}
    plain = read_pairs(written(tmp_path, "path1,path2,label\na,b,1\na,c,0\n", "q.csv"))
    assert (plain.fold, dict(plain.groups)) == (None, {})


MALFORMED = {
    "nothing": (b"", "is empty; give LFW's pairs.txt"),
    "prose": (b"these are no pairs at all\n", "is no list of pairs in a form that frbias knows"),
    "an image": (b"\xff\xd8\xff\xe0" + bytes(range(256)), "is not a text file in UTF-8"),
    "binary zeros": (b"a\0b c 1\n", "is not a text file"),
    "lfw cut off": (LFW.removesuffix("Ann\t2\tDee\t4\n").encode(), "promises 2 x 4 pairs, but 7 follow; is it whole?"),
    "lfw too long": ((LFW + "Ann\t1\t2\n").encode(), "but 9 follow"),
    "lfw without folds": (b"0\t300\nAnn\t1\t2\n", "promises other numbers than the file holds"),
    "lfw number": (LFW.replace("Bob\t1\t3", "Bob\t1\tx").encode(), "line 3: 'x' is no number of an image"),
    "lfw kinds swapped": (LFW.replace("Bob\t1\t3", "Bob\t1\tCy\t3").encode(), "line 3: 'name i j' is expected here"),
    "lfw path": (LFW.replace("Bob\t1\t3", "../Bob\t1\t3").encode(), "line 3: '../Bob' is no name of a person"),
    "odd lines": (b"a.jpg 1\nb.jpg 1\nc.jpg 0\n", "has 3 lines 'file label'; every pair needs two"),
    "labels differ": (b"a.jpg 1\nb.jpg 0\n", "lines 1 and 2: the two images of a pair have labels 1 and 0"),
    "label no number": (b"a.jpg 1\nb.jpg one\n", "line 2: 'file label' is expected here"),
    "label unknown": (b"a.jpg b.jpg 1\nc.jpg d.jpg 2\n", "line 2: 'file1 file2 label' is expected here"),
    "climbs out": (
        b"a.jpg ../../etc/passwd 1\nc.jpg d.jpg 0\n",
        "pair 1: the name '../../etc/passwd' leaves the image set",
    ),
    "absolute": (b"a.jpg b.jpg 1\n/c.jpg d.jpg 0\n", "pair 2: the name '/c.jpg' leaves"),
    "itself": (b"a.jpg a.jpg 1\nc.jpg d.jpg 0\n", "pair 1: compares a.jpg with itself"),
    "one kind": (b"a.jpg b.jpg 1\nc.jpg d.jpg 1\n", "has no non-mated pair; both kinds are needed"),
    "csv without truth": (b"file1,file2\na,b\n", "lacks the column 'same'"),
    "csv truth": (b"file1,file2,same\na,b,maybe\n", "line 2: same is 'maybe'; write 1 or 0"),
    "csv fold": (b"file1,file2,same,fold\na,b,1,first\n", "line 2: fold is 'first'; write a whole number"),
    "csv ragged": (b"file1,file2,same\na,b,1\na,b\n", "line 3: has another number of columns than the header"),
    "csv without rows": (b"file1,file2,same\n", "holds no pair"),
}


@pytest.mark.parametrize("kind", MALFORMED)
def test_malformed_lists_are_refused_in_one_sentence(tmp_path: Path, kind: str) -> None:
    content, sentence = MALFORMED[kind]
    with pytest.raises(BadInputError) as caught:
        read_pairs(written(tmp_path, content))
    assert sentence in caught.value.message
    assert "\n" not in caught.value.message


def test_a_missing_list_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="is not a file"):
        read_pairs(tmp_path / "none.txt")


def test_images_are_found_by_name_without_suffix_or_by_their_last_part() -> None:
    names = ["Ann/Ann_0001.png", "Ann/Ann_0002.png", "deep/er/Bob_0001.png"]
    assert find_rows(["Ann/Ann_0002.jpg", "Bob_0001.jpg", "Cy_0001.jpg"], names).tolist() == [1, 2, -1]
    assert find_rows(["orig.jpg"], ["x.png", "y.png"], ["a/b.jpg", "a/orig.jpg"]).tolist() == [1]
    assert find_rows(["a.png"], ["a.png", "b/a.png"]).tolist() == [0]
    with pytest.raises(BadInputError, match=r"a\.jpg could be x/a\.png or y/a\.png"):
        find_rows(["a.jpg"], ["x/a.png", "y/a.png"])


def test_cacdvs_pairs_come_from_the_names() -> None:
    names = [f"cacd/{pair:04d}_{half}.jpg" for pair in (0, 199, 200, 399, 400, 601) for half in (0, 1)] + ["0007_0.jpg"]
    found = cacdvs_pairs(names, Path("set"))
    assert found.mated.tolist() == [True, True, False, False, True, False]
    assert found.fold.tolist() == [0, 0, 0, 0, 1, 1]
    with pytest.raises(BadInputError, match="holds no pair"):
        cacdvs_pairs(["0000_0.jpg"], Path("set"))
