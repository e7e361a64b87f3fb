"""CUSP cut short, cut up, and fed with what people have: same bytes, no picture lost, none overwritten."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from frbias.core.data.samples import read_samples
from frbias.core.data.units import Made, WorkUnit
from frbias.core.foundation.devices import World
from frbias.core.foundation.errors import AssetMissingError, BadImageError, BadInputError, UsageError
from frbias.core.foundation.provenance import read_provenance
from frbias.synth.cusp.backend import CuspBackend
from frbias.synth.cusp.editing import CuspEditor
from frbias.synth.cusp.preparation import prepare
from frbias.synth.cusp.request import CuspRequest
from frbias.synth.cusp.sources import GeneratedAdult, find_sources, folder_names, hash_of, not_used
from frbias.synth.cusp.trial import random_classifier, random_network, tiny_network
from frbias.synth.cusp.weights import DEFAULT, find_weights
from frbias.synth.generate import generate_with

PEOPLE = 5


@pytest.fixture(scope="module")
def crops(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures that need no detector (--template none)."""
    folder = tmp_path_factory.mktemp("crops")
    for number in range(PEOPLE):
        pixels = np.random.default_rng(number).integers(0, 256, (48, 48, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"p{number}.png")
    return folder


def backend(folder: Path, **changes: object) -> CuspBackend:
    values = {"input": str(folder), "weights": "tiny", "ages": ("20", "40"), "template": "none", **changes}
    return CuspBackend(CuspRequest(**values), "cpu")  # type: ignore[arg-type]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


class Interrupted(CuspBackend):
    """Dies after two faces."""

    def render(self, units: Sequence[WorkUnit]) -> Iterator[list[Made]]:
        for count, made in enumerate(super().render(units)):
            if count == 2:
                raise KeyboardInterrupt
            yield made


def test_interrupted_and_resumed_is_never_interrupted(crops: Path, tmp_path: Path) -> None:
    whole = backend(crops, noise="random", mask_rule="intended")
    generate_with(whole, tmp_path / "whole", in_flight=3)
    with pytest.raises(KeyboardInterrupt):
        generate_with(Interrupted(whole.request, "cpu"), tmp_path / "cut", in_flight=PEOPLE)
    result = generate_with(whole, tmp_path / "cut", in_flight=1)
    assert result.reused == 4
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")


def test_killed_and_resumed_is_never_killed(crops: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "frbias", "generate", "--backend", "cusp", "--weights", "tiny", "--template"]
    command += ["none", "--input", str(crops), "--ages", "0:30:1", "--device", "cpu", "--batch-size", "1", "--out"]
    process = subprocess.Popen([*command, str(tmp_path / "cut")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    journal = tmp_path / "cut/.journal/rank-0.jsonl"
    deadline = time.monotonic() + 60
    while not (journal.is_file() and journal.read_bytes().count(b'"unit"')) and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (tmp_path / "cut/metadata.csv").exists()
    ages = tuple(str(age) for age in range(31))
    generate_with(backend(crops, ages=ages), tmp_path / "whole")
    again = generate_with(backend(crops, ages=ages), tmp_path / "cut")
    assert 0 < again.reused < again.images == 31 * PEOPLE
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")


@pytest.mark.parametrize("ranks", [2, 3])
def test_shards_make_what_one_process_makes(crops: Path, ranks: int) -> None:
    whole = backend(crops, noise="random")
    units = whole.plan()
    alone = {unit.key: made for unit, made in zip(units, whole.render(units), strict=True)}
    seen = []
    for rank in range(ranks):
        mine = World(rank, ranks, rank).shard(backend(crops, noise="random").plan())
        for unit, made in zip(mine, whole.render(mine), strict=True):
            seen.append(unit.key)
            assert all(np.array_equal(a.image, b.image) for a, b in zip(made, alone[unit.key], strict=True))  # type: ignore[arg-type]
    assert sorted(seen) == sorted(alone)


def test_the_number_of_threads_changes_nothing() -> None:
    """Sums over many channels (``torgb`` above all) are split among threads when they may be, and round differently."""
    network = random_network(_wide(), seed=3)
    editor = CuspEditor(network, rule="intended", classifier=random_classifier(), device=torch.device("cpu"))
    image = np.random.default_rng(0).integers(0, 256, (128, 128, 3), dtype=np.uint8)
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append(editor.decode([editor.encode(image)] * 3, [20, 30, 60]))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])
    assert editor.decode_labels(editor.encode(image), []).shape == (0, 128, 128, 3)


def _wide() -> object:
    from dataclasses import replace

    small = tiny_network(101).config
    blocks = (8, 16, 32, 64, 128)
    return replace(
        small, resolution=128, block_resolutions=blocks, block_channels=(64, 64, 64, 48, 32), blur_taps=11
    )  # fmt: skip


def test_names_never_meet(tmp_path: Path) -> None:
    names = folder_names(["a b", "a-b", "A-B", "..", "", "metadata.csv", "x" * 300, "a b", "é/ü"])
    assert len({name.lower() for name in names.values()}) == len(names) == 8
    assert not any(set(name) & set("/\\ ") or name.startswith(".") for name in names.values())
    assert "metadata.csv" not in names.values()
    assert max(map(len, names.values())) <= 82
    for name in ("a.png", "a.bmp", "b c.png", "b-c.png"):
        Image.new("RGB", (48, 48), "red").save(tmp_path / name)
    made = backend(tmp_path)
    assert len({source.subject for source in made.sources}) == 4
    result = generate_with(made, tmp_path / "out")
    assert (result.images, result.subjects) == (8, 4)


def test_subjects_of_known_layouts_and_hidden_files(tmp_path: Path) -> None:
    for name in ("001A05.JPG", "001A20.JPG", "002A30.JPG", "._002A31.JPG", ".hidden/003A10.JPG", "odd.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (48, 48)).save(tmp_path / name)
    found = {source.name: source.subject for source in find_sources(str(tmp_path), 0)}
    assert found["001A05.JPG"] == found["001A20.JPG"] != found["002A30.JPG"]
    assert found["odd.png"] == "odd"
    assert len(found) == 4


def test_what_is_not_aged_is_said(crops: Path, tmp_path: Path) -> None:
    for name in ("a.png", "b.heic", ".c.png", ".hidden/d.jpg", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (48, 48)).save(tmp_path / name, "PNG")
    told = "2 files not used (first: .c.png: a hidden file (its name begins with a full stop)); 1 file in hidden folders was passed over"
    assert not_used(str(tmp_path)) == told
    assert f"{told}." in backend(tmp_path).notes
    assert not_used(str(crops)) == not_used("mesh:3") == ""


def test_tables_give_subjects_points_and_facts(tmp_path: Path) -> None:
    header = "file_name,subject,age,sex,x1,y1,x2,y2,x3,y3,x4,y4,x5,y5\n"
    row = "{},{},{},{},60,80,100,80,80,100,65,120,95,120\n"
    text = (
        header
        + row.format("x/1.png", "", 37, "f")
        + row.format("y/1.png", "", "", "")
        + row.format("z.png", "zoe", 9, "m")
    )
    (tmp_path / "metadata.csv").write_text(text)
    for name in ("x/1.png", "z.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (160, 200), "gray").save(tmp_path / name)
    result = generate_with(backend(tmp_path, template="ffhq"), tmp_path / "out")
    table = read_samples(tmp_path / "out")
    assert (result.images, result.rejected) == (4, 1)
    assert sorted(set(table.subjects)) == ["x/1", "zoe"]
    first = table.frame.iloc[0]
    assert (first["sex"], float(first["source_age"]), first["source_file"]) == ("f", 37.0, "x/1.png")
    rejected = (tmp_path / "out/rejected.csv").read_text()
    assert "y/1.png," in rejected
    assert str(tmp_path) not in rejected


def test_changed_inputs_are_other_work(crops: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "p.png").write_bytes((crops / "p0.png").read_bytes())
    first = hash_of(find_sources(str(folder), 0))
    generate_with(backend(folder), tmp_path / "out")
    (folder / "p.png").write_bytes((crops / "p1.png").read_bytes())
    assert hash_of(find_sources(str(folder), 0)) != first
    with pytest.raises(UsageError, match="--force"):
        generate_with(backend(folder), tmp_path / "out")


def test_too_small_and_impossible_faces() -> None:
    picture = np.zeros((100, 100, 3), np.uint8)
    face = np.array([[40.0, 40], [50, 40], [45, 45], [42, 50], [48, 50]])
    with pytest.raises(BadImageError, match="too small"):
        prepare(picture, 64, aligned=False, points=face)
    assert prepare(picture, 64, aligned=False, points=face * 3).image.shape == (64, 64, 3)
    with pytest.raises(BadInputError, match="coincide"):
        prepare(picture, 64, aligned=False, points=np.ones((5, 2)))


def test_generated_adults_bring_their_points() -> None:
    picture = GeneratedAdult(3, 0).read()
    assert picture.image.shape == (512, 512, 3)
    assert picture.points is not None
    assert 20 <= float(str(picture.columns["source_age"])) < 55
    assert picture.columns["sex"] in ("m", "f")
    left, right, nose, *_ = picture.points
    assert left[0] < nose[0] < right[0]
    assert np.array_equal(GeneratedAdult(3, 0).read().image, picture.image)
    found = find_sources("mesh:3", 1)
    assert hash_of(found) != hash_of(find_sources("mesh:3", 0)) != hash_of(found[:2])


def test_ages_that_would_be_twins_or_fractions() -> None:
    with pytest.raises(UsageError, match="21 and 25 are the same picture"):
        CuspRequest.read({"variant": "ls", "ages": [21, 25]})
    with pytest.raises(UsageError, match="20 and 20"):
        CuspRequest.read({"ages": [20, 20]})
    with pytest.raises(UsageError, match="whole number"):
        CuspRequest.read({"ages": "20.5"})


def test_thesis_ages_outside_of_the_training_are_said(crops: Path) -> None:
    notes = backend(crops, ages=(), age_bins="thesis").notes
    assert any("0-5, 5-10, 10-15, 15-20 lie outside" in note for note in notes)
    assert not any("lie outside" in note for note in backend(crops, ages=(), age_bins="thesis", variant="ls").notes)


def test_a_checkpoint_without_evidence_says_so(crops: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from frbias.core.assets.networks import NetworkRecord, write_network

    monkeypatch.setenv("FRBIAS_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    state = {k: v.clone() for k, v in tiny_network(101).state_dict().items()}
    silent = NetworkRecord("Image2Image", {}, {}, {}, state, {}, {}, "0" * 64)
    write_network(silent, tmp_path / "silent.safetensors")
    weights = find_weights(str(tmp_path / "silent.safetensors"), "rr", "auto")
    assert (weights.rule, weights.rule_from) == ("as_released_head", DEFAULT)
    assert weights.describe()["embedded_texts_sha256"] == ""
    assert any("--mask-rule intended" in n for n in backend(crops, weights=str(tmp_path / "silent.safetensors")).notes)
    with pytest.raises(AssetMissingError, match=r"'intended' asks an age classifier.*DEX"):
        find_weights(str(tmp_path / "silent.safetensors"), "rr", "intended")


def test_the_manifest_tells_what_the_pictures_depend_on(crops: Path, tmp_path: Path) -> None:
    generate_with(backend(crops, mask_rule="intended"), tmp_path / "out")
    record = read_provenance(tmp_path / "out")
    assert record is not None
    said = record["arguments"]
    assert (said["mask_rule"], said["mask_rule_from"], said["mask"]) == ("intended", "chosen", "computed")
    assert (said["age_classifier"], said["noise"], said["sources"]) == ("checkpoint", "const", PEOPLE)
    other = backend(crops).describe()
    assert other["mask"] == "0 everywhere, not computed"


def test_unused_mask_is_the_computed_one() -> None:
    """The mask that is proved to be 0 and left out, against the same mask computed and applied."""
    network, classifier = tiny_network(101), random_classifier()
    editor = CuspEditor(network, rule="as_released_head", classifier=classifier)
    image = np.random.default_rng(5).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    lean = editor.encode(image)
    assert lean.mask is None
    editor.classifier = classifier
    full = editor.encode(image)
    assert full.mask is not None
    assert float(full.mask.abs().max()) == 0.0
    assert torch.equal(full.skip, lean.skip)
