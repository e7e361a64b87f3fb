"""Processes of one attempt agree on a name, whatever those of an attempt before have left in the store."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch.distributed as dist

from frbias.core.foundation.meeting import name_of_attempt


def meet(store: dist.Store, size: int, *, first: int = 0) -> list[str]:
    """The names that ``size`` processes get; the one called ``first`` is there before the others."""
    order = sorted(range(size), key=lambda rank: rank != first)
    with ThreadPoolExecutor(size) as pool:
        jobs = {}
        for rank in order:
            jobs[rank] = pool.submit(name_of_attempt, store, rank, size, 20.0)
            if rank == first:
                with pytest.raises(TimeoutError):
                    jobs[rank].result(timeout=0.1)
        return [jobs[rank].result(timeout=20) for rank in range(size)]


@pytest.mark.parametrize("size", [2, 3])
def test_every_attempt_has_a_name_of_its_own(size: int) -> None:
    store = dist.HashStore()
    names = []
    for attempt in range(5):
        found = meet(store, size, first=attempt % size)
        assert len(set(found)) == 1
        names.append(found[0])
    assert len(set(names)) == 5


def test_half_an_attempt_before_is_no_hindrance() -> None:
    """One of the first attempt wrote its word and was killed, one had seen the leader's list."""
    store = dist.HashStore()
    for key, value in {"word/2": "gone", "words": "a,b,gone", "seen/1": "x", "name": "x"}.items():
        store.set(key, value)
    assert len(set(meet(store, 3, first=1))) == 1


def test_who_does_not_come_is_not_waited_for_for_ever() -> None:
    store = dist.HashStore()
    store.set("word/1", "gone")
    with pytest.raises(RuntimeError, match="timed out"):
        name_of_attempt(store, 0, 2, 0.2)
