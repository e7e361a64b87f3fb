"""Atomic files and claimed folders."""

import csv
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from frbias.core.foundation.errors import BadInputError, UsageError
from frbias.core.foundation.files import (
    atomic_path,
    remove_temporaries,
    sha256_file,
    sha256_json,
    write_bytes,
    write_json,
)
from frbias.core.foundation.folders import FolderVanishedError, Hold, damage
from frbias.core.foundation.provenance import Work, claim_folder, claim_work, read_provenance, state_of


def test_a_failing_writer_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "file.bin"
    write_bytes(target, b"old")

    def fail() -> None:
        with atomic_path(target) as temporary:
            temporary.write_bytes(b"half")
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        fail()
    assert target.read_bytes() == b"old"
    assert [p.name for p in target.parent.iterdir()] == ["file.bin"]


def test_leftovers_are_removed(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / ".frbias-tmp-xyz.png").write_bytes(b"half")
    (tmp_path / "a" / "kept.png").write_bytes(b"whole")
    remove_temporaries(tmp_path)
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["kept.png"]


def test_hashes(tmp_path: Path) -> None:
    write_bytes(tmp_path / "abc", b"abc")
    assert sha256_file(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sha256_json({"a": 1, "b": 2}) == sha256_json({"b": 2, "a": 1})
    assert sha256_json({"a": 1}) != sha256_json({"a": 2})


def test_claim_finish_and_find_again(tmp_path: Path) -> None:
    out = tmp_path / "out"
    folder = claim_folder(out, stage="embed", arguments={"x": 1}, inputs={"set": "abc"})
    assert not folder.finished
    assert read_provenance(out) is not None
    assert read_provenance(out)["complete"] is False  # type: ignore[index]
    folder.finish({"images": 3})
    again = claim_folder(out, stage="embed", arguments={"x": 1}, inputs={"set": "abc"})
    assert again.finished
    assert again.results() == {"images": 3}


def test_other_work_is_refused_with_the_difference(tmp_path: Path) -> None:
    claim_folder(tmp_path / "o", stage="embed", arguments={"size": 112}).finish({})
    with pytest.raises(UsageError, match="size 112 there, 128 here"):
        claim_folder(tmp_path / "o", stage="embed", arguments={"size": 128})
    with pytest.raises(UsageError, match="the result of 'embed'"):
        claim_folder(tmp_path / "o", stage="align", arguments={"size": 112})
    with pytest.raises(UsageError, match="the result of 'embed'"):
        claim_folder(tmp_path / "o", stage="align", arguments={"size": 112}, force=True)


def test_force_replaces_only_what_frbias_made(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    claim_folder(mine, stage="embed", arguments={"a": 1}).finish({})
    (mine / "old.txt").write_text("old")
    assert not claim_folder(mine, stage="embed", arguments={"a": 2}, force=True).finished
    assert not (mine / "old.txt").exists()
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "thesis.docx").write_text("years of work")
    with pytest.raises(UsageError, match="did not make"):
        claim_folder(theirs, stage="embed", arguments={}, force=True)
    assert (theirs / "thesis.docx").read_text() == "years of work"


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    with pytest.raises(UsageError, match="is a file"):
        claim_folder(tmp_path / "f", stage="embed", arguments={})


def test_everything_in_the_work_makes_its_key() -> None:
    work = Work("embed", 1, {"size": 112}, {"set": "abc"})
    others = [
        replace(work, stage="align"),
        replace(work, version=2),
        replace(work, arguments={"size": 128}),
        replace(work, inputs={"set": "abd"}),
    ]
    assert len({work.key, *(other.key for other in others)}) == 5
    assert Work("embed", 1, {"size": 112}, {"set": "abc"}).key == work.key


def test_a_claim_that_came_to_nothing_is_given_back(tmp_path: Path) -> None:
    out = tmp_path / "out"
    claim_work(out, Work("embed", 1, {"a": 1}, {})).abandon()
    assert not out.exists()
    claimed = claim_work(out, Work("embed", 1, {"a": 1}, {}))
    (out / "part").write_text("x")
    claimed.abandon()
    assert state_of(out, Work("embed", 1, {"a": 1}, {})) == "unfinished"
    assert state_of(out, Work("embed", 1, {"a": 2}, {})) == "other"
    claimed.finish({})
    assert state_of(out, Work("embed", 1, {"a": 1}, {})) == "finished"
    assert state_of(tmp_path / "none", Work("embed", 1, {}, {})) == "new"


WORK = Work("embed", 1, {"a": 1}, {})


def test_what_a_killed_claim_left_is_taken_up(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / ".frbias-tmp-abc.json").write_text('{"stage": "em')
    (out / ".lock").touch()
    assert state_of(out, WORK) == "new"
    assert not claim_work(out, WORK).finished
    assert not (out / ".frbias-tmp-abc.json").exists()


def test_a_kill_while_the_old_result_is_removed_leaves_nothing_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    claim_work(out, Work("embed", 1, {"a": 2}, {})).finish({})
    (out / "old.txt").write_text("old")

    class Killed(BaseException):
        pass

    def stop(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("frbias.core.foundation.provenance.empty_folder", stop)
        with pytest.raises(Killed):
            claim_work(out, WORK, force=True)
    assert state_of(out, WORK) == "new"
    assert not claim_work(out, WORK).finished
    assert not (out / "old.txt").exists()


def test_two_processes_in_one_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    monkeypatch.setattr("frbias.core.foundation.folders._PATIENCE", 0.2)
    claim_work(out, WORK).finish({})
    again = Work("embed", 1, {"a": 3}, {})
    held = Hold(out)  # as another process has it
    assert claim_work(out, WORK).finished, "what is complete can be read whoever works there"
    with pytest.raises(UsageError, match="Another process works in"):
        claim_work(out, again, force=True)
    held.release()
    assert not claim_work(out, again, force=True).finished


def test_a_folder_that_vanishes_ends_the_work_and_can_be_made_again(tmp_path: Path) -> None:
    out = tmp_path / "out"
    claimed = claim_work(out, WORK)
    shutil.rmtree(out)
    with pytest.raises(FolderVanishedError, match="removed while it was being filled"):
        write_bytes(out / "deep" / "face.png", b"x")
    assert not out.exists()
    with pytest.raises(FolderVanishedError):
        claimed.finish({})
    claimed = claim_work(out, WORK)
    write_bytes(out / "deep" / "face.png", b"x")
    claimed.finish({})
    assert sorted(p.name for p in out.iterdir()) == [".files.csv", "deep", "provenance.json"]


def test_a_folder_that_another_takes_the_place_of_is_not_filled_on(tmp_path: Path) -> None:
    out = tmp_path / "out"
    claimed = claim_work(out, WORK)
    shutil.rmtree(out)
    out.mkdir()  # as a folder made in the moment between two steps
    for name in ("face.png", "deep/face.png"):
        with pytest.raises(FolderVanishedError):
            write_bytes(out / name, b"x")
    assert not list(out.iterdir())
    del claimed
    write_bytes(claim_work(out, WORK).path / "deep" / "face.png", b"x")


def test_a_file_where_a_folder_is_needed_is_told(tmp_path: Path) -> None:
    claimed = claim_work(tmp_path / "out", WORK)
    write_bytes(claimed.path / "deep", b"x")
    with pytest.raises(FileExistsError):
        write_bytes(claimed.path / "deep" / "face.png", b"x")


def test_a_listing_with_a_name_that_no_file_has_is_damaged(tmp_path: Path) -> None:
    (tmp_path / ".files.csv").write_text("file,bytes,sha256\na\0b.png,3,00\n")
    assert damage(tmp_path) == [".files.csv is damaged"]


def test_a_finished_folder_that_is_not_whole_is_noticed(tmp_path: Path) -> None:
    out = tmp_path / "out"
    claimed = claim_work(out, WORK)
    for name in ("one.png", "two.png"):
        write_bytes(out / name, b"pixels")
    claimed.finish({})
    assert damage(out, deep=True) == []
    (out / "one.png").write_bytes(b"pixelz")
    assert damage(out) == []
    assert damage(out, deep=True) == ["one.png has another content than when it was made"]
    (out / "one.png").write_bytes(b"pix")
    with pytest.raises(BadInputError, match=r"one.png has 3 of 6 bytes; make it again with --force"):
        claim_work(out, WORK)
    (out / "one.png").unlink()
    with pytest.raises(BadInputError, match=r"one.png is missing"):
        claim_work(out, WORK)
    assert not claim_work(out, WORK, force=True).finished


@pytest.mark.parametrize("change", [{"results": [1]}, {"complete": "yes"}, {"arguments": None}, {"key": 5}])
def test_provenance_of_another_type_is_told(tmp_path: Path, change: dict[str, object]) -> None:
    claim_work(tmp_path / "o", WORK).finish({})
    write_json(tmp_path / "o" / "provenance.json", {**WORK.record(), "complete": True, **change})
    with pytest.raises(BadInputError, match=rf"provenance.json: {next(iter(change))} is .*, expected"):
        read_provenance(tmp_path / "o")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("/dev/zero", ".files.csv names /dev/zero, which is outside of the folder"),
        ("../secret", ".files.csv names ../secret, which is outside of the folder"),
        ("pipe", "pipe is no file"),
    ],
)
def test_a_listing_of_somebody_else_makes_nobody_read_elsewhere_or_wait(tmp_path: Path, name: str, told: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / ".files.csv").write_text(f"file,bytes,sha256\n{name},0,00\n")
    assert damage(tmp_path, deep=True) == [told]


def test_a_listing_with_an_endless_cell_is_damaged(tmp_path: Path) -> None:
    before = csv.field_size_limit(1000)
    try:
        (tmp_path / ".files.csv").write_text(f"file,bytes,sha256\n{'x' * 2000},0,00\n")
        assert damage(tmp_path) == [".files.csv is damaged"]
    finally:
        csv.field_size_limit(before)
