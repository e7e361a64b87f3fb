"""Work done ahead by threads, in order: the next ones are under way while the last one is used."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def done_ahead(
    items: Iterable[tuple[T, list[Callable[[], R]]]], *, threads: int, depth: int
) -> Iterator[tuple[T, list[R]]]:
    """Yield every item once its pieces are done, with what they gave.

    Args:
        items: What is worked on, and its pieces; asked for an item only when fewer than ``depth`` are under way, and
            after whoever got the one before has come back for more.
        threads: Threads.
        depth: Items under way.
    """
    source = iter(items)
    waiting: deque[tuple[T, list[Future[R]]]] = deque()
    pool = ThreadPoolExecutor(threads)
    try:
        while True:
            for item, pieces in islice(source, depth - len(waiting)):
                waiting.append((item, [pool.submit(piece) for piece in pieces]))
            if not waiting:
                return
            item, jobs = waiting.popleft()
            yield item, [job.result() for job in jobs]
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
