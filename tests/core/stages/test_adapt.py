"""Adapting a recogniser: what the folder computes, composes, refuses, and exports."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from networks import tiny_network
from safetensors.torch import save_file

from frbias.core.data.images import read_image, write_png
from frbias.core.data.samples import make_table, read_samples, write_samples
from frbias.core.foundation.errors import BadInputError, UsageError
from frbias.core.foundation.machine import Machine, Resources
from frbias.core.recognisers.adapted import AdaptedRecogniser
from frbias.core.recognisers.loading import load_recogniser
from frbias.core.recognisers.maps import unit
from frbias.core.recognisers.probing import fixed_images
from frbias.core.stages.adapt import adapt
from frbias.core.stages.compare import compare
from frbias.core.stages.embedding import FedNetwork
from frbias.core.stages.export import export
from frbias.core.stages.requests.adapt import AdaptRequest
from frbias.core.stages.requests.compare import CompareRequest
from frbias.core.stages.requests.export import ExportRequest
from frbias.core.training.damage import SeesDamaged, damaged
from frbias.core.training.nuisance import closing_offset

CPU = Machine(Resources(device="cpu"))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Smooth pictures of seven people at three ages and poses, and a small network whose last bias is not 0."""
    root = tmp_path_factory.mktemp("adapt")
    rng = np.random.default_rng(0)
    rows = []
    for person in range(7):
        for k, age in enumerate((4.0, 10.0, 30.0)):
            face = fixed_images(1, 112)[0].astype(float) * 0.5 + rng.uniform(0, 100, (1, 1, 3)) + 8 * k
            name = f"{person}_{age:g}.png"
            write_png(root / "people" / name, np.clip(face + rng.normal(0, 4, face.shape), 0, 255).astype(np.uint8))
            rows.append({"file_name": name, "subject": f"s{person}", "age": age, "yaw": float(rng.uniform(-30, 30))})
    write_samples(make_table(root / "people", rows))
    torch.manual_seed(2)
    model = tiny_network(16).train()
    for norm in (m for m in model.modules() if isinstance(m, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d)):
        norm.momentum = 1.0  # statistics are those of the next pictures, so that embeddings differ
    with torch.no_grad():
        model(
            model.preprocess(
                torch.from_numpy(np.stack([read_image(p) for p in sorted((root / "people").glob("*.png"))]))
            )
        )
        model.features.layers[-1].bias.normal_()
    save_file(model.state_dict(), root / "net.safetensors")
    return root


@pytest.fixture(autouse=True)
def _home(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One data root for all: what the network says of the same pictures is kept there, and not computed again."""
    monkeypatch.setenv("FRBIAS_HOME", str(place / "home"))


def request(place: Path, **changes: object) -> AdaptRequest:
    given = {"data": (str(place / "people"),), "weights": str(place / "net.safetensors"), **changes}
    return AdaptRequest(**given)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def adapted(place: Path) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FRBIAS_HOME", str(place / "home"))
        done = adapt(request(place), place / "adapted", machine=CPU)
    assert [name.split()[0] for name in done.made_of] == ["offset", "common", "growth", "pose"]
    assert (done.images, done.people, done.dimension, done.left_out) == (21, 7, 16, ())
    return done.out


def test_it_embeds_as_the_map_says_without_the_directions(place: Path, adapted: Path) -> None:
    base, found = load_recogniser(str(place / "net.safetensors")), load_recogniser(str(adapted))
    assert isinstance(found, AdaptedRecogniser)
    faces = fixed_images(3, 112)
    mapped = found.embed(faces)
    offset = closing_offset(base)
    assert offset is not None
    np.testing.assert_allclose(offset, base.model.features.layers[-1].bias.detach().numpy())
    assert np.abs(mapped @ (offset / np.linalg.norm(offset))).max() < 1e-5
    assert np.linalg.matrix_rank(found.map.matrix, tol=1e-5) == 12
    np.testing.assert_allclose(mapped, unit(base.embed(faces)) @ found.map.matrix.T, atol=1e-6)
    assert found.sha256 != base.sha256
    assert (found.description.trainable, found.description.architecture) == (False, "mobilefacenet+map")


def test_made_again_it_is_reused_and_other_work_is_refused(place: Path, adapted: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in adapted.rglob("*")}
    assert adapt(request(place), adapted, machine=CPU).reused
    assert {p: p.stat().st_mtime_ns for p in adapted.rglob("*")} == before
    for change in ({"remove": ("common",)}, {"within": 1}, {"damage": "none"}, {"normalise": "wccn"}, {"seed": 1}):
        with pytest.raises(UsageError, match="other work"):
            adapt(request(place, **change), adapted, machine=CPU)


def test_other_directions_of_the_same_pictures_embed_nothing_again(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = adapt(request(place, remove=("common", "growth")), tmp_path / "first", machine=CPU)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FedNetwork, "embed", lambda *_: pytest.fail("embedded again"))
        second = adapt(request(place, remove=("growth",)), tmp_path / "second", machine=CPU)
    assert second.made_of == first.made_of[1:] == ("growth of people",)
    monkeypatch.setenv("FRBIAS_HOME", str(tmp_path / "elsewhere"))
    afresh = adapt(request(place, remove=("growth",)), tmp_path / "third", machine=CPU)
    assert load_recogniser(str(afresh.out)).sha256 == load_recogniser(str(second.out)).sha256


def test_the_onnx_file_computes_the_same(place: Path, adapted: Path, tmp_path: Path) -> None:
    done = export(ExportRequest(weights=str(adapted)), tmp_path / "out", machine=CPU)
    assert done.largest_difference is not None
    assert done.largest_difference < 1e-4
    again = load_recogniser(str(tmp_path / "out"))
    faces = fixed_images(2, 112)
    np.testing.assert_allclose(again.embed(faces), load_recogniser(str(adapted)).embed(faces), atol=1e-4)
    assert (
        json.loads((tmp_path / "out" / "manifest.json").read_text())["tasks"]["recognition"]["embedding_dimension"]
        == 16
    )
    assert again.sha256 == load_recogniser(str(adapted)).sha256
    export(ExportRequest(weights=str(adapted), onnx=False), tmp_path / "tensors", machine=CPU)
    assert load_recogniser(str(tmp_path / "tensors")).sha256 == again.sha256
    card = (tmp_path / "out" / "README.md").read_text()
    for made in done_of(adapted):
        assert made in card


def done_of(adapted: Path) -> list[str]:
    return list(json.loads((adapted / "adapted.json").read_text())["made_of"])


def test_a_recogniser_that_can_only_be_run_is_adapted_and_exported(place: Path, adapted: Path, tmp_path: Path) -> None:
    export(ExportRequest(weights=str(adapted), pack=False), tmp_path / "first", machine=CPU)
    opaque = tmp_path / "opaque" / "recognition.onnx"
    opaque.parent.mkdir()
    (tmp_path / "first" / "recognition.onnx").rename(opaque)
    opaque.with_suffix(".toml").write_text("[input]\nmean = 127.5\nscale = 127.5\n")
    done = adapt(
        request(place, weights=str(opaque), normalise="lda", dimensions=4, damage="none"), tmp_path / "two", machine=CPU
    )
    assert done.dimension == 4
    assert "offset" not in " ".join(done.made_of)
    assert any("does not end in a BatchNorm" in text for text in done.left_out)
    with pytest.raises(BadInputError, match="BatchNorm"):
        adapt(request(place, weights=str(opaque), remove=("offset",)), tmp_path / "three", machine=CPU)
    assert not (tmp_path / "three" / "provenance.json").exists()
    with pytest.raises(UsageError, match="--no-onnx"):
        export(ExportRequest(weights=str(done.out), onnx=False), tmp_path / "none", machine=CPU)
    written = export(ExportRequest(weights=str(done.out)), tmp_path / "out", machine=CPU)
    assert written.files == ["README.md", "recognition.onnx"]
    faces = fixed_images(2, 112)
    again = load_recogniser(str(tmp_path / "out" / "recognition.onnx"))
    np.testing.assert_allclose(again.embed(faces), load_recogniser(str(done.out)).embed(faces), atol=1e-3)


def test_what_was_changed_afterwards_is_noticed(place: Path, tmp_path: Path) -> None:
    base = tmp_path / "net.safetensors"
    base.write_bytes((place / "net.safetensors").read_bytes())
    out = adapt(request(place, weights=str(base), remove=("common",), damage="none"), tmp_path / "a", machine=CPU).out
    record = json.loads((out / "adapted.json").read_text())
    for change, words in (
        ({"schema_version": 99}, "another version"),
        ({"map_sha256": "0" * 64}, "changed after"),
        ({"base": 3}, "another version"),
    ):
        (out / "adapted.json").write_text(json.dumps({**record, **change}))
        with pytest.raises(BadInputError, match=words):
            load_recogniser(str(out))
    (out / "adapted.json").write_text(json.dumps(record))
    torch.manual_seed(9)
    save_file(tiny_network(16).state_dict(), base)
    with pytest.raises(BadInputError, match="weights have changed"):
        load_recogniser(str(out))


def test_photographs_stand_for_what_is_common(place: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    for k, face in enumerate(fixed_images(4, 112)):
        write_png(photos / f"{k}.png", face[:, ::-1])
    done = adapt(request(place, photos=str(photos), remove=("common",)), tmp_path / "a", machine=CPU)
    assert done.made_of == ("common to the photographs",)
    base, found = load_recogniser(str(place / "net.safetensors")), load_recogniser(str(done.out))
    mean = unit(base.embed(np.stack([np.ascontiguousarray(f[:, ::-1]) for f in fixed_images(4, 112)]))).mean(axis=0)
    assert np.abs(found.map.matrix @ mean).max() < 1e-5 * np.abs(mean).max() + 1e-6


def test_files_that_vanish_while_it_learns_end_it(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(place / "people", tmp_path / "people")

    def learned(*arguments: object) -> dict[str, object]:
        (tmp_path / "people" / "3_30.png").unlink()
        return {}

    monkeypatch.setattr("frbias.core.stages.adapt._learn", learned)
    with pytest.raises(BadInputError, match="vanished or changed meanwhile"):
        adapt(request(place, data=(str(tmp_path / "people"),)), tmp_path / "out", machine=CPU)
    assert not (tmp_path / "out").exists()


def test_a_guard_holds_the_map_back(place: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    rows = []
    for k in range(12):
        face = fixed_images(k // 3 + 1, 112)[-1].astype(float) + rng.normal(0, 8, (112, 112, 3))
        write_png(tmp_path / "photos" / f"{k}.png", np.clip(face, 0, 255).astype(np.uint8))
        rows.append({"file_name": f"{k}.png", "subject": "", "age": float("nan")})
    write_samples(make_table(tmp_path / "photos", rows))
    guard = {"guard": (str(tmp_path / "photos"),), "within": 3, "damage": "none"}
    free = adapt(request(place, **guard, guard_drift=2.0), tmp_path / "free", machine=CPU)
    drift = json.loads((tmp_path / "free" / "provenance.json").read_text())["results"]["guard"][0]["drift"]
    assert (free.strength, drift > 0) == (1.0, True)
    held = adapt(request(place, **guard, guard_drift=0.9 * drift), tmp_path / "held", machine=CPU)
    assert 0 < held.strength < 1
    assert "(kept)" in held.guarded[0]
    base, found = load_recogniser(str(place / "net.safetensors")), load_recogniser(str(held.out))
    whole = load_recogniser(str(free.out))
    assert isinstance(found, AdaptedRecogniser)
    assert isinstance(whole, AdaptedRecogniser)
    between = held.strength * whole.map.matrix + (1 - held.strength) * np.eye(base.embedding_length)
    np.testing.assert_allclose(found.map.matrix, between, atol=1e-5)
    with pytest.raises(BadInputError, match="at any strength"):
        adapt(request(place, **guard, guard_drift=0.0), tmp_path / "none", machine=CPU)
    assert not (tmp_path / "none" / "provenance.json").exists()
    assert "No photographs were looked at" in adapt(request(place, within=3), tmp_path / "open", machine=CPU).guarded[0]


def test_a_guard_with_pairs_is_judged_by_their_accuracy_and_compare_repeats_it(place: Path, tmp_path: Path) -> None:
    frame = read_samples(place / "people").frame
    people = list(zip(frame["file_name"], frame["subject"], strict=True))
    lines = [f"{a},{b},{int(s == t)}" for k, (a, s) in enumerate(people) for b, t in people[:k]]
    (tmp_path / "pairs.csv").write_text("\n".join(["file1,file2,same", *lines]))
    guard = {"guard": (str(place / "people"),), "guard_pairs": (str(tmp_path / "pairs.csv"),)}
    done = adapt(request(place, **guard, guard_fall=1.0), tmp_path / "a", machine=CPU)
    (reading,) = json.loads((tmp_path / "a" / "provenance.json").read_text())["results"]["guard"]
    assert reading["tar"] is None
    before, after = reading["accuracy"]
    assert 0.5 < min(before, after) <= 1
    said = f"Guard people: accuracy of its pairs {100 * before:.2f} -> {100 * after:.2f} % (kept)."
    assert done.guarded == (said,)
    assert load_recogniser(str(done.out)).description.guarded == (said,)
    open_ended = adapt(request(place), tmp_path / "b", machine=CPU)
    wanted = CompareRequest(
        models=(str(place / "net.safetensors"), str(done.out), str(open_ended.out)),
        data=str(place / "people"), groups="0-12,13-40", at_fmr=(0.5,), bootstrap=0, figures=False,
    )  # fmt: skip
    found = compare(wanted, tmp_path / "compared", machine=CPU).documents
    guarded = [d["other"]["provenance"]["backbone"]["guarded"] for d in found]
    assert guarded == [[said], ["No photographs were looked at along the way (--guard SET)."]]
    assert all("guarded" not in d["baseline"]["provenance"]["backbone"] for d in found)


def test_nothing_to_do_and_too_little_to_learn_from(place: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="as they are"):
        request(place, remove=())
    with pytest.raises(UsageError, match="--dimensions belongs"):
        request(place, dimensions=3)
    with pytest.raises(UsageError, match="'smile' is no direction"):
        AdaptRequest.read({"data": ["x"], "remove": "common,smile"})
    with pytest.raises(BadInputError, match="0 people"):
        adapt(request(place, remove=("growth",), adult=70.0), tmp_path / "a", machine=CPU)


def test_it_learns_from_the_images_and_their_damaged_copies(place: Path, tmp_path: Path) -> None:
    base = load_recogniser(str(place / "net.safetensors"))
    faces = np.stack([read_image(path) for path in sorted((place / "people").glob("*.png"))])
    clean, worn = unit(base.embed(faces)).mean(axis=0), unit(SeesDamaged(base, 0).embed(faces)).mean(axis=0)
    for damage, gone in (("both", clean + worn), ("none", clean), ("strong", worn)):
        made = adapt(request(place, remove=("common",), damage=damage), tmp_path / damage, machine=CPU)
        assert made.images == len(faces)
        matrix = load_recogniser(str(made.out)).map.matrix
        left = {name: np.abs(matrix @ v / np.linalg.norm(v)).max() for name, v in (("gone", gone), ("worn", worn))}
        assert left["gone"] < 1e-5
        assert damage == "strong" or left["worn"] > 1e-4


def test_damage_is_the_same_in_any_batch_and_keeps_the_shape(place: Path) -> None:
    faces = fixed_images(5, 112)
    together = damaged(faces, 3)
    assert together.shape == faces.shape
    assert together.dtype == np.uint8
    np.testing.assert_array_equal(together[3], damaged(faces[3:4], 3)[0])
    assert (together != damaged(faces, 4)).any()
    base = load_recogniser(str(place / "net.safetensors"))
    np.testing.assert_allclose(SeesDamaged(base, 3).embed(faces), base.embed(together), atol=1e-6)
