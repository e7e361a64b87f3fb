"""Hand-made pickles for the tests of the restricted readers."""

import io
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

MAGIC = (0x1950A86A20F9469CFC6C).to_bytes(10, "little")


class Reduces:
    """Pickles as a call of ``function(*args)``, with an optional state."""

    def __init__(self, function: Any, *args: Any, state: Any = None) -> None:
        self.answer = (function, args) if state is None else (function, args, state)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.answer


class Canary:
    """A command and expressions that leave a file behind when they run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.command = f"touch {path}"
        self.code = f"open({str(path)!r}, 'w').close()"


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def glob(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def stack_global(module: str, name: str) -> bytes:
    return text(module) + text(name) + b"\x93"


def persistent(state: bytes, extra: bytes = b"") -> bytes:
    """A dictionary {"G_ema": persistent object with ``state``}."""
    meta = (
        b"("
        + text("type")
        + text("class")
        + text("version")
        + b"K\x06"
        + text("module_src")
        + text("raise SystemExit(1)")
    )
    meta += text("class_name") + text("Generator") + text("state") + state + extra + b"d"
    call = glob("torch_utils.persistence", "_reconstruct_persistent_obj") + meta + b"\x85R"
    return b"\x80\x04(" + text("G_ema") + call + b"d."


def storage(described: bytes, numel: int = 1, data: bytes = b"\0\0\0\0") -> bytes:
    """A legacy storage stream whose description is ``described``."""
    head = b"\x80\x02\x8a\x0a" + MAGIC + b"." + b"\x80\x02M\xe9\x03."
    system = b"\x80\x02(" + text("little_endian") + b"\x88" + text("protocol_version") + b"M\xe9\x03d."
    return (
        head
        + system
        + b"\x80\x02"
        + described
        + b"."
        + b"\x80\x02("
        + text("0")
        + b"l."
        + struct.pack("<q", numel)
        + data
    )


def in_storage(stream: bytes) -> bytes:
    call = glob("torch.storage", "_load_from_bytes") + b"B" + struct.pack("<I", len(stream)) + stream + b"\x85R"
    return persistent(b"(" + text("x") + call + b"d")


def float_storage(numel: int) -> bytes:
    return (
        b"("
        + text("storage")
        + glob("torch", "FloatStorage")
        + text("0")
        + text("cpu")
        + b"J"
        + struct.pack("<i", numel)
        + b"NtQ"
    )


def integers(values: list[int]) -> bytes:
    return b"(" + b"".join(b"J" + struct.pack("<i", value) for value in values) + b"t"


def tensor(size: list[int], stride: list[int], offset: int = 0) -> bytes:
    """A tensor over a storage of one float."""
    stream = storage(float_storage(1))
    call = glob("torch.storage", "_load_from_bytes") + b"B" + struct.pack("<I", len(stream)) + stream + b"\x85R"
    body = b"J" + struct.pack("<i", offset) + integers(size) + integers(stride) + b"\x89" + b"}"
    return persistent(b"(" + text("x") + glob("torch._utils", "_rebuild_tensor_v2") + b"(" + call + body + b"tRd")


def dumped(make: Callable[[Canary], Any], protocol: int) -> Callable[[Canary], bytes]:
    return lambda canary: pickle.dumps({"G_ema": make(canary)}, protocol=protocol)


def zipped(
    structure: bytes, records: dict[str, bytes] | None = None, *, compression: int = zipfile.ZIP_STORED
) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        archive.writestr("archive/data.pkl", structure)
        for name, data in (records or {"0": b"\0" * 4}).items():
            archive.writestr(f"archive/data/{name}", data)
        archive.writestr("archive/version", b"3\n")
    return out.getvalue()


def zip_storage(numel: int, key: str = "0") -> bytes:
    return (
        b"("
        + text("storage")
        + glob("torch", "FloatStorage")
        + text(key)
        + text("cpu")
        + b"J"
        + struct.pack("<i", numel)
        + b"tQ"
    )


def dex_state() -> dict[str, torch.Tensor]:
    """A state dict with the names of the DEX age classifier, small."""
    torch.manual_seed(2)
    state = {f"{layer}.weight": torch.randn(4, 4, 3, 3) for layer in ("conv1_1", "conv5_3")}
    state |= {f"{layer}.weight": torch.randn(6, 5) for layer in ("fc6", "fc7")}
    return {**state, "fc8-101.weight": torch.randn(101, 6), "fc8-101.bias": torch.randn(101)}
