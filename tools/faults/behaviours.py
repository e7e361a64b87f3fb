"""What slow and lying servers do, each as bytes and pauses on a connection that has asked for a file.

A behaviour gets the connection and the head of the request. ``CONTENT`` is the file; ``OTHER`` is another one. In
:data:`BEHAVIOURS` a name that begins with ``other:`` marks a well-formed answer with other content, which only a known
hash can tell.
"""

import contextlib
import gzip
import re
import socket
import struct
import time
from collections.abc import Callable

CONTENT = bytes(range(256)) * 800
OTHER = CONTENT[::-1]
HALF = len(CONTENT) // 2
TAG = b'"v1"'
Behaviour = Callable[[socket.socket, bytes], None]


def good(connection: socket.socket, asked: bytes) -> None:
    """The file, or the part of it that is asked for."""
    start = _start(asked)
    if start is not None and TAG in asked:
        if start >= len(CONTENT):
            connection.sendall(_head(b"416 No", b"Content-Range: bytes */%d" % len(CONTENT), b"Content-Length: 0"))
            return
        span = b"Content-Range: bytes %d-%d/%d" % (start, len(CONTENT) - 1, len(CONTENT))
        rest = CONTENT[start:]
        connection.sendall(_head(b"206 Part", span, b"ETag: " + TAG, b"Content-Length: %d" % len(rest)) + rest)
        return
    connection.sendall(_head(b"200 OK", b"ETag: " + TAG, b"Content-Length: %d" % len(CONTENT)) + CONTENT)


def _start(asked: bytes) -> int | None:
    found = re.search(rb"[Rr]ange: bytes=(\d+)-", asked)
    return int(found[1]) if found else None


def _head(status: bytes, *lines: bytes) -> bytes:
    return b"\r\n".join([b"HTTP/1.1 " + status, *lines, b"Connection: close", b"", b""])


def _says(status: bytes, *lines: bytes, body: bytes = b"") -> Behaviour:
    def behave(connection: socket.socket, asked: bytes) -> None:
        connection.sendall(_head(status, *lines) + body)

    return behave


def _raw(data: bytes) -> Behaviour:
    def behave(connection: socket.socket, asked: bytes) -> None:
        connection.sendall(data)

    return behave


def _cut(after: int, how: str) -> Behaviour:
    """Part of the file, then the end: closed, reset or silent."""

    def behave(connection: socket.socket, asked: bytes) -> None:
        connection.sendall(_head(b"200 OK", b"ETag: " + TAG, b"Content-Length: %d" % len(CONTENT)) + CONTENT[:after])
        if how == "silent":
            time.sleep(8)
        elif how == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return behave


def _drip(piece: int, pause: float, head: bool = False) -> Behaviour:
    def behave(connection: socket.socket, asked: bytes) -> None:
        whole = _head(b"200 OK", b"ETag: " + TAG, b"Content-Length: %d" % len(CONTENT))
        if not head:
            connection.sendall(whole)
        rest = whole if head else CONTENT
        with contextlib.suppress(OSError):
            for start in range(0, min(len(rest), piece * 80), piece):
                connection.sendall(rest[start : start + piece])
                time.sleep(pause)

    return behave


def _endless(data: bytes, before: bytes = b"") -> Behaviour:
    def behave(connection: socket.socket, asked: bytes) -> None:
        connection.sendall(before)
        until = time.monotonic() + 6
        with contextlib.suppress(OSError):
            while time.monotonic() < until:
                connection.sendall(data)

    return behave


def _ranged(first: int, total: int, *lines: bytes, body: bytes = CONTENT) -> Behaviour:
    """A partial answer, whatever was asked for."""
    span = b"Content-Range: bytes %d-%d/%d" % (first, total - 1, total)
    rest = body[first:] if first >= 0 else body
    return _says(b"206 Part", span, *lines, b"Content-Length: %d" % len(rest), body=rest)


def _chunked(*parts: bytes) -> Behaviour:
    return _says(b"200 OK", b"Transfer-Encoding: chunked", body=b"".join(parts))


def _whole(*lines: bytes, body: bytes = CONTENT) -> Behaviour:
    return _says(b"200 OK", *lines, body=body)


_LENGTH = b"Content-Length: %d" % len(CONTENT)
_TAGGED = b"ETag: " + TAG
_PART = b"%x\r\n" % HALF + CONTENT[:HALF] + b"\r\n"
_LEAVING = (
    b"file:///etc/passwd",
    b"ftp://127.0.0.1/x",
    b"gopher://127.0.0.1/",
    b"//",
    b"http://[",
    b"http://127.0.0.1:1/",
)
_FAILURES = (
    400,
    401,
    402,
    403,
    404,
    405,
    406,
    408,
    410,
    418,
    421,
    425,
    429,
    451,
    500,
    501,
    502,
    503,
    504,
    507,
    511,
    599,
)

BEHAVIOURS: dict[str, Behaviour] = {
    **{f"answers {code}": _says(b"%d No" % code, b"Content-Length: 3", body=b"no\n") for code in _FAILURES},
    **{f"cut after {n} bytes, {how}": _cut(n, how) for n in (0, 1, HALF, len(CONTENT) - 1) for how in ("closed", "reset")},
    **{f"silent after {n} bytes": _cut(n, "silent") for n in (0, HALF)},
    **{f"sends on to {place.decode()}": _says(b"302 On", b"Location: " + place) for place in _LEAVING},
    **{f"length {n.decode()[:24]!r}": _whole(b"Content-Length: " + n, _TAGGED) for n in (
        b"%d" % (len(CONTENT) + 1), b"-1", b"x", b"9" * 30, b"99999999999999", b"1, 2", b"0x10",
    )},
    "two lengths": _whole(_LENGTH, b"Content-Length: 5"),
    "no length, cut": _whole(_TAGGED),
    "other: another file": _whole(_LENGTH, _TAGGED, body=OTHER),
    "other: a page to log in": _whole(b"Content-Type: text/html", b"Content-Length: 13", body=b"<html></html>"),
    "other: nothing": _whole(b"Content-Length: 0", body=b""),
    "other: 204": _says(b"204 Empty"),
    "other: a length one too short": _whole(b"Content-Length: %d" % (len(CONTENT) - 1), _TAGGED),
    "other: packed though nobody asked": _whole(b"Content-Encoding: gzip", b"Content-Length: %d" % len(gzip.compress(CONTENT)), body=gzip.compress(CONTENT)),
    "says packed and is not": _whole(b"Content-Encoding: gzip", _LENGTH),
    "packed a thousand times over": _whole(b"Content-Encoding: " + b"gzip, " * 1000 + b"gzip", _LENGTH),
    "a part nobody asked for": _ranged(10, len(CONTENT), _TAGGED),
    "a part from the first byte": _ranged(0, len(CONTENT), _TAGGED),
    "a part of another file": _ranged(HALF, len(CONTENT), b'ETag: "v2"', body=OTHER),
    "a part without a range": _says(b"206 Part", _LENGTH, body=CONTENT),
    "a part with a range of text": _says(b"206 Part", b"Content-Range: bytes a-b/c", _LENGTH, body=CONTENT),
    "416 at once": _says(b"416 No", b"Content-Range: bytes */0", b"Content-Length: 0"),
    "sends on in a circle": _says(b"302 On", b"Location: /again"),
    "sends on without a place": _says(b"302 On", b"Content-Length: 0"),
    "sends on with control characters": _says(b"302 On", b"Location: /\x1b[2J\x07"),
    "a reason with control characters": _says(b"503 \x1b[2J\x1b]0;x\x07\xff\xfe", b"Content-Length: 0"),
    "a reason of a megabyte": _says(b"500 " + b"x" * 1_000_000),
    "a head of a megabyte": _whole(b"X: " + b"x" * 1_000_000, _LENGTH),
    "ten thousand lines of head": _whole(*[b"X-%d: y" % k for k in range(10_000)], _LENGTH),
    "a head without end": _endless(b"X: yyyyyyyyyyyyyyyy\r\n", b"HTTP/1.1 200 OK\r\n"),
    "a line without end": _endless(b"x" * 65536, b"HTTP/1.1 200 "),
    "other: a body without end": _endless(b"x" * 65536, _head(b"200 OK", _LENGTH)),
    "chunks without end": _endless(b"10\r\nxxxxxxxxxxxxxxxx\r\n", _head(b"200 OK", b"Transfer-Encoding: chunked")),
    "chunks cut": _chunked(_PART),
    "chunks of no number": _chunked(b"zz\r\n" + CONTENT),
    "a chunk of a negative size": _chunked(b"-5\r\n" + CONTENT),
    "a chunk of an enormous size": _chunked(b"f" * 40 + b"\r\n" + CONTENT),
    "both chunks and length": _says(b"200 OK", b"Transfer-Encoding: chunked", _LENGTH, body=_PART),
    "one byte at a time": _drip(1, 0.1),
    "a head one byte at a time": _drip(1, 0.1, head=True),
    "no answer": _raw(b""),
    "no HTTP": _raw(b"SSH-2.0-OpenSSH_9.0\r\n"),
    "TLS": _raw(b"\x15\x03\x01\x00\x02\x02\x28"),
    "HTTP/0.9": _raw(CONTENT),
    "HTTP/9.9": _raw(b"HTTP/9.9 200 OK\r\n\r\n" + CONTENT),
    "status of text": _raw(b"HTTP/1.1 abc OK\r\n\r\n" + CONTENT),
    "status 99999": _raw(b"HTTP/1.1 99999 OK\r\n\r\n" + CONTENT),
    "continue without end": _endless(b"HTTP/1.1 100 Continue\r\n\r\n"),
    "zeros": _raw(b"\0" * 100_000),
    "other: a head line without a colon": _raw(b"HTTP/1.1 200 OK\r\nnonsense\r\nContent-Length: 5\r\n\r\nabcde"),
}  # fmt: skip
