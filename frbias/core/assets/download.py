"""Downloads that survive interruptions: resumed where they stopped, checked, placed whole or not at all.

The server is not believed: bytes are kept as they arrive and as they come (nothing is unpacked on the way), its words
are shown without control characters, and a part is gone on with only when the server says that it is the same file.
"""

import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import requests
import urllib3

from frbias.core.foundation.errors import AssetMissingError, BadInputError
from frbias.core.foundation.files import make_folder, read_json, sha256_file, write_json
from frbias.core.foundation.progress import SILENT, Progress

MAX_BYTES = 16 * 1024**3
_CHUNK = 256 * 1024
_CONNECT, _SILENCE = 15.0, 60.0  # seconds to wait for a connection, and for the next byte
_FEWEST = 6_000  # bytes that have to come in ``_SILENCE`` seconds
_ATTEMPTS = 4
_HOPS = 10
_REDIRECTS = (301, 302, 303, 307, 308)


@dataclass(frozen=True)
class Download:
    """A finished download.

    Attributes:
        path: The file.
        sha256: Hexadecimal SHA-256 of its content.
        size: Bytes.
        resumed_from: Bytes that an earlier, interrupted run had fetched already.
    """

    path: Path
    sha256: str
    size: int
    resumed_from: int


class _StartAnew(requests.ConnectionError):
    """What is on disk is of no use; the next attempt begins at the first byte."""


class _TimeUp(requests.Timeout):
    """The time that was given is over."""


@dataclass
class _Part:
    """An unfinished download: ``<name>.part`` and, beside it, what the server said it is."""

    path: Path
    url: str

    @property
    def note(self) -> Path:
        return self.path.with_name(self.path.name + ".json")

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return self.path.stat().st_size if self.path.exists() else 0

    def size_and_tag(self) -> tuple[int, str]:
        """Bytes present and the server's tag of that content; nothing when it cannot be gone on with."""
        try:
            noted = read_json(self.note)
            if noted["url"] == self.url and noted["tag"]:
                return self.path.stat().st_size, str(noted["tag"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            pass
        return 0, ""

    def begin(self, tag: str) -> None:
        """Start at the first byte of the content that ``tag`` names; what there was goes first."""
        self.remove()
        write_json(self.note, {"url": self.url, "tag": tag})

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)


def download(
    url: str, target: Path, *, sha256: str = "", time_limit: float = 0.0, progress: Progress = SILENT
) -> Download:
    """Fetch ``url`` to ``target``.

    An interrupted transfer leaves ``<target>.part`` and is resumed by the next call when the server
    still has the same file (HTTP ``Range`` with ``If-Range``); otherwise it starts anew. ``target``
    appears only when every byte has arrived and, where ``sha256`` is given, its hash is right.

    Args:
        url: An http or https address.
        target: The file.
        sha256: What the content has to hash to; empty when nobody knows.
        time_limit: Seconds that all of it may take; 0 for no limit.
        progress: Where to report.

    Raises:
        AssetMissingError: The server cannot be reached, refuses, stops too early again and again, sends next to
            nothing for a minute, or the time is over. What arrived is kept.
        BadInputError: The content is not what was announced; nothing is kept of it.
    """
    if urlsplit(url).scheme not in ("http", "https"):
        raise BadInputError(f"{url} is no http or https address.")
    target = Path(target)
    make_folder(target.parent)
    part = _Part(target.with_name(target.name + ".part"), url)
    resumed_from = part.size_and_tag()[0]
    until = time.monotonic() + time_limit if time_limit else None
    for attempt in range(_ATTEMPTS):
        before = part.size
        try:
            _transfer(part, progress, until)
            break
        except requests.RequestException as error:
            hopeless = isinstance(error, requests.HTTPError | _TimeUp) or part.size == before
            if attempt == _ATTEMPTS - 1 or (hopeless and not isinstance(error, _StartAnew)):
                raise AssetMissingError(
                    f"{url} could not be downloaded: {_reason(error)}.",
                    hint="Run the command again to go on where it stopped, or download it with a browser and add the file.",
                ) from error
            progress.note(f"the transfer stopped ({_reason(error)}); going on")
    found = sha256_file(part.path)
    if sha256 and found != sha256:
        part.remove()
        raise BadInputError(
            f"{url} gave a file with SHA-256 {found}, expected {sha256}; it was deleted and nothing was installed. "
            "Either the transfer was corrupted (try again) or the publisher has changed the file."
        )
    size = part.path.stat().st_size
    part.path.replace(target)
    part.note.unlink(missing_ok=True)
    return Download(target, found, size, min(resumed_from, size))


def _transfer(part: _Part, progress: Progress, until: float | None) -> None:
    have, tag = part.size_and_tag()
    headers = {"Accept-Encoding": "identity", "User-Agent": "frbias"}
    if have:
        headers |= {"Range": f"bytes={have}-", "If-Range": tag}
    with _answer(part.url, headers, progress, until) as answer:
        if answer.status_code == 416 and have:
            if answer.headers.get("Content-Range") == f"bytes */{have}":
                return  # every byte is there already
            part.remove()
            raise _StartAnew("the server's file is shorter than the part on disk")
        if answer.status_code not in (200, 206):
            raise requests.HTTPError(response=answer)
        continued = answer.status_code == 206
        if continued and (problem := _misfit(answer, have, tag)):
            part.remove()
            raise _StartAnew(problem)
        start = have if continued else 0
        total = _total(answer, start)
        if total is not None and total > MAX_BYTES:
            raise BadInputError(f"{part.url} announces {total} bytes; at most {MAX_BYTES} are fetched.")
        if not continued:
            part.begin(_tag(answer))
        with (
            part.path.open("ab") as stream,
            progress.task(f"downloading {part.path.stem}", total) as advance,
        ):
            advance(start)
            try:
                received = start + _receive(answer, stream.write, advance, MAX_BYTES - start, until)
            finally:
                stream.flush()
                os.fsync(stream.fileno())
    if total is not None and received != total:
        if received > total:
            part.remove()
        raise requests.ConnectionError(f"{received} of {total} bytes arrived")


def _answer(url: str, headers: dict[str, str], progress: Progress, until: float | None) -> requests.Response:
    """The last answer of a chain of redirects; other hosts are named, and nothing leaves https.

    Raises:
        BadInputError: It leads from https to something else.
    """
    with requests.Session() as session:
        for _ in range(_HOPS):
            wait = (min(_CONNECT, _left(until)), min(_SILENCE, _left(until)))
            answer = _asked(session, url, headers, wait)
            place = answer.headers.get("Location")
            if answer.status_code not in _REDIRECTS or not place:
                return answer
            answer.close()
            before = urlsplit(url)
            try:
                url = urljoin(url, place)
                after = urlsplit(url)
            except ValueError:
                raise requests.exceptions.InvalidURL(f"the server sends the download on to {place}") from None
            if after.scheme != "https" and (before.scheme, after.scheme) != ("http", "http"):
                raise BadInputError(
                    f"{before.hostname} sends the download on to {_plain(url)}, which is not secure; it was not followed."
                )
            if after.hostname != before.hostname:
                progress.note(f"{before.hostname} sends the download on to {_plain(str(after.hostname))}.")
    raise requests.TooManyRedirects(f"the server sends the download on more than {_HOPS} times")


def _asked(
    session: requests.Session, url: str, headers: dict[str, str], wait: tuple[float, float]
) -> requests.Response:
    """One answer, of which nothing but the head is read."""
    try:
        request = session.prepare_request(requests.Request("GET", url, headers=headers))
        settings = session.merge_environment_settings(url, {}, True, None, None)
        return session.get_adapter(url).send(request, timeout=wait, **settings)
    except requests.RequestException:
        raise
    except (ValueError, urllib3.exceptions.HTTPError) as error:
        raise requests.exceptions.InvalidURL(str(error)) from error


def _misfit(answer: requests.Response, have: int, tag: str) -> str:
    """Why a partial answer does not go on with the part on disk; empty when it does."""
    found = re.fullmatch(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)", answer.headers.get("Content-Range", ""))
    if not have or found is None or int(found[1]) != have or found[3] not in ("*", str(int(found[2]) + 1)):
        return "the server sent another range than asked for"
    named = answer.headers.get("ETag", "")
    if named != tag and (named or tag.startswith('"')):  # with a date as tag, the server need not repeat it
        return "the server has another file now"
    return ""


def _receive(
    answer: requests.Response,
    write: Callable[[bytes], object],
    advance: Callable[[int], None],
    left: int,
    until: float | None,
) -> int:
    answer.raw.enforce_content_length = False  # what arrived before a cut is kept; the count is checked by the caller
    received, counted, since = 0, 0, time.monotonic()
    while True:
        try:
            chunk = answer.raw.read1(_CHUNK, decode_content=False)
        except urllib3.exceptions.TimeoutError as error:
            raise requests.Timeout(str(error)) from error
        except urllib3.exceptions.HTTPError as error:
            raise requests.ConnectionError(str(error)) from error
        if not chunk:
            return received
        received += len(chunk)
        if received > left:
            raise BadInputError(f"{answer.url} sends more than {MAX_BYTES} bytes; the download was stopped.")
        write(chunk)
        advance(len(chunk))
        _left(until)
        now = time.monotonic()
        if now - since >= _SILENCE:
            if received - counted < _FEWEST:
                raise requests.ConnectionError(f"only {received - counted} bytes came in {now - since:.0f} seconds")
            counted, since = received, now


def _left(until: float | None) -> float:
    """Seconds that are left.

    Raises:
        _TimeUp: None are.
    """
    if until is None:
        return float("inf")
    left = until - time.monotonic()
    if left <= 0:
        raise _TimeUp
    return left


def _total(answer: requests.Response, start: int) -> int | None:
    length = answer.headers.get("Content-Length", "")
    return start + int(length) if length.isascii() and length.isdigit() and len(length) < 20 else None


def _tag(answer: requests.Response) -> str:
    """A strong validator of the content, or nothing: weak ones do not allow resuming (RFC 9110, 13.1.5)."""
    tag = answer.headers.get("ETag", "")
    return tag if tag and not tag.startswith("W/") else answer.headers.get("Last-Modified", "")


def _reason(error: requests.RequestException) -> str:
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"the server answers {error.response.status_code} {_plain(str(error.response.reason or ''))}".rstrip()
    if isinstance(error, _TimeUp):
        return "the time that it may take is over"
    if isinstance(error, requests.Timeout):
        return "the server does not answer in time"
    text = str(error)
    if "resolve" in text or "NewConnectionError" in text or "Max retries" in text:
        address = str(error.request.url) if error.request is not None else ""
        return f"{urlsplit(address).hostname or 'the server'} cannot be reached"
    return _plain(text) if text else type(error).__name__


def _plain(text: str) -> str:
    """Words of a server as one line of printable characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:160]
