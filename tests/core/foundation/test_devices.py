"""Device names and shards."""

import pytest
import torch

from frbias.core.foundation.devices import World, choose_device, seed_everything, world_from_environment
from frbias.core.foundation.errors import UsageError
from frbias.core.foundation.group import process_group


def test_cpu_and_unknown_names() -> None:
    assert choose_device(" CPU ").type == "cpu"
    for bad in ("gpu", "cuda:x", "mps", ""):
        with pytest.raises(UsageError, match="unknown"):
            choose_device(bad)


def test_cuda_on_a_machine_without_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto").type == "cpu"
    with pytest.raises(UsageError, match="no usable CUDA device"):
        choose_device("cuda")


def test_cuda_numbers_and_local_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert choose_device("auto") == torch.device("cuda", 1)
    assert choose_device("cuda:0") == torch.device("cuda", 0)
    with pytest.raises(UsageError, match=r"2 CUDA device\(s\)"):
        choose_device("cuda:2")


def test_shards_partition_the_items() -> None:
    items = list(range(11))
    shards = [World(r, 3).shard(items) for r in range(3)]
    assert sorted(item for shard in shards for item in shard) == items
    assert max(map(len, shards)) - min(map(len, shards)) <= 1


def test_world_is_read_from_torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    assert world_from_environment() == World(0, 1, 0)
    for name, value in (("RANK", "3"), ("WORLD_SIZE", "4"), ("LOCAL_RANK", "1")):
        monkeypatch.setenv(name, value)
    assert world_from_environment() == World(3, 4, 1)
    assert not World(3, 4, 1).leader


def test_alone_the_barrier_does_nothing() -> None:
    with process_group(World()) as barrier:
        barrier()
    assert not torch.distributed.is_initialized()


def test_seeding_repeats_torch() -> None:
    seed_everything(7)
    first = torch.rand(3)
    seed_everything(7)
    assert torch.equal(first, torch.rand(3))
