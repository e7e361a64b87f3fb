"""Campaign: hostile weight files. Each is refused with a sentence or holds nothing but weights; nothing runs, nothing grows.

A file is added as a model in a child process. Lost is: a file that a payload leaves behind, anything written outside of
the data root, an end without a sentence, more than 1.5 GB of memory, more than a minute.
"""

import io
import json
import os
import random
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from faults.images import mutate
from faults.killing import no_sentence, run_command, tree
from faults.place import Place
from faults.table import Outcome

_MOST_MEMORY, _MOST_SECONDS = 1_500 * 1024, 60.0
_GLOBALS = (
    *("os system", "posix system", "nt system", "subprocess Popen", "subprocess check_output", "builtins eval"),
    *("builtins exec", "builtins __import__", "builtins getattr", "builtins open", "builtins compile", "shutil rmtree"),
    *("runpy run_path", "importlib import_module", "pickle loads", "torch load", "torch.hub load", "numpy load"),
    *("torch.serialization load", "operator attrgetter", "functools partial", "types FunctionType", "code interact"),
    *("timeit timeit", "cProfile run", "pty spawn", "webbrowser open", "ctypes CDLL", "socket socket", "os.path join"),
    *("numpy.f2py.crackfortran getlincoef", "torch._utils_internal foo", "collections OrderedDict.__class__"),
    *("torch.jit.unsupported_tensor_ops execWrapper", "torch.utils.cpp_extension load", "sys exit", "os fork"),
)
Hostile = tuple[str, str, bytes]  # what it is, name of the file, content


def run_weights(place: Place, seed: int, count: int) -> Outcome:
    """Add ``count`` hostile files, one after the other."""
    outcome = Outcome("hostile weights")
    chance = random.Random(seed)
    canary = place.root / "canary"
    every = list(corpus(canary, place, chance))
    while len(every) < count:
        every.append(_mutant(every, place, chance))
    for what, name, data in every[:count]:
        loss, grown = _loss(place, name, data, canary)
        outcome = outcome.plus(what, loss, grown)
        if outcome.lost:
            break
    return outcome


def _loss(place: Place, name: str, data: bytes, canary: Path) -> tuple[str, int]:
    """What was lost, and KiB that the command took beyond what it began with."""
    work = place.fresh()
    (work / name).write_bytes(data)
    before = tree(work, ("home",))
    arguments = ("models", "add", "hostile", name)
    ended = run_command(arguments, work, environment=place.environment(), limit=_MOST_SECONDS)
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024
    grown = ended.peak - resident
    strangers = {path.name for path in (work / "home" / "models").glob("*")} - {"hostile"}
    loss = no_sentence(ended) if ended.code else ""
    if canary.exists():
        canary.unlink()
        loss = "its payload ran"
    elif tree(work, ("home",)) != before or (place.root / "tmp" / "x").exists():
        loss = "something was written outside of the data root"
    elif strangers:
        loss = f"{strangers.pop()} was left in the data root"
    elif grown > _MOST_MEMORY:
        loss = f"it took {grown // 1024} MiB"
    return loss, grown


def corpus(canary: Path, place: Place, chance: random.Random) -> Iterator[Hostile]:
    """Files made to do harm, of every format."""
    yield from _pickles(canary)
    yield from _safetensors()
    yield from _archives(canary)
    for name in ("small.safetensors", "tiny.onnx"):
        data = Path(place.inputs[name]).read_bytes()
        for share in (0.0, 0.001, 0.01, 0.1, 0.5, 0.9, 0.999):
            yield f"{name} cut at {share:.1%}", name, data[: int(len(data) * share)]
        yield f"{name} twice", name, data + data
        yield f"{name} under another suffix", f"{name}.pth", data


def _pickles(canary: Path) -> Iterator[Hostile]:
    """Calls of what must not be called, by every opcode that calls, in every container."""
    command = f"touch {canary}"
    for number, path in enumerate(_GLOBALS):
        module, name = path.split(" ")
        ways = list(_calls(module, name, command).items())
        for opcode, stream in (ways[number % len(ways)], ways[(number + 2) % len(ways)]):
            yield f"{path} by {opcode}, bare", "weights.pkl", b"\x80\x04" + stream + b"."
            torch_zip = _zip({"archive/data.pkl": b"\x80\x02}" + _text("x") + stream + b"s.", "archive/version": b"3"})
            yield f"{path} by {opcode}, torch", "weights.pth", torch_zip
    for depth in (50, 5_000, 500_000):
        yield f"lists {depth} deep", "weights.pkl", b"\x80\x04" + b"(" * depth + b"l" * depth + b"."
        yield f"tuples {depth} deep", "weights.pkl", b"\x80\x04)" + b"\x85" * depth + b"."
    doubling = b"\x80\x04]" + b"\x94" + b"".join(b"(h\x00h\x00l\x94" for _ in range(60)) + b"."
    yield "lists that double", "weights.pkl", doubling
    for size in (2**31, 2**40, 2**62):
        yield f"a text of {size} bytes", "weights.pkl", b"\x80\x04\x8d" + struct.pack("<Q", size) + b"x."
        yield f"bytes of {size} bytes", "weights.pkl", b"\x80\x04\x8e" + struct.pack("<Q", size) + b"x."
    yield "a memo of four thousand million", "weights.pkl", b"\x80\x04Nr\xff\xff\xff\xff."
    yield "integers of a million digits", "weights.pkl", b"\x80\x04I" + b"9" * 1_000_000 + b"\n."


def _calls(module: str, name: str, command: str) -> dict[str, bytes]:
    named = f"c{module}\n{name}\n".encode()
    stacked = _text(module) + _text(name) + b"\x93"
    argument = _text(command)
    return {
        "REDUCE": named + argument + b"\x85R",
        "REDUCE of a stacked global": stacked + argument + b"\x85R",
        "INST": b"(" + argument + f"i{module}\n{name}\n".encode(),
        "OBJ": b"(" + named + argument + b"o",
        "NEWOBJ": named + argument + b"\x85\x81",
        "NEWOBJ_EX": named + argument + b"\x85}\x92",
        "BUILD": named + b")\x81}" + argument + argument + b"sb",
    }


def _safetensors() -> Iterator[Hostile]:
    """Heads that lie about what follows."""
    sound = {"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}
    heads: dict[str, object] = {
        "offsets beyond the end": {"a": {**sound["a"], "data_offsets": [0, 2**40]}},
        "offsets backwards": {"a": {**sound["a"], "data_offsets": [4, 0]}},
        "negative offsets": {"a": {**sound["a"], "data_offsets": [-4, 0]}},
        "a negative shape": {"a": {**sound["a"], "shape": [-1]}},
        "an enormous shape": {"a": {**sound["a"], "shape": [2**40, 2**40]}},
        "overlapping tensors": {**sound, "b": sound["a"]},
        "a dtype that does not exist": {"a": {**sound["a"], "dtype": "F99"}},
        "a shape of text": {"a": {**sound["a"], "shape": "1"}},
        "metadata of numbers": {**sound, "__metadata__": {"a": 1}},
        "a list": [sound],
        "nothing": {},
        "thousand names": {f"n{k}": {**sound["a"], "shape": [0], "data_offsets": [0, 0]} for k in range(1000)},
        "a million names": {f"{k}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for k in range(1_000_000)},
        "names that climb": {"../../etc/passwd": sound["a"]},
        "a name of a megabyte": {"x" * 2**20: sound["a"]},
        "NaN": {"fc.weight": sound["a"]},
    }
    for what, head in heads.items():
        text = json.dumps(head).encode()
        yield f"safetensors: {what}", "x.safetensors", struct.pack("<Q", len(text)) + text + b"\x00\x00\xc0\x7f"
    for size in (0, 1, 2**32, 2**63 - 1, 2**64 - 1):
        yield f"safetensors: a head of {size} bytes", "x.safetensors", struct.pack("<Q", size) + b'{"a":1}'
    for depth in (1_000, 1_000_000):
        text = b"[" * depth
        yield f"safetensors: {depth} brackets", "x.safetensors", struct.pack("<Q", len(text)) + b'{"a":' + text


def _archives(canary: Path) -> Iterator[Hostile]:
    """Zip files: packs and torch files that climb, swell, repeat and lie."""
    onnx = b"\x08\x08" + b"x" * 64
    members: dict[str, dict[str, bytes]] = {
        "a member that climbs": {f"../../../..{canary}": b"x", "w600k_r50.onnx": onnx},
        "an absolute member": {str(canary): b"x", "w600k_r50.onnx": onnx},
        "a backslash": {"..\\..\\x.onnx": onnx},
        "names with control characters": {"a\x1b[2J.onnx": onnx},
        "20,000 empty members": {f"{k}.onnx": b"" for k in range(20_000)},
        "two of one name in folders": {"a/w600k_r50.onnx": onnx, "b/w600k_r50.onnx": onnx},
        "junk graphs": {"w600k_r50.onnx": onnx, "det_10g.onnx": onnx},
        "no graph": {"readme.txt": b"x"},
        "nothing": {},
        "a bomb": {"w600k_r50.onnx": b"\0" * 300_000_000},
        "a bomb in a torch file": {"archive/data.pkl": b"\0" * 300_000_000, "archive/version": b"3"},
        "a torch file without records": {"archive/data.pkl": b"\x80\x02}.", "archive/version": b"3"},
        "a torch file of a thousand folders": {f"{k}/data.pkl": b"\x80\x02}." for k in range(1000)},
    }
    for what, content in members.items():
        data = _zip(content, zipfile.ZIP_DEFLATED)
        yield f"zip: {what}", "pack.zip", data
        yield f"zip: {what}, as torch", "pack.pth", data
    sound = _zip({"w600k_r50.onnx": onnx})
    place = sound.rfind(b"PK\x05\x06")
    for offset, value in ((10, b"\xff\xff"), (12, b"\xff\xff\xff\x7f"), (16, b"\xff\xff\xff\x7f"), (20, b"\xff\xff")):
        yield f"zip: directory changed at {offset}", "pack.zip", _patched(sound, place + offset, value)


def _mutant(every: list[Hostile], place: Place, chance: random.Random) -> Hostile:
    kinds: tuple[Callable[[], tuple[str, bytes]], ...] = (
        lambda: ("tiny.onnx", Path(place.inputs["tiny.onnx"]).read_bytes()),
        lambda: ("small.safetensors", Path(place.inputs["small.safetensors"]).read_bytes()[:200_000]),
        lambda: ("small.pth", _torch_file(place)),
        lambda: chance.choice([one for one in every if len(one[2]) < 100_000])[1:],
    )
    name, data = chance.choice(kinds)()
    return f"{name} mutated, {len(every)}", name, mutate(data or b"x", chance)


def _torch_file(place: Place) -> bytes:
    import torch

    stream = io.BytesIO()
    torch.save({"fc.weight": torch.ones(2, 2), "fc.bias": torch.zeros(2)}, stream)
    return stream.getvalue()


def _zip(members: dict[str, bytes], how: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", how) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return stream.getvalue()


def _patched(data: bytes, place: int, value: bytes) -> bytes:
    return data[:place] + value + data[place + len(value) :]


def _text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()
