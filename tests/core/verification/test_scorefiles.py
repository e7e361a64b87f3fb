"""Score files in all forms, and what is wrong with bad ones."""

from pathlib import Path

import pandas as pd
import pytest

from frbias.core.foundation.errors import BadInputError, UsageError
from frbias.core.verification.scores.scorefiles import read_scores


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_plain_csv_tsv_and_parquet_say_the_same(tmp_path: Path) -> None:
    frame = pd.DataFrame({"score": [0.5, 0.25, 1e-3], "mated": [1, 0, 1], "group": ["a", "a", ""]})
    frame.to_csv(tmp_path / "f.csv", index=False)
    frame.to_csv(tmp_path / "f.tsv", index=False, sep="\t")
    frame.to_parquet(tmp_path / "f.parquet")
    for name in ("f.csv", "f.tsv", "f.parquet"):
        found = read_scores(tmp_path / name)
        assert found.frame["score"].tolist() == [0.5, 0.25, 1e-3]
        assert found.frame["mated"].tolist() == [True, False, True]
        comparisons, grouping = found.comparisons()
        assert grouping.names == ("a",)
        assert comparisons.mated_counts.tolist() == [1]
        assert comparisons.non_mated_counts.tolist() == [1]
        assert found.subjects is None


def test_bob_columns(tmp_path: Path) -> None:
    four = read_scores(write(tmp_path / "four.txt", "s1 s1 probe/1 0.9\ns1 s2 probe/2 -0.25\n"))
    five = read_scores(write(tmp_path / "five.txt", "s1 m1 s1 probe/1 0.9\ns1 m1 s2 probe/2 -0.25\n"))
    for found, form in ((four, "bob four columns"), (five, "bob five columns")):
        assert found.form == form
        assert found.frame["mated"].tolist() == [True, False]
        assert found.frame["score"].tolist() == [0.9, -0.25]
        comparisons, _ = found.comparisons()
        assert comparisons.subject_names == ("s1", "s2")


def test_bob_csv_with_metadata_groups(tmp_path: Path) -> None:
    text = (
        "bio_ref_subject_id,probe_subject_id,bio_ref_sex,probe_sex,bio_ref_age,probe_age,score\n"
        "001,001,f,f,5,7,0.9\n001,002,f,f,5,9,0.1\n001,003,f,m,5,40,0.2\n003,003,m,m,40,41,0.8\n003,004,m,m,40,33,0.3\n"
    )
    found = read_scores(write(tmp_path / "f.csv", text))
    by_sex, grouping = found.comparisons("sex")
    assert grouping.names == ("f", "m")
    assert by_sex.non_mated_counts.tolist() == [1, 1]
    assert by_sex.subject_names[0] == "001"  # labels stay text
    by_age, grouping = found.comparisons("0-12,20-59")
    assert grouping.names == ("0-12", "20-59")
    assert by_age.mated_counts.tolist() == [1, 1]
    with pytest.raises(UsageError, match="neither a column 'race'"):
        found.comparisons("race")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("score,mated\n0.5,1\nnan,0\n", r"line 3: score 'nan' is not a finite number \(1 such lines\)"),
        ("score,mated\n0.5,1\ninf,0\n", "line 3"),
        ("score,mated\n0.5,1\n,0\n", "line 3: score"),
        ("score,mated\nabc,1\n", "line 2: score 'abc'"),
        ("score,mated\n0.5,maybe\n", "line 2: mated is 'maybe'"),
        ("score,other\n0.5,1\n", "neither which comparisons are mated"),
        ("value,mated\n0.5,1\n", "neither a header"),
        ("score,mated\n", "holds no comparison"),
        ("", "neither a header"),
        ("a b c\n", "four or five columns"),
        ("s1 s1 p 0.9\ns1 s2 p x\n", "line 2: score 'x'"),
    ],
)
def test_bad_files_name_the_line_and_what_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        read_scores(write(tmp_path / "f.csv", text))


def test_contradicting_labels_and_missing_kinds(tmp_path: Path) -> None:
    contradiction = "score,mated,subject_ref,subject_probe\n0.5,1,a,a\n0.4,1,a,b\n"
    with pytest.raises(BadInputError, match="Row 1: subjects 'a' and 'b' contradict mated = 1"):
        read_scores(write(tmp_path / "f.csv", contradiction + "0.1,0,a,b\n")).comparisons()
    with pytest.raises(BadInputError, match="no non-mated comparison"):
        read_scores(write(tmp_path / "g.csv", "score,mated\n0.5,1\n")).comparisons()
    with pytest.raises(BadInputError, match="not a file"):
        read_scores(tmp_path / "missing.csv")
    with pytest.raises(BadInputError, match="cannot be read"):
        read_scores(write(tmp_path / "h.parquet", "no parquet"))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("score,mated\n0,45,1\n0,20,0\n", "line 2: 3 fields where the header has 2"),
        ("score;mated\n0,45;1\n", "is separated by semicolons"),
        ("score\tmated\n0,45\t1\n0.2\t0\n", "line 2: score '0,45' is not a finite number"),
        ("score,mated\n0.5,1\n\n1e400,0\n", "line 4: score '1e400' is not a finite number"),
        ("score,mated\n0.5,1\n-inf,0\n", "line 3: score '-inf' is not a finite number"),
        ("a a p1 0.5\na b p2 0.1 7\n", "line 2: 5 fields where the first line has 4"),
    ],
)
def test_scores_that_need_guessing_are_refused(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "scores.csv"
    path.write_text(text)
    with pytest.raises(BadInputError) as caught:
        read_scores(path)
    assert sentence in caught.value.message
