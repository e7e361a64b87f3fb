"""Downloads that survive interruptions: resumed where they stopped, checked, placed whole or not at all."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import requests

from frbias.core.foundation.errors import AssetMissingError, BadInputError
from frbias.core.foundation.files import read_json, sha256_file, write_json
from frbias.core.foundation.progress import SILENT, Progress

MAX_BYTES = 16 * 1024**3
_CHUNK = 256 * 1024
_TIMEOUT = (15.0, 60.0)
_ATTEMPTS = 4


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
        except (OSError, ValueError, KeyError, TypeError):
            pass
        return 0, ""

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)


def download(url: str, target: Path, *, sha256: str = "", progress: Progress = SILENT) -> Download:
    """Fetch ``url`` to ``target``.

    An interrupted transfer leaves ``<target>.part`` and is resumed by the next call when the server
    still has the same file (HTTP ``Range`` with ``If-Range``); otherwise it starts anew. ``target``
    appears only when every byte has arrived and, where ``sha256`` is given, its hash is right.

    Raises:
        AssetMissingError: The server cannot be reached, refuses, or stops too early again and again.
        BadInputError: The content is not what was announced; nothing is kept of it.
    """
    if urlsplit(url).scheme not in ("http", "https"):
        raise BadInputError(f"{url} is no http or https address.")
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = _Part(target.with_name(target.name + ".part"), url)
    resumed_from = part.size_and_tag()[0]
    for attempt in range(_ATTEMPTS):
        before = part.size
        try:
            _transfer(part, progress)
            break
        except requests.RequestException as error:
            hopeless = isinstance(error, requests.HTTPError) or part.size == before
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


def _transfer(part: _Part, progress: Progress) -> None:
    have, tag = part.size_and_tag()
    headers = {"Accept-Encoding": "identity", "User-Agent": "frbias"}
    if have:
        headers |= {"Range": f"bytes={have}-", "If-Range": tag}
    with requests.get(part.url, headers=headers, stream=True, timeout=_TIMEOUT) as answer:
        if answer.status_code == 416:
            if answer.headers.get("Content-Range") == f"bytes */{have}":
                return  # every byte is there already
            part.remove()
            raise _StartAnew("the server's file is shorter than the part on disk")
        answer.raise_for_status()
        continued = answer.status_code == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        if answer.status_code == 206 and not continued:
            part.remove()
            raise _StartAnew("the server sent another range than asked for")
        start = have if continued else 0
        total = _total(answer, start)
        if total is not None and total > MAX_BYTES:
            raise BadInputError(f"{part.url} announces {total} bytes; at most {MAX_BYTES} are fetched.")
        write_json(part.note, {"url": part.url, "tag": _tag(answer)})
        with (
            part.path.open("ab" if continued else "wb") as stream,
            progress.task(f"downloading {part.path.stem}", total) as advance,
        ):
            advance(start)
            received = start + _receive(answer, stream.write, advance, MAX_BYTES - start)
            stream.flush()
            os.fsync(stream.fileno())
    if total is not None and received != total:
        if received > total:
            part.remove()
        raise requests.ConnectionError(f"{received} of {total} bytes arrived")


def _receive(
    answer: requests.Response, write: Callable[[bytes], object], advance: Callable[[int], None], left: int
) -> int:
    answer.raw.enforce_content_length = False  # what arrived before a cut is kept; the count is checked by the caller
    received = 0
    for chunk in answer.iter_content(_CHUNK):
        received += len(chunk)
        if received > left:
            raise BadInputError(f"{answer.url} sends more than {MAX_BYTES} bytes; the download was stopped.")
        write(chunk)
        advance(len(chunk))
    return received


def _total(answer: requests.Response, start: int) -> int | None:
    length = answer.headers.get("Content-Length", "")
    return start + int(length) if length.isdigit() else None


def _tag(answer: requests.Response) -> str:
    """A strong validator of the content, or nothing: weak ones do not allow resuming (RFC 9110, 13.1.5)."""
    tag = answer.headers.get("ETag", "")
    return tag if tag and not tag.startswith("W/") else answer.headers.get("Last-Modified", "")


def _reason(error: requests.RequestException) -> str:
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"the server answers {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.Timeout):
        return "the server does not answer in time"
    text = str(error)
    if "resolve" in text or "NewConnectionError" in text or "Max retries" in text:
        address = str(error.request.url) if error.request is not None else ""
        return f"{urlsplit(address).hostname or 'the server'} cannot be reached"
    return text.splitlines()[0][:160] if text else type(error).__name__
