"""Downloads against a local server: resumed, checked, placed whole or not at all."""

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from frbias.core.assets import download as module
from frbias.core.assets.download import download
from frbias.core.foundation.errors import AssetMissingError, BadInputError
from frbias.core.foundation.progress import SilentProgress

CONTENT = bytes(range(256)) * 4000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class Server:
    """What the server sends and what it was asked."""

    url: str = ""
    content: bytes = CONTENT
    tag: str = '"v1"'
    ranges: bool = True
    cut_after: list[int | None] = field(default_factory=list)  # bytes sent per request before the connection is closed
    status: int = 200
    announce: bool = True
    wrong_range: bool = False
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range", "")
            state.asked.append(wanted)
            if state.status != 200:
                self.send_error(state.status)
                return
            start, whole = 0, state.content
            if wanted and state.ranges and self.headers.get("If-Range") == state.tag:
                start = int(wanted.removeprefix("bytes=").rstrip("-"))
                if start >= len(whole):
                    self.send_response(416)
                    self.send_header("Content-Range", f"bytes */{len(whole)}")
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                self.send_response(206)
                shown = 0 if state.wrong_range else start
                self.send_header("Content-Range", f"bytes {shown}-{len(whole) - 1}/{len(whole)}")
            else:
                self.send_response(200)
            body = whole[start:]
            if state.announce:
                self.send_header("Content-Length", str(len(body)))
            if state.tag:
                self.send_header("ETag", state.tag)
            self.end_headers()
            cut = state.cut_after.pop(0) if state.cut_after else None
            self.wfile.write(body if cut is None else body[:cut])
            self.close_connection = True

        def log_message(self, *arguments: object) -> None:
            pass

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{running.server_address[1]}/weights.bin"
    yield state
    running.shutdown()
    running.server_close()
    thread.join()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "weights.bin"


def leftovers(target: Path) -> list[str]:
    return sorted(p.name for p in target.parent.iterdir() if p != target)


def test_plain(server: Server, target: Path) -> None:
    done = download(server.url, target, sha256=SHA256)
    assert target.read_bytes() == CONTENT
    assert (done.sha256, done.size, done.resumed_from) == (SHA256, len(CONTENT), 0)
    assert leftovers(target) == []


def test_a_cut_transfer_goes_on_where_it_stopped(server: Server, target: Path) -> None:
    server.cut_after = [300_000, 200_000]
    download(server.url, target, sha256=SHA256)
    assert target.read_bytes() == CONTENT
    assert server.asked == ["", "bytes=300000-", "bytes=500000-"]


def test_an_interrupted_run_is_resumed_by_the_next(server: Server, target: Path) -> None:
    server.cut_after = [100_000, 0]
    with pytest.raises(AssetMissingError, match="100000 of 1024000 bytes"):
        download(server.url, target, sha256=SHA256)
    assert not target.exists()
    server.asked.clear()
    done = download(server.url, target, sha256=SHA256)
    assert server.asked == ["bytes=100000-"]
    assert done.resumed_from == 100_000
    assert target.read_bytes() == CONTENT


def test_a_changed_file_is_fetched_anew(server: Server, target: Path) -> None:
    server.cut_after = [100_000, 0]
    with pytest.raises(AssetMissingError):
        download(server.url, target)
    server.content, server.tag = b"new" * 50_000, '"v2"'
    assert download(server.url, target).size == 150_000
    assert target.read_bytes() == server.content


@pytest.mark.parametrize("tag", ["", 'W/"weak"'])
def test_without_a_strong_tag_nothing_is_resumed(server: Server, target: Path, tag: str) -> None:
    server.tag, server.cut_after = tag, [100_000]
    download(server.url, target, sha256=SHA256)
    assert server.asked == ["", ""]
    assert target.read_bytes() == CONTENT


def test_a_server_without_ranges(server: Server, target: Path) -> None:
    server.ranges, server.cut_after = False, [100_000]
    download(server.url, target, sha256=SHA256)
    assert target.read_bytes() == CONTENT


def test_a_part_that_was_already_complete(server: Server, target: Path) -> None:
    server.cut_after = [100_000, 0]
    with pytest.raises(AssetMissingError):
        download(server.url, target)
    target.with_name("weights.bin.part").write_bytes(CONTENT)  # everything had arrived when the machine went down
    assert download(server.url, target, sha256=SHA256).sha256 == SHA256


def test_a_part_longer_than_the_file(server: Server, target: Path) -> None:
    server.cut_after = [100_000, 0]
    with pytest.raises(AssetMissingError):
        download(server.url, target)
    target.with_name("weights.bin.part").write_bytes(CONTENT + b"more")
    download(server.url, target, sha256=SHA256)
    assert target.read_bytes() == CONTENT


def test_a_wrong_range_is_not_glued_on(server: Server, target: Path) -> None:
    server.cut_after, server.wrong_range = [100_000], True
    download(server.url, target, sha256=SHA256)
    assert target.read_bytes() == CONTENT


def test_corruption_is_refused_and_nothing_is_kept(server: Server, target: Path) -> None:
    server.content = CONTENT[:-1] + b"!"
    with pytest.raises(BadInputError, match="expected"):
        download(server.url, target, sha256=SHA256)
    assert not target.exists()
    assert leftovers(target) == []


def test_corruption_in_a_part_is_found_by_the_hash(server: Server, target: Path) -> None:
    server.cut_after = [100_000, 0]
    with pytest.raises(AssetMissingError):
        download(server.url, target, sha256=SHA256)
    part = target.with_name("weights.bin.part")
    part.write_bytes(b"x" + part.read_bytes()[1:])
    with pytest.raises(BadInputError):
        download(server.url, target, sha256=SHA256)
    assert not target.exists()
    download(server.url, target, sha256=SHA256)  # and the next run starts clean
    assert target.read_bytes() == CONTENT


def test_an_old_file_stays_until_the_new_one_is_whole(server: Server, target: Path) -> None:
    target.parent.mkdir()
    target.write_bytes(b"old")
    server.content = b"broken"
    with pytest.raises(BadInputError):
        download(server.url, target, sha256=SHA256)
    assert target.read_bytes() == b"old"


def test_too_much_is_stopped(server: Server, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 500_000)
    with pytest.raises(BadInputError, match="announces"):
        download(server.url, target)
    server.announce = False
    with pytest.raises(BadInputError, match="more than"):
        download(server.url, target)
    assert not target.exists()


@pytest.mark.parametrize("status", [404, 403, 500])
def test_refusals_are_sentences(server: Server, target: Path, status: int) -> None:
    server.status = status
    with pytest.raises(AssetMissingError, match=f"answers {status}"):
        download(server.url, target)
    assert len(server.asked) == 1


def test_no_server(target: Path) -> None:
    notes: list[str] = []

    class Listening(SilentProgress):
        def note(self, message: str) -> None:
            notes.append(message)

    with pytest.raises(AssetMissingError, match=r"127\.0\.0\.1 cannot be reached"):
        download("http://127.0.0.1:9/weights.bin", target, progress=Listening())
    assert notes == []  # nothing arrived, so nothing is tried again


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1/x", "weights.bin"])
def test_other_schemes_are_refused(url: str, target: Path) -> None:
    with pytest.raises(BadInputError, match="no http"):
        download(url, target)
