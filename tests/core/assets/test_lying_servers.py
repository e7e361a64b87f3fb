"""Downloads from servers that hang, drip, send other things than they say, or lead elsewhere."""

import contextlib
import gzip
import hashlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from frbias.core.assets import download as module
from frbias.core.assets.download import download
from frbias.core.foundation.errors import AssetMissingError, BadInputError
from frbias.core.foundation.progress import SilentProgress

CONTENT = bytes(range(256)) * 40
SHA256 = hashlib.sha256(CONTENT).hexdigest()
Talk = Callable[[socket.socket, str], None]


class Servers:
    """Runs a list of answers, one for each connection; the last one again and again."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._open: list[socket.socket] = []

    def start(self, *talks: Talk) -> str:
        listening = socket.create_server(("127.0.0.1", 0))
        self._open.append(listening)
        left = list(talks)

        def answer(talk: Talk, link: socket.socket, request: str) -> None:
            with contextlib.suppress(OSError), link:
                talk(link, request)

        def serve() -> None:
            while True:
                try:
                    link, _ = listening.accept()
                except OSError:
                    return
                request = link.recv(65536).decode()
                self.asked.append(request)
                talk = left.pop(0) if len(left) > 1 else left[0]
                threading.Thread(target=answer, args=(talk, link, request), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        return f"http://127.0.0.1:{listening.getsockname()[1]}/w.bin"

    def close(self) -> None:
        for listening in self._open:
            listening.close()


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Servers]:
    monkeypatch.setattr(module, "_SILENCE", 0.3)
    monkeypatch.setattr(module, "_CONNECT", 2.0)
    found = Servers()
    yield found
    found.close()


def head(status: str = "200 OK", *lines: str, length: int | None = len(CONTENT), tag: str = '"v1"') -> bytes:
    more = [f"Content-Length: {length}"] if length is not None else []
    more += [f"ETag: {tag}"] if tag else []
    return "\r\n".join([f"HTTP/1.1 {status}", *more, "Connection: close", *lines, "", ""]).encode("latin-1")


def whole(link: socket.socket, request: str) -> None:
    link.sendall(head() + CONTENT)


def hangs_after(count: int) -> Talk:
    def talk(link: socket.socket, request: str) -> None:
        link.sendall(head() + CONTENT[:count])
        time.sleep(0.8)

    return talk


def resumes(link: socket.socket, request: str) -> None:
    start = int(request.split("bytes=")[1].split("-")[0])
    range_ = f"Content-Range: bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}"
    link.sendall(head("206 Partial Content", range_, length=len(CONTENT) - start) + CONTENT[start:])


class Notes(SilentProgress):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, message: str) -> None:
        self.lines.append(message)


def test_bytes_before_a_hang_are_kept(servers: Servers, tmp_path: Path) -> None:
    url = servers.start(hangs_after(700), resumes)
    download(url, tmp_path / "w.bin", sha256=SHA256)
    assert "bytes=700-" in servers.asked[1]
    assert (tmp_path / "w.bin").read_bytes() == CONTENT


def test_a_drip_is_given_up(servers: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ATTEMPTS", 1)

    def drips(link: socket.socket, request: str) -> None:
        link.sendall(head())
        for k in range(100):
            link.sendall(CONTENT[k : k + 1])
            time.sleep(0.05)

    started = time.monotonic()
    with pytest.raises(AssetMissingError, match=r"only \d+ bytes came in"):
        download(servers.start(drips), tmp_path / "w.bin")
    assert time.monotonic() - started < 3
    assert (tmp_path / "w.bin.part").stat().st_size > 0


def test_an_overall_limit_ends_it_and_keeps_what_came(
    servers: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SILENCE", 30.0)

    def slow(link: socket.socket, request: str) -> None:
        link.sendall(head())
        for k in range(0, len(CONTENT), 100):
            link.sendall(CONTENT[k : k + 100])
            time.sleep(0.05)

    started = time.monotonic()
    with pytest.raises(AssetMissingError, match="the time that it may take is over"):
        download(servers.start(slow), tmp_path / "w.bin", time_limit=0.4)
    assert time.monotonic() - started < 3
    assert 0 < (tmp_path / "w.bin.part").stat().st_size < len(CONTENT)


@pytest.mark.parametrize("tag", ['"v2"', ""])
def test_a_part_of_another_file_is_never_joined(servers: Servers, tmp_path: Path, tag: str) -> None:
    other = b"!" * len(CONTENT)

    def lies(link: socket.socket, request: str) -> None:
        range_ = f"Content-Range: bytes 700-{len(other) - 1}/{len(other)}"
        link.sendall(head("206 Partial Content", range_, length=len(other) - 700, tag=tag) + other[700:])

    def then(link: socket.socket, request: str) -> None:
        link.sendall(head(tag='"v2"') + other)

    download(servers.start(hangs_after(700), lies, then), tmp_path / "w.bin")
    assert (tmp_path / "w.bin").read_bytes() == other
    assert "Range" not in servers.asked[2]


def test_a_kill_between_the_note_and_the_first_byte_joins_nothing(servers: Servers, tmp_path: Path) -> None:
    """The note of the new file must not stand beside bytes of the old one, at no moment."""
    seen: list[int] = []
    target = tmp_path / "w.bin"
    target.with_name("w.bin.part").write_bytes(b"old" * 50)
    real = module.write_json

    def watched(path: Path, value: object) -> None:
        seen.append(target.with_name("w.bin.part").exists())
        real(path, value)

    module.write_json = watched  # type: ignore[assignment]
    try:
        download(servers.start(whole), target, sha256=SHA256)
    finally:
        module.write_json = real
    assert seen == [False]


def test_nothing_is_unpacked_on_the_way(servers: Servers, tmp_path: Path) -> None:
    packed = gzip.compress(CONTENT)

    def gzipped(link: socket.socket, request: str) -> None:
        link.sendall(head("200 OK", "Content-Encoding: gzip", length=len(packed)) + packed)

    download(servers.start(gzipped), tmp_path / "w.bin")
    assert (tmp_path / "w.bin").read_bytes() == packed


def test_words_of_the_server_have_no_control_characters(servers: Servers, tmp_path: Path) -> None:
    def rude(link: socket.socket, request: str) -> None:
        link.sendall(head("404 \x1b[31mGone\x07\x9b2J away", length=0))

    with pytest.raises(AssetMissingError) as caught:
        download(servers.start(rude), tmp_path / "w.bin")
    assert "answers 404 [31mGone 2J away." in caught.value.message
    assert caught.value.message.isprintable()


def test_another_host_is_named(servers: Servers, tmp_path: Path) -> None:
    there = servers.start(whole).replace("127.0.0.1", "localhost")

    def leads(link: socket.socket, request: str) -> None:
        link.sendall(head("302 Found", f"Location: {there}", length=0))

    notes = Notes()
    download(servers.start(leads), tmp_path / "w.bin", sha256=SHA256, progress=notes)
    assert notes.lines == ["127.0.0.1 sends the download on to localhost."]


@pytest.mark.parametrize("place", ["file:///etc/passwd", "ftp://localhost/x", "javascript:x"])
def test_nothing_but_the_web_is_followed(servers: Servers, tmp_path: Path, place: str) -> None:
    def leads(link: socket.socket, request: str) -> None:
        link.sendall(head("302 Found", f"Location: {place}", length=0))

    with pytest.raises(BadInputError, match="not secure; it was not followed"):
        download(servers.start(leads), tmp_path / "w.bin")


def test_circles_of_redirects_end(servers: Servers, tmp_path: Path) -> None:
    def leads(link: socket.socket, request: str) -> None:
        link.sendall(head("302 Found", "Location: /w.bin", length=0) + b"x" * 100_000)

    with pytest.raises(AssetMissingError, match="more than 10 times"):
        download(servers.start(leads), tmp_path / "w.bin")
    assert len(servers.asked) == 10


@pytest.mark.parametrize(
    "answer",
    [
        b"", b"\r\n", b"HTTP/1.1\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"\xff" * 100, b"HTTP/1.1 200 OK\r\n" + b"A: " + b"x" * 70_000,
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200, head(length=5) + CONTENT, head(length=None, tag="") + b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nabc", b"HTTP/1.1 200 OK\r\nContent-Length: \xb2\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999999\r\n\r\nabc", head("206 Partial Content"),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc", head("302 Found"), head("500 No\r\n"), head("204 No Content"),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nabc", head("302 F", "Location: http://[::1"),
        head("416 Range Not Satisfiable", "Content-Range: bytes */0"), head("101 Switching"), head("302 F", "Location: http://a..b/"),
    ],
)  # fmt: skip
def test_nonsense_is_told_and_installs_nothing(servers: Servers, tmp_path: Path, answer: bytes) -> None:
    def talk(link: socket.socket, request: str) -> None:
        link.sendall(answer)

    with pytest.raises((AssetMissingError, BadInputError)) as caught:
        download(servers.start(talk), tmp_path / "w.bin", sha256=SHA256)
    assert caught.value.message.isprintable()
    assert not (tmp_path / "w.bin").exists()
