"""Embeddings: independent of how the work is cut, resumed exactly, and true to the faces of real photographs."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

import frbias.core.stages.embed as stage
from frbias.core.data.embeddings import Embeddings, read_embeddings, write_embeddings
from frbias.core.data.samples import (
    Rejected,
    SampleTable,
    make_table,
    read_rejected,
    read_samples,
    write_rejected,
    write_samples,
)
from frbias.core.faces.detect import load_detector
from frbias.core.foundation.devices import World
from frbias.core.foundation.errors import BadInputError, UsageError
from frbias.core.foundation.machine import Machine, Resources
from frbias.core.foundation.provenance import claim_folder
from frbias.core.recognisers.base import Description, Recogniser
from frbias.core.recognisers.loading import load_recogniser
from frbias.core.recognisers.trainable.recogniser import Trainable
from frbias.core.stages.align import align_table
from frbias.core.stages.embed import embed_images, embed_table
from frbias.core.stages.requests.align import AlignOptions
from frbias.core.stages.requests.embed import EmbedOptions


class Quadrants(torch.nn.Module):
    """A stand-in for a recogniser: means of the four quadrants and colours, twelve numbers."""

    input_size = 112
    embedding_dim = 12

    def preprocess(self, images: torch.Tensor) -> torch.Tensor:
        return images.permute(0, 3, 1, 2).float() / 255

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.shapes = {*getattr(self, "shapes", ()), tuple(x.shape)}
        return torch.nn.functional.adaptive_avg_pool2d(x, 2).flatten(1)


def stand_in() -> Trainable:
    about = Description("quadrants", 12, (112, 112), True, "test")
    return Trainable(Quadrants(), "quadrants", "0" * 64, about)  # type: ignore[arg-type]


def on_cpu(batch_size: int = 128) -> Machine:
    return Machine(Resources(device="cpu", batch_size=batch_size))


@pytest.fixture(scope="module")
def sface() -> Recogniser:
    return load_recogniser("sface")


def image_set(folder: Path, count: int, seed: int = 0) -> SampleTable:
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for i in range(count):
        pixels = rng.integers(0, 256, (112, 112, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i:03d}.png")
        age = float("nan") if i == 1 else float(i)
        rows.append({"file_name": f"{i:03d}.png", "subject": f"s{i // 2}", "age": age, "x1": 1.0, "yaw": 2.5})
    table = make_table(folder, rows)
    write_samples(table)
    return table


def test_an_embedding_does_not_depend_on_its_neighbours(tmp_path: Path, sface: Recogniser) -> None:
    table = image_set(tmp_path / "set", 19)
    whole = embed_images(table, sface, machine=on_cpu(4))
    other = embed_images(table, sface, machine=on_cpu(32))
    assert whole.matrix.shape == (19, 128)
    assert whole.matrix.tobytes() == other.matrix.tobytes()
    alone = embed_images(table.select([17]), sface, machine=on_cpu())
    np.testing.assert_allclose(alone.matrix[0], whole.matrix[17], atol=2e-5)


def test_the_network_always_sees_full_tiles(tmp_path: Path) -> None:
    backbone = stand_in()
    embed_images(image_set(tmp_path / "set", 19), backbone, machine=on_cpu(3))
    assert backbone.model.shapes == {(stage.TILE, 3, 112, 112)}


def test_the_file_says_what_it_holds(tmp_path: Path) -> None:
    table = image_set(tmp_path / "set", 5)
    result = embed_table(table, stand_in(), tmp_path / "out", machine=on_cpu())
    assert (result.images, result.rejected, result.dimension, result.reused) == (5, 0, 12, False)
    read = read_embeddings(tmp_path / "out")
    assert list(read.frame.columns[:4]) == ["file_name", "subject", "age", "sex"]
    assert "yaw" in read.frame.columns
    assert "x1" not in read.frame.columns
    assert read.matrix.dtype == np.float32
    assert np.isnan(read.ages[1])
    pixels = np.array(Image.open(tmp_path / "set/003.png"), dtype=np.float64) / 255
    quadrants = pixels.reshape(2, 56, 2, 56, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(read.matrix[3], quadrants.transpose(2, 0, 1).ravel(), atol=1e-6)
    assert read.provenance["weights_sha256"] == "0" * 64
    assert read.provenance["inputs"]["table"] == table.content_hash()
    assert read.provenance["versions"]["torch"]
    plain = pd.read_parquet(tmp_path / "out/embeddings.parquet")
    np.testing.assert_array_equal(np.stack(plain["embedding"].tolist()), read.matrix)
    assert embed_table(table, stand_in(), tmp_path / "out", machine=on_cpu()).reused


def test_mirrored_faces(tmp_path: Path) -> None:
    table = image_set(tmp_path / "set", 3)
    plain, added, both = (
        embed_images(table, stand_in(), options=EmbedOptions(flip=f), machine=on_cpu()).matrix
        for f in ("none", "add", "concat")
    )
    mirrored = plain.reshape(3, 3, 2, 2)[..., ::-1].reshape(3, 12)
    np.testing.assert_allclose(added, plain + mirrored, atol=1e-6)
    np.testing.assert_allclose(both, np.hstack([plain, mirrored]), atol=1e-6)
    with pytest.raises(UsageError, match="none, add or concat"):
        EmbedOptions(flip="twice")  # type: ignore[arg-type]


def test_failures_to_acquire_are_counted_from_detection_on(tmp_path: Path) -> None:
    claimed = claim_folder(tmp_path / "set", stage="align", arguments={})
    table = image_set(tmp_path / "set", 6)
    earlier = [Rejected("e.jpg", "no face found", "s7", 0.5, "f"), Rejected("f.jpg", "is empty (0 bytes)", "s8", 81.0)]
    write_rejected(tmp_path / "set", earlier)
    claimed.finish({"images": 6, "rejected": 2})
    (tmp_path / "set/002.png").write_bytes(b"broken")
    Image.new("RGB", (64, 64)).save(tmp_path / "set/004.png")
    result = embed_table(table, stand_in(), tmp_path / "out", machine=on_cpu())
    assert (result.images, result.rejected) == (4, 2)
    read = read_embeddings(tmp_path / "out")
    assert list(read.frame["file_name"]) == ["000.png", "001.png", "003.png", "005.png"]
    assert read.provenance["failure_to_acquire"] == {
        "failures": 4,
        "attempts": 8,
        "by": [
            {"age": 0.5, "sex": "f", "failures": 1},
            {"age": 2.0, "sex": "", "failures": 1},
            {"age": 4.0, "sex": "", "failures": 1},
            {"age": 81.0, "sex": "", "failures": 1},
        ],
    }
    assert read_rejected(tmp_path / "out") == [
        Rejected("002.png", "is not an image (PNG, JPEG, BMP, WebP or TIFF)", "s1", 2.0),
        Rejected("004.png", "is 64x64, not 112x112", "s2", 4.0),
        *earlier,
    ]


def test_a_set_that_is_not_aligned_is_refused(tmp_path: Path) -> None:
    table = image_set(tmp_path / "set", 2)
    for name in table.frame["file_name"]:
        Image.new("RGB", (256, 256)).save(tmp_path / "set" / name)
    with pytest.raises(BadInputError, match="256x256, not 112x112") as caught:
        embed_table(table, stand_in(), tmp_path / "out", machine=on_cpu())
    assert "frbias align" in str(caught.value)


def broken_after(parts: int) -> Callable[..., None]:
    write = stage._write_part

    def fail(path: Path, part: object) -> None:
        if len(list(path.parent.glob("part-*"))) >= parts:
            raise KeyboardInterrupt
        write(path, part)  # type: ignore[arg-type]

    return fail


def test_ranks_and_interrupts_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "PART", 16)
    table = image_set(tmp_path / "set", 50)
    embed_table(table, stand_in(), tmp_path / "once", machine=on_cpu())
    with monkeypatch.context() as context:
        context.setattr(stage, "_write_part", broken_after(2))
        with pytest.raises(KeyboardInterrupt):
            embed_table(table, stand_in(), tmp_path / "twice", machine=on_cpu())
    assert not (tmp_path / "twice/embeddings.parquet").exists()
    second_of_two = World(1, 2)
    stage._embed_parts(table, stand_in(), tmp_path / "twice", EmbedOptions(), on_cpu(8), second_of_two)
    assert len(list((tmp_path / "twice" / stage.JOURNAL).glob("part-*"))) == 3
    embed_table(table, stand_in(), tmp_path / "twice", machine=on_cpu())
    for name in ("embeddings.parquet", "provenance.json"):
        assert (tmp_path / "twice" / name).read_bytes() == (tmp_path / "once" / name).read_bytes()
    assert not (tmp_path / "twice" / stage.JOURNAL).exists()


def test_files_that_are_no_embeddings(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="does not exist"):
        read_embeddings(tmp_path)
    (tmp_path / "a.parquet").write_text("no table")
    with pytest.raises(BadInputError, match="cannot be read as Parquet"):
        read_embeddings(tmp_path / "a.parquet")
    pd.DataFrame({"file_name": ["a"], "subject": ["s"], "age": [1.0]}).to_parquet(tmp_path / "b.parquet")
    with pytest.raises(BadInputError, match="embedding"):
        read_embeddings(tmp_path / "b.parquet")
    frame = pd.DataFrame({"file_name": ["a"], "subject": ["s"], "age": [1.0], "sex": [""]})
    with pytest.raises(BadInputError, match="not finite"):
        write_embeddings(tmp_path / "c.parquet", Embeddings(frame, np.full((1, 4), np.nan, np.float32), {}))


def photographs(folder: Path) -> tuple[SampleTable, list[str]]:
    """Every face of t1.jpg and the astronaut as photographs of their own: as they are, mirrored, and jittered."""
    import insightface
    from skimage.data import astronaut

    group = np.array(Image.open(Path(insightface.__file__).parent / "data/images/t1.jpg").convert("RGB"))
    portraits = [(np.asarray(astronaut()), load_detector("yunet").detect(np.asarray(astronaut()))[0])]
    portraits += [(group, face) for face in load_detector("yunet").detect(group)]
    rng, rows = np.random.default_rng(3), []
    folder.mkdir()
    for person, (photo, face) in enumerate(portraits):
        x, y, w, h = face.box
        top, left = max(0, int(y - 0.4 * h)), max(0, int(x - 0.4 * w))
        view = photo[top : int(y + 1.4 * h), left : int(x + 1.4 * w)]
        turned = Image.fromarray(view).rotate(7, resample=Image.Resampling.BICUBIC).resize((170, 190))
        noisy = np.clip(0.85 * np.array(turned) + 12 + rng.normal(0, 5, (190, 170, 3)), 0, 255).astype(np.uint8)
        for kind, pixels in (("plain", view), ("mirror", view[:, ::-1]), ("jitter", noisy)):
            name = f"{person}_{kind}.png"
            Image.fromarray(np.ascontiguousarray(pixels)).save(folder / name)
            rows.append({"file_name": name, "subject": f"person{person}", "age": None})
    return make_table(folder, rows), [str(row["subject"]) for row in rows]


def test_real_photographs_go_through_align_and_embed(tmp_path: Path, sface: Recogniser) -> None:
    table, subjects = photographs(tmp_path / "photos")
    assert len(set(subjects)) == 7
    result = align_table(table, tmp_path / "aligned", options=AlignOptions(), machine=Machine(Resources(workers=1)))
    assert (result.images, result.rejected) == (21, 0)
    embed_table(read_samples(tmp_path / "aligned"), sface, tmp_path / "out", machine=on_cpu())
    found = read_embeddings(tmp_path / "out")
    assert found.subjects == subjects
    unit = found.matrix / np.linalg.norm(found.matrix, axis=1, keepdims=True)
    scores, same = unit @ unit.T, np.equal.outer(subjects, subjects)
    mated = scores[same & ~np.eye(len(subjects), dtype=bool)]
    assert mated.min() > scores[~same].max()
    json.dumps(found.provenance)


def parquet_with(path: Path, vectors: list[Any], kind: pa.DataType) -> Path:
    count = len(vectors)
    columns = {
        "file_name": pa.array([f"{i}.png" for i in range(count)]),
        "subject": pa.array(["a"] * count),
        "age": pa.array([20.0] * count),
        "embedding": pa.array(vectors, kind),
    }
    pq.write_table(pa.table(columns), path, row_group_size=2)
    return path


@pytest.mark.parametrize(
    "kind",
    [pa.list_(pa.float64()), pa.large_list(pa.float32()), pa.list_(pa.float32(), 2), pa.list_(pa.int32())],
    ids=str,
)
def test_vectors_in_lists_of_any_kind_are_read(
    tmp_path: Path, kind: pa.DataType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("frbias.core.data.embedding_parquet._ROWS", 2)  # more than one batch
    read = read_embeddings(parquet_with(tmp_path / "e.parquet", [[1, 2], [3, 4], [5, 6]], kind))
    assert read.matrix.dtype == np.float32
    assert read.matrix.tolist() == [[1, 2], [3, 4], [5, 6]]


@pytest.mark.parametrize(
    ("vectors", "kind"),
    [
        ([[1.0, 2.0], [3.0]], pa.list_(pa.float32())),
        ([[1.0, 2.0], [3.0, 4.0], [5.0]], pa.list_(pa.float32())),
        ([[1.0, 2.0], None], pa.list_(pa.float32())),
        ([[1.0, 2.0], [3.0, None]], pa.list_(pa.float32())),
        ([["x"], ["y"]], pa.list_(pa.string())),
        ([1.0, 2.0], pa.float32()),
    ],
)
def test_what_is_no_matrix_is_refused(
    tmp_path: Path, vectors: list[Any], kind: pa.DataType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("frbias.core.data.embedding_parquet._ROWS", 2)
    with pytest.raises(BadInputError, match="vectors of one length"):
        read_embeddings(parquet_with(tmp_path / "e.parquet", vectors, kind))


def test_sixteen_bits_are_asked_for_and_only_of_what_can_be_trained() -> None:
    from frbias.core.recognisers.callables import CallableRecogniser
    from frbias.core.recognisers.trainable.weights import build
    from frbias.core.stages.embedding import in_arithmetic

    torch.manual_seed(0)
    model = build("mobilefacenet").eval()
    plain = Trainable(model, "small", "0", Description("mobilefacenet", 512, (112, 112), True, "here"))
    faces = np.random.default_rng(0).integers(0, 256, (4, 112, 112, 3), dtype=np.uint8)
    exact, half = plain.embed(faces), in_arithmetic(plain, "bf16").embed(faces)
    assert half.dtype == np.float32
    assert 0 < np.abs(half - exact).max() < 0.1 * np.abs(exact).max()
    assert in_arithmetic(plain, "fp32") is plain
    with pytest.raises(UsageError, match="--arithmetic bf16 needs a recogniser of a known architecture"):
        in_arithmetic(CallableRecogniser("f", "0", plain.description, lambda given: given), "bf16")
