"""Campaign: slow and lying servers. A download is right, or ends in time with a sentence; then an honest server mends it."""

import contextlib
import hashlib
import random
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from faults.behaviours import BEHAVIOURS, CONTENT, HALF, TAG, Behaviour, good
from faults.table import Outcome
from frbias.core.assets import download as module
from frbias.core.assets.download import download
from frbias.core.foundation.errors import FrbiasError
from frbias.core.foundation.progress import SilentProgress

_LIMIT, _PATIENCE = 4.0, 30.0
_SHA256 = hashlib.sha256(CONTENT).hexdigest()


class _Words(SilentProgress):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, message: str) -> None:
        """Keep a sentence."""
        self.said.append(message)


def run_servers(seed: int, count: int = 0) -> Outcome:
    """Download from ``count`` servers (0: all), with nothing on disk yet and with half of the file from before."""
    outcome = Outcome("slow and lying servers")
    silence, module._SILENCE = module._SILENCE, 1.0
    try:
        names = random.Random(seed).sample(list(BEHAVIOURS), count) if count else list(BEHAVIOURS)
        for name in names:
            behaviour = BEHAVIOURS[name]
            for begun in (False, True):
                outcome = outcome.plus(f"{name}{', half is there' if begun else ''}", _loss(name, behaviour, begun))
                if outcome.lost:
                    return outcome
    finally:
        module._SILENCE = silence
    return outcome


def _loss(name: str, behaviour: Behaviour, begun: bool) -> str:
    with tempfile.TemporaryDirectory(prefix="frbias-faults-") as root, _served(behaviour) as (url, serve):
        target = Path(root) / "folder" / "file.bin"
        if begun:
            _leave_half(target, url)
        words, started = _Words(), time.monotonic()
        try:
            download(url, target, sha256=_SHA256, time_limit=_LIMIT, progress=words)
        except FrbiasError as error:
            words.said.append(str(error).replace("\n", " "))
            if target.exists():
                return "it was refused and is there"
        except BaseException as error:
            return f"{type(error).__name__} came through: {error}"
        if time.monotonic() - started > _PATIENCE:
            return f"it took {time.monotonic() - started:.0f} s"
        if any(not character.isprintable() for text in words.said for character in text):
            return f"control characters were passed on: {words.said!r}"
        serve[0] = good
        try:
            download(url, target, sha256=_SHA256)
        except FrbiasError as error:
            return f"an honest server did not mend it: {error}"
        if target.read_bytes() != CONTENT or sorted(p.name for p in Path(root).rglob("*")) != ["file.bin", "folder"]:
            return "something is left over"
        return "" if name.startswith("other:") else _without_hash(behaviour, serve, url, Path(root) / "plain.bin")


def _without_hash(behaviour: Behaviour, serve: list[Behaviour], url: str, target: Path) -> str:
    """Without a known hash, what is put in place is still the whole file."""
    serve[0] = behaviour
    try:
        download(url, target, time_limit=_LIMIT)
    except FrbiasError:
        return "it was refused and is there" if target.exists() else ""
    except BaseException as error:
        return f"{type(error).__name__} came through without a hash: {error}"
    return "" if target.read_bytes() == CONTENT else "it was believed"


def _leave_half(target: Path, url: str) -> None:
    """What an earlier download from an honest server left."""
    target.parent.mkdir()
    part = module._Part(target.with_name(f"{target.name}.part"), url)
    part.path.write_bytes(CONTENT[:HALF])
    module.write_json(part.note, {"url": url, "tag": TAG.decode()})


@contextmanager
def _served(behaviour: Behaviour) -> Iterator[tuple[str, list[Behaviour]]]:
    """A server on this machine; the one behaviour in the list is the one that answers."""
    serve = [behaviour]
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.2)
        over = threading.Event()
        thread = threading.Thread(target=_accept, args=(listening, serve, over), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/file.bin", serve
        finally:
            over.set()
            thread.join()


def _accept(listening: socket.socket, serve: list[Behaviour], over: threading.Event) -> None:
    while not over.is_set():
        with contextlib.suppress(TimeoutError):
            connection, _ = listening.accept()
            threading.Thread(target=_answer, args=(connection, serve[0]), daemon=True).start()


def _answer(connection: socket.socket, behaviour: Behaviour) -> None:
    with contextlib.suppress(OSError), connection:
        connection.settimeout(10)
        asked = b""
        while b"\r\n\r\n" not in asked and (found := connection.recv(65536)):
            asked += found
        behaviour(connection, asked)
        connection.shutdown(socket.SHUT_WR)
