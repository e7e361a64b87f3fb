"""How the processes of a torchrun launch that may be restarted find each other, and nobody of an attempt before.

torchrun keeps one store of keys for all attempts, and torch writes the addresses of its processes under the same keys
each time: who is early reads where a killed process was, and is refused there. So those who are here now agree on a
name first, under which everything else of the attempt is kept.
"""

import hashlib
import os
import time
import uuid
from typing import Any

_PAUSE = 0.01  # seconds between two looks


def may_be_restarted() -> bool:
    """Whether this process was started by torchrun with its store."""
    return os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"


def name_of_attempt(store: Any, rank: int, size: int, seconds: float) -> str:
    """A name that all ``size`` processes which are here now get, and no others ever got.

    Every process leaves a word of its own. The leader puts the words together, again whenever one changes, and says when
    everybody has seen the same; the words of processes that are gone are seen by nobody.

    Args:
        store: A store of torch that all processes share.
        rank: Of this process; 0 leads.
        size: Number of processes.
        seconds: How long to wait.

    Raises:
        RuntimeError: Somebody did not come.
    """
    word, until = uuid.uuid4().hex, time.monotonic() + seconds
    store.set(f"word/{rank}", word)
    while time.monotonic() < until:
        name = _led(store, size) if rank == 0 else _followed(store, rank, word)
        if name:
            return name
        time.sleep(_PAUSE)
    raise RuntimeError("gloo: timed out waiting for the other processes to open the group")


def _led(store: Any, size: int) -> str:
    """The name, when everybody else has seen it."""
    words = [_read(store, f"word/{rank}") for rank in range(size)]
    if not all(words):
        return ""
    store.set("words", ",".join(words))
    name = _name(words)
    if any(_read(store, f"seen/{rank}") != name for rank in range(1, size)):
        return ""
    store.set("name", name)
    return name


def _followed(store: Any, rank: int, word: str) -> str:
    """The name, when the leader says that everybody has seen it."""
    words = _read(store, "words").split(",")
    if len(words) <= rank or words[rank] != word:
        return ""
    name = _name(words)
    store.set(f"seen/{rank}", name)
    return name if _read(store, "name") == name else ""


def _read(store: Any, key: str) -> str:
    return str(store.get(key).decode()) if store.check([key]) else ""


def _name(words: list[str]) -> str:
    return hashlib.sha256(",".join(words).encode()).hexdigest()[:16]
