"""What processes that share a training do with batches, statistics, embeddings and pixels."""

from collections import namedtuple

import numpy as np
import pytest
import torch
from torch import nn

from frbias.core.data.samples import SampleTable
from frbias.core.foundation.devices import World, alone, on_this_machine, usable_cores, world_from_environment
from frbias.core.foundation.errors import UsageError
from frbias.core.training import distributed, pixels
from frbias.core.training.augment import varied
from frbias.core.training.distributed import my_part, share_statistics, whole_of_shards
from frbias.core.training.options import FinetuneOptions


def kinds(options: FinetuneOptions, processes: int) -> set[type]:
    module = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Sequential(nn.BatchNorm2d(4)))
    share_statistics(module, options, World(0, processes))
    return {type(m) for m in module.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)}


def test_statistics_are_shared_whenever_they_change() -> None:
    assert kinds(FinetuneOptions(trained_bn="train"), 2) == {nn.SyncBatchNorm}
    assert kinds(FinetuneOptions(frozen_bn="train"), 2) == {nn.SyncBatchNorm}
    assert kinds(FinetuneOptions(), 2) == {nn.BatchNorm2d}
    assert kinds(FinetuneOptions(trained_bn="train"), 1) == {nn.BatchNorm2d}


@pytest.mark.parametrize("processes", [1, 2, 3, 4])
def test_every_image_of_a_batch_is_somebodys(processes: int) -> None:
    batch = np.arange(25)
    parts = [my_part(batch, World(rank, processes)) for rank in range(processes)]
    np.testing.assert_array_equal(np.concatenate(parts), batch)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    # gradients are averaged over processes: with these weights that is the mean over images
    means = [part.mean() * len(part) * processes / len(batch) for part in parts]
    assert np.mean(means) == pytest.approx(batch.mean())


def test_embeddings_made_in_turn_are_put_back_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    lengths, width, world = [4, 4, 4, 2], 3, World(1, 3)
    chunks = np.split(np.arange(14 * width, dtype=np.float32).reshape(14, width), np.cumsum(lengths)[:-1])
    by_rank = [chunks[rank::3] for rank in range(3)]
    gathered = np.concatenate([chunk.ravel() for chunks in by_rank for chunk in chunks])
    monkeypatch.setattr(distributed, "gather_over_ranks", lambda mine: gathered)
    np.testing.assert_array_equal(whole_of_shards(by_rank[1], lengths, width, world), np.concatenate(chunks))


def test_pixels_without_a_place_are_refused(people: SampleTable, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(pixels, "_IN_MEMORY", 0)
    assert len(pixels.read_faces(people).pixels) == len(people)
    monkeypatch.setattr(pixels.shutil, "disk_usage", lambda place: usage(10**9, 0, 10**9))
    with pytest.raises(UsageError, match=r"24 faces take 0\.0 GB in .*; set TMPDIR to a folder on a disk with room"):
        pixels.read_faces(people)


def test_the_machine_is_divided_by_its_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    everything = usable_cores()
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert usable_cores() == max(1, everything // 2)
    assert on_this_machine(World(5, 8, 1)) == World(1, 2, 1)
    assert on_this_machine(World()) == World()
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "1000")
    assert usable_cores() == 1


def test_what_is_done_alone_sees_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("RANK", "1"), ("WORLD_SIZE", "4"), ("LOCAL_RANK", "1")):
        monkeypatch.setenv(name, value)
    with alone():
        assert world_from_environment() == World(0, 1, 1)
    assert world_from_environment() == World(1, 4, 1)


def relit_as_it_is_defined(face: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    gain, gamma = np.exp(rng.normal(0, 0.12)), np.exp(rng.normal(0, 0.12))
    tint = np.exp(rng.normal(0, 0.03, 3))
    values = np.clip((face / 255.0) ** gamma * gain * tint, 0, 1)
    grey = values.mean(axis=2, keepdims=True)
    values = grey + (values - grey) * rng.uniform(0.6, 1.2)
    return (np.clip(values, 0, 1) * 255 + 0.5).astype(np.uint8)


def test_light_by_table_is_light_by_formula(monkeypatch: pytest.MonkeyPatch) -> None:
    from frbias.core.training import augment

    face = np.random.default_rng(0).integers(0, 256, (112, 112, 3), dtype=np.uint8)
    by_table = [varied(face, np.random.default_rng(k)) for k in range(6)]
    monkeypatch.setattr(augment, "_relit", relit_as_it_is_defined)
    for k, found in enumerate(by_table):
        np.testing.assert_array_equal(found, varied(face, np.random.default_rng(k)))


def test_constants_are_made_once() -> None:
    from frbias.core.foundation.constants import constant

    with torch.inference_mode():
        one = constant((1.0, 2.0), torch.float32, torch.device("cpu"))
    assert constant((1.0, 2.0), torch.float32, torch.device("cpu")) is one
    assert not one.is_inference()
