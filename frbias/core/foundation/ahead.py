"""Work done by threads beside that of the caller, in order: ahead of what uses it, or behind what makes it."""

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


def done_behind(pieces: Iterable[Callable[[], R]], *, threads: int, most: int) -> Iterator[R]:
    """Yield, in order, what pieces of work give; threads do them while the next ones are being made.

    When the next one cannot be made, those before it are done and given first, as if each had been waited for.

    Args:
        pieces: The work; making one may take long.
        threads: Threads.
        most: Pieces that may be under way while the next one is made.
    """
    source, waiting = iter(pieces), deque[Future[R]]()
    failed: BaseException | None = None
    pool = ThreadPoolExecutor(threads)
    try:
        while failed is None:
            try:
                waiting.append(pool.submit(next(source)))
            except StopIteration:
                break
            except BaseException as error:
                failed = error
            while waiting and (len(waiting) > most or waiting[0].done()):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
        if failed is not None:
            raise failed
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
