"""``frbias audit`` says what it did not look for: on the terminal at 80 columns, on the page, as JSON, in Python."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from networks import tiny_network
from safetensors.torch import save_file

from frbias.core.data.images import write_png
from frbias.core.data.samples import make_table, write_samples
from frbias.core.stages import looking
from frbias.core.stages.audit import AuditResult, audit
from frbias.core.stages.requests.audit import AuditRequest

Call = Callable[..., tuple[int, str, str]]
QUICK = ("--weights", "tiny.safetensors", "--no-apparent-ages", "--bootstrap", 100, "--device", "cpu", "--workers", 1)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRBIAS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    save_file(tiny_network().state_dict(), tmp_path / "tiny.safetensors")
    monkeypatch.setattr(looking, "_faceless", lambda crops, machine: np.zeros(len(crops), dtype=bool))


def noise(folder: Path, people: int, pictures: int, *, seed: int = 0, **columns: object) -> Path:
    """Aligned pictures of nothing."""
    pixels = np.random.default_rng(seed).integers(0, 256, (people * pictures, 112, 112, 3), dtype=np.uint8)
    rows = []
    for k, picture in enumerate(pixels):
        write_png(folder / f"{k}.png", picture)
        rows.append({"file_name": f"{k}.png", "subject": f"{seed}-{k % people}", "age": np.nan, **columns})
    write_samples(make_table(folder, rows))
    return folder


def widest(out: str) -> int:
    """Length of the longest line of the table of flags; sentences are one line in a file."""
    return max(len(line) for line in out.partition("as tiny sees")[0].splitlines())


def page_of(folder: Path) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", (folder / "audit.html").read_text().partition("<body>")[2]))


def test_nothing_is_said_to_be_0_that_was_not_looked_for(call: Call, tmp_path: Path) -> None:
    noise(tmp_path / "set", 3, 4, age=30.0)
    code, out, _ = call("audit", "set", *QUICK, "--out", "found", "--drop", "kept")
    assert code == 0
    assert widest(out) <= 80
    words = " ".join(out.split())
    assert "leaked - 0 not looked for: no --against set" in words
    assert "wrong_age - 0 not looked for: ages of only 12 pictures are known; 50 are needed" in words
    assert "duplicate 0 12 a copy" in words
    assert re.search(r"stranger \d+ 12 shows another person", words)
    assert re.search(r"without a flag in kept\. Not looked for: leaked, wrong_age\.", words)

    document = json.loads(call("audit", "set", *QUICK, "--out", "found", "--json")[1])
    assert document == json.loads((tmp_path / "found/audit.json").read_text())
    assert document["schema_version"] == 2
    assert document["flagged"] | {"stranger": 0} == {
        "unreadable": 0, "no_face": 0, "duplicate": 0, "leaked": None, "stranger": 0, "wrong_age": None, "blurred": 0,
    }  # fmt: skip
    assert document["not_looked_for"] == {
        "leaked": "no --against set", "wrong_age": "ages of only 12 pictures are known; 50 are needed"
    }  # fmt: skip
    assert document["looked_at"]["leaked"] == document["looked_at"]["wrong_age"] == 0
    assert document["looked_at"]["stranger"] == 12

    page = page_of(tmp_path / "found")
    assert "leaked – 0 not looked for: no --against set" in page
    assert "wrong_age – 0 not looked for: ages of only 12 pictures are known; 50 are needed" in page
    assert "not measured: there are 18 mated comparisons and 48 non-mated; 20 of each are needed." in page
    assert "Not compared: apparent ages were not asked for (--no-apparent-ages)." in page
    table = pd.read_csv(tmp_path / "found/audit.csv", keep_default_na=False)
    assert set(table["not_looked_for"]) <= {"leaked wrong_age"}

    request = AuditRequest(data="set", weights="tiny.safetensors", apparent_ages=False, replicates=100)
    result = audit(request, tmp_path / "found")
    assert isinstance(result, AuditResult)
    assert result.reused
    assert result.not_looked_for == document["not_looked_for"]
    assert list(result.not_looked_for) == ["leaked", "wrong_age"]


def test_single_pictures_of_unknown_age_and_another_set(call: Call, tmp_path: Path) -> None:
    noise(tmp_path / "set", 12, 1, yaw=np.nan)
    noise(tmp_path / "other", 6, 2, seed=1, age=20.0)
    (tmp_path / "set/3.png").write_bytes((tmp_path / "set/3.png").read_bytes()[:9000])
    (tmp_path / "other/3.png").write_bytes((tmp_path / "other/3.png").read_bytes()[:9000])
    code, out, _ = call("audit", "set", "--against", "other", *QUICK, "--out", "found")
    assert code == 0
    assert widest(out) <= 80
    words = " ".join(out.split())
    assert "unreadable 1 12 the file cannot be decoded no_face 0 11" in words
    assert "leaked 0 11 a copy of an image of the other set" in words
    assert "stranger - 0 not looked for: nobody has two pictures" in words
    assert "wrong_age - 0 not looked for: no ages are known; 50 are needed" in words
    assert "Cosine of the same person in this set: not measured: nobody has two pictures." in words
    assert "1 file of other gave no face to compare with." in words
    assert "Ageing was not compared: 0 people seen both" in words
    document = json.loads((tmp_path / "found/audit.json").read_text())
    assert document["flagged"]["leaked"] == 0
    assert list(document["not_looked_for"]) == ["stranger", "wrong_age"]
    assert (document["counts"], document["against"]["left_out"]) == ({}, 1)
    assert document["similarity"]["gaps"] == document["similarity"]["bands"] == []
    page = page_of(tmp_path / "found")
    assert "stranger – 0 not looked for: nobody has two pictures" in page
    assert "One person and within people: not measured in this set: nobody has two pictures." in page
    assert "By age and age gap: not measured: no ages are known." in page
    assert "Not counted: neither sex nor age nor yaw is known of any image." in page


def test_what_is_known_of_some_counts_the_others_as_unknown(call: Call, tmp_path: Path) -> None:
    noise(tmp_path / "set", 3, 2)
    table = pd.read_csv(tmp_path / "set/metadata.csv", dtype=str)
    table["sex"], table["age"], table["yaw"] = ["f", "m", "", "", "", ""], ["30", *[""] * 5], ["20", *[""] * 5]
    table.to_csv(tmp_path / "set/metadata.csv", index=False)
    document = json.loads(call("audit", "set", *QUICK, "--json")[1])
    assert document["counts"]["sex"] == {"f": 1, "m": 1, "unknown": 4}
    assert (document["counts"]["age"]["20-39"], document["counts"]["age"]["unknown"]) == (1, 5)
    assert document["counts"]["yaw (degrees)"] == {"under 15": 0, "15 to 30": 1, "30 and over": 0, "unknown": 5}
    assert "of 1 image whose age is known, of 6." in page_of(tmp_path / "audit")
