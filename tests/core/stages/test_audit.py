"""An audit finds what was planted, and little else."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from frbias.core.data.images import encode_jpeg, read_image, write_png
from frbias.core.data.samples import make_table, read_samples, write_samples
from frbias.core.foundation.errors import BadInputError
from frbias.core.foundation.files import write_bytes
from frbias.core.foundation.machine import Machine, Resources
from frbias.core.foundation.provenance import PROVENANCE_NAME
from frbias.core.stages import audit as stage
from frbias.core.stages import looking
from frbias.core.stages.audit import audit
from frbias.core.stages.requests.audit import AuditRequest
from frbias.synth.mesh.faces import Sitter
from frbias.synth.mesh.view import Ranges

AGES = (4, 9, 15, 22, 35, 52, 62, 70)
PEOPLE, SIZE = 36, 144
MIXED_UP = {4.0: 62.0, 9.0: 70.0, 62.0: 4.0, 70.0: 9.0}
EACH = {"duplicate": 20, "stranger": 15, "wrong_age": 10, "no_face": 10, "leaked": 5}


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """36 people at eight ages, in one folder with a table."""
    folder = tmp_path_factory.mktemp("audit") / "set"
    ranges = Ranges(15.0, 6.0, 4.0)
    rows = []
    for subject in range(PEOPLE):
        sitter = Sitter(0, subject)
        for age in AGES:
            face = sitter.portray(float(age), 0, size=SIZE, ranges=ranges)
            name = f"{subject:03d}/{subject:03d}_{age}.png"
            write_png(folder / name, face.image)
            rows.append({"file_name": name, "subject": f"{subject:03d}", "age": float(age), "sex": ""})
    write_samples(make_table(folder, rows))
    return folder


def plant(rendered: Path, out: Path, training: Path, seed: int = 0) -> dict[str, set[str]]:
    """A copy of the set with defects, a training set with what leaked into it, and the names of what was planted."""
    random = np.random.default_rng(seed)
    table = read_samples(rendered)
    rows = table.frame.to_dict("records")
    order = random.permutation(len(rows))
    extreme = [index for index in order if rows[index]["age"] in MIXED_UP][: EACH["wrong_age"]]
    rest = [index for index in order if index not in extreme]
    place = EACH["duplicate"] + EACH["stranger"]
    order = np.array([*rest[:place], *extreme, *rest[place:]])
    cuts = np.cumsum([0, *EACH.values()])
    chosen = {flag: order[cuts[k] : cuts[k + 1]] for k, flag in enumerate(EACH)}
    images = {row["file_name"]: read_image(rendered / row["file_name"]) for row in rows}
    planted: dict[str, set[str]] = {flag: set() for flag in EACH}
    for index in chosen["stranger"]:
        others = [r["subject"] for r in rows if r["subject"] != rows[index]["subject"]]
        rows[index]["subject"] = str(random.choice(others))
        planted["stranger"].add(rows[index]["file_name"])
    for index in chosen["wrong_age"]:
        rows[index]["age"] = MIXED_UP[rows[index]["age"]]
        planted["wrong_age"].add(rows[index]["file_name"])
    for index in chosen["no_face"]:
        noise = random.integers(0, 255, (12, 12, 3), dtype=np.uint8)
        images[rows[index]["file_name"]] = np.kron(noise, np.ones((SIZE // 12, SIZE // 12, 1), np.uint8))
        planted["no_face"].add(rows[index]["file_name"])
    copies = []
    for number, index in enumerate(chosen["duplicate"]):
        row = dict(rows[index])
        source = images[row["file_name"]]
        row["file_name"] = f"zz/{number}.jpg"
        write_bytes(
            out / row["file_name"], encode_jpeg(np.ascontiguousarray(source[:, ::-1] if number % 2 else source), 80)
        )
        copies.append(row)
        planted["duplicate"].add(row["file_name"])
    leaks = []
    for number, index in enumerate(chosen["leaked"]):
        planted["leaked"].add(rows[index]["file_name"])
        write_bytes(training / f"{number}.jpg", encode_jpeg(images[rows[index]["file_name"]], 85))
        leaks.append({"file_name": f"{number}.jpg", "subject": f"t{number}", "age": rows[index]["age"]})
    for name, image in images.items():
        write_png(out / name, image)
    for subject in range(8):
        face = Sitter(77, subject).portray(30.0, 0, size=SIZE, ranges=Ranges(15.0, 6.0, 4.0))
        write_png(training / f"x{subject}.png", face.image)
        leaks.append({"file_name": f"x{subject}.png", "subject": f"x{subject}", "age": 30.0})
    write_samples(make_table(training, leaks))
    write_samples(make_table(out, [*rows, *copies]))
    return planted


@pytest.mark.slow
def test_planted_defects_are_found(rendered: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planted = plant(rendered, tmp_path / "set", tmp_path / "training")
    request = AuditRequest(data=str(tmp_path / "set"), against=str(tmp_path / "training"), drop=tmp_path / "clean")
    machine = Machine(Resources(workers=1))
    result = audit(request, tmp_path / "out", machine=machine)
    table = pd.read_csv(tmp_path / "out/audit.csv", dtype={"subject": str}, keep_default_na=False)
    assert len(table) == PEOPLE * len(AGES) + EACH["duplicate"]
    found = {flag: set(table["file_name"][[flag in cell.split() for cell in table["flags"]]]) for flag in EACH}
    for flag, names in planted.items():
        assert len(found[flag] & names) >= 0.95 * len(names), (flag, names - found[flag])
    innocent = len(table) - sum(EACH.values())
    accused = set(table["file_name"][table["flags"] != ""]) - set().union(*planted.values())
    assert len(accused) < 0.01 * innocent, accused
    document = json.loads((tmp_path / "out/audit.json").read_text())
    assert document == result.document
    assert (document["schema"], document["schema_version"]) == ("frbias.audit", 2)
    cleaned = read_samples(tmp_path / "clean")
    assert len(cleaned) == result.kept == len(table) - int((table["flags"] != "").sum())
    assert not set(cleaned.frame["file_name"]) & set(table["file_name"][table["flags"] != ""])
    assert "stranger" in (tmp_path / "clean/rejected.csv").read_text()
    page = (tmp_path / "out/audit.html").read_text()
    assert "data:image/jpeg" not in page  # nothing says that these are not photographs of people
    assert "http" not in page.replace('http-equiv="', "")

    before = {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in (tmp_path / "out").iterdir()}
    again = audit(request, tmp_path / "out", machine=machine)
    assert again.reused
    assert {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in (tmp_path / "out").iterdir()} == before
    assert (tmp_path / "out" / PROVENANCE_NAME).is_file()


def test_files_that_vanish_while_it_is_made_end_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noise, rows = np.random.default_rng(0).integers(0, 256, (8, 112, 112, 3), dtype=np.uint8), []
    noise[7] = noise[6]
    for k in range(8):
        write_png(tmp_path / f"set/{k}.png", noise[k])
        rows.append({"file_name": f"{k}.png", "subject": str(k % 2), "age": 30.0, "generator": "mesh"})
    write_samples(make_table(tmp_path / "set", rows))
    monkeypatch.setattr(looking, "_faceless", lambda crops, machine: np.zeros(len(crops), dtype=bool))
    request, write = AuditRequest(data=str(tmp_path / "set"), apparent_ages=False), stage.write_audit_page
    audit(request, tmp_path / "whole")
    with monkeypatch.context() as patch:
        patch.setattr(
            stage, "write_audit_page", lambda *rest: ((tmp_path / "set").rename(tmp_path / "away"), write(*rest))
        )
        with pytest.raises(BadInputError, match=r"None of the 8 files of .* is there; put them back"):
            audit(request, tmp_path / "out")
    (tmp_path / "away").rename(tmp_path / "set")
    assert not audit(request, tmp_path / "out").reused
    pages = [(tmp_path / name / "audit.html").read_text() for name in ("whole", "out")]
    assert pages[0] == pages[1]
    assert "data:image/jpeg" in pages[0]
