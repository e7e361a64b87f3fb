"""Hostile pickles and torch files: refused by name, in bounded time and memory, with nothing executed."""

import os
import pickle
import resource
import struct
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from pickle_builders import (
    Canary,
    Reduces,
    dumped,
    float_storage,
    glob,
    in_storage,
    persistent,
    stack_global,
    storage,
    tensor,
    text,
)

from frbias.core.assets.pickle_records import UnsafePickleError
from frbias.core.assets.pickles import load_persistence_pickle, state_dict
from frbias.core.foundation.errors import BadInputError
from frbias.core.installing.recognise import recognise

# name -> (bytes of the file, what the refusal has to name)
CORPUS: dict[str, tuple[Callable[[Canary], bytes], str]] = {
    **{
        f"reduce of os.system, protocol {p}": (
            dumped(lambda c: Reduces(os.system, c.command), p),
            "system" if p >= 2 else "",
        )
        for p in range(6)
    },
    "reduce of builtins.eval": (dumped(lambda c: Reduces(eval, c.code), 4), "builtins.eval"),
    "reduce of builtins.exec": (dumped(lambda c: Reduces(exec, c.code), 4), "builtins.exec"),
    "reduce of builtins.__import__": (dumped(lambda c: Reduces(__import__, "os"), 4), "builtins.__import__"),
    "subprocess.Popen": (dumped(lambda c: Reduces(subprocess.Popen, ["touch", str(c.path)]), 4), "subprocess.Popen"),
    "torch.load inside": (
        (lambda c: persistent(glob("torch.serialization", "load") + text(str(c.path)) + b"\x85R")),
        "torch.serialization.load",
    ),
    "nested in a state": (
        (lambda c: persistent(b"(" + text("a") + b"(" + glob("os", "system") + text(c.command) + b"\x85Rld")),
        "os.system",
    ),
    "INST": ((lambda c: b"\x80\x02(" + text(c.command) + b"ios\nsystem\n."), "os.system"),
    "OBJ": ((lambda c: b"\x80\x02(" + glob("os", "system") + text(c.command) + b"o."), "os.system"),
    "OBJ of an inert class": (
        (lambda c: b"\x80\x02(" + glob("training.networks", "Net") + b"o."),
        "training.networks.Net",
    ),
    "INST of an inert class": ((lambda c: b"\x80\x02(itraining.networks\nNet\n."), "training.networks.Net"),
    "NEWOBJ": (
        (lambda c: b"\x80\x02" + glob("subprocess", "Popen") + b"]" + text("touch") + b"a\x85\x81."),
        "subprocess.Popen",
    ),
    "NEWOBJ_EX": ((lambda c: b"\x80\x04" + glob("subprocess", "Popen") + b")}\x92."), "subprocess.Popen"),
    "NEWOBJ_EX with keywords": (
        (lambda c: b"\x80\x04" + glob("training.networks", "Net") + b")}" + text("a") + b"K\x01s\x92."),
        "training.networks.Net",
    ),
    "BUILD on a dictionary": ((lambda c: b"\x80\x02}}" + text("__class__") + text("x") + b"sb."), "dict"),
    "BUILD on a global": (
        (lambda c: b"\x80\x02" + glob("training.networks", "Net") + b"}" + text("__dict__") + b"}sb."),
        "training.networks.Net",
    ),
    "__setstate__ through getattr": (
        (
            lambda c: (
                b"\x80\x02"
                + glob("builtins", "getattr")
                + glob("os", "system")
                + text("__call__")
                + b"\x86R"
                + text(c.command)
                + b"\x85R."
            )
        ),
        "os.system",
    ),
    "calling a bound method": (
        (
            lambda c: (
                b"\x80\x02"
                + glob("builtins", "getattr")
                + glob("training.x", "A")
                + b")\x81"
                + text("__class__")
                + b"\x86R)R."
            )
        ),
        "a BoundMethod",
    ),
    "getattr on a dictionary": (
        (lambda c: b"\x80\x02" + glob("builtins", "getattr") + b"}" + text("update") + b"\x86R."),
        "a dict",
    ),
    "dotted name under protocol 4": (
        (lambda c: b"\x80\x04" + stack_global("training", "networks.os.system") + b"."),
        "training.networks.os.system",
    ),
    "dotted name in an inert module": (
        (lambda c: b"\x80\x04" + stack_global("training.networks", "os.system") + b"."),
        "training.networks.os.system",
    ),
    "private name in an inert module": (
        (lambda c: b"\x80\x04" + stack_global("torch.nn.modules.module", "__builtins__") + b"."),
        "torch.nn.modules.module.__builtins__",
    ),
    "line break in a module name": (
        (lambda c: b"\x80\x04" + stack_global("training.x\nos", "system") + b"."),
        "system",
    ),
    "STACK_GLOBAL from the memo": (
        (
            lambda c: (
                b"\x80\x04"
                + text("os")
                + b"\x94"
                + text("system")
                + b"\x9400h\x00h\x01\x93"
                + text(c.command)
                + b"\x85R."
            )
        ),
        "os.system",
    ),
    "STACK_GLOBAL of a list": ((lambda c: b"\x80\x04]" + text("system") + b"\x93."), "STACK_GLOBAL"),
    "inert class called": (
        (lambda c: b"\x80\x02" + glob("training.networks", "Net") + b")R."),
        "training.networks.Net",
    ),
    "function reference called": (
        (lambda c: b"\x80\x02" + glob("torch.nn.functional", "relu") + b")R."),
        "torch.nn.functional.relu",
    ),
    "EXT1": ((lambda c: b"\x80\x02\x82\x01."), "EXT1"),
    "EXT4": ((lambda c: b"\x80\x02\x84\x01\0\0\0."), "EXT4"),
    "PERSID": ((lambda c: b"Pexternal\n."), "PERSID"),
    "BINPERSID": ((lambda c: b"\x80\x02" + text("external") + b"Q."), "BINPERSID"),
    "out-of-band buffer": ((lambda c: b"\x80\x05\x97."), "NEXT_BUFFER"),
    "unknown opcode": ((lambda c: b"\x80\x02\xff."), "0xff"),
    "protocol 9": ((lambda c: b"\x80\x09}."), "protocol"),
    "storage that calls": (
        (lambda c: in_storage(storage(glob("os", "system") + text(c.command) + b"\x85R"))),
        "os.system",
    ),
    "storage of another type": (
        (
            lambda c: in_storage(
                storage(b"(" + text("storage") + glob("os", "system") + text("0") + text("cpu") + b"K\x01NtQ")
            )
        ),
        "os.system",
    ),
    "storage with a call in its keys": (
        (
            lambda c: in_storage(
                storage(float_storage(1)).replace(
                    b"(" + text("0") + b"l.", glob("os", "system") + text(c.command) + b"\x85R."
                )
            )
        ),
        "os.system",
    ),
    "storage that is a plain pickle": (
        (lambda c: in_storage(pickle.dumps(Reduces(os.system, c.command), 2))),
        "system",
    ),
    "storage that is a zip archive": ((lambda c: in_storage(b"PK\x03\x04" + b"\0" * 60)), ""),
    "storage claiming a gigabyte": ((lambda c: in_storage(storage(float_storage(2**28)))), "storage size"),
    "storage with surplus bytes": (
        (lambda c: in_storage(storage(float_storage(1), data=b"\0" * 8))),
        "storage size",
    ),
    "storage claiming a negative count": (
        (lambda c: in_storage(storage(float_storage(-1), numel=-1, data=b""))),
        "storage size",
    ),
    "tensor larger than its storage": ((lambda c: tensor([1000, 1000], [1000, 1])), "tensor size"),
    "tensor of a billion repeated numbers": ((lambda c: tensor([1000000000], [0])), "tensor size"),
    "tensor beyond its storage": ((lambda c: tensor([1], [1], offset=5)), "tensor size"),
    "tensor with a negative stride": ((lambda c: tensor([1], [-1])), "tensor layout"),
    "numpy object array": (
        (lambda c: b"\x80\x02" + glob("numpy", "dtype") + text("O8") + b"\x89\x88\x87R."),
        "numpy.dtype O8",
    ),
    "numpy structured type": (
        (lambda c: b"\x80\x02" + glob("numpy", "dtype") + text("f8,O") + b"\x89\x88\x87R."),
        "numpy.dtype f8,O",
    ),
    "numpy array claiming a terabyte": (
        (
            lambda c: (
                b"\x80\x04"
                + glob("numpy.core.multiarray", "_reconstruct")
                + glob("numpy", "ndarray")
                + b"K\0\x85C\x01b\x87R"
                b"(K\x01J\xff\xff\xff\x7f\x85" + glob("numpy", "dtype") + text("f8") + b"\x89\x88\x87R\x89C\x04abcdtb."
            )
        ),
        "numpy array size",
    ),
    "persistence version 7": ((lambda c: persistent(b"}").replace(b"K\x06", b"K\x07")), "persistence version"),
    "memo index of two billion": ((lambda c: b"\x80\x02}r\xff\xff\xff\x7fj\xfe\xff\xff\x7f."), "malformed pickle"),
    "a million lists": ((lambda c: b"\x80\x02" + b"]" * 1_100_000 + b"."), "opcodes"),
    "bytes of four gigabytes claimed": ((lambda c: b"\x80\x04B\xff\xff\xff\xffabc."), "truncated data"),
    "bytes of 2**63 claimed": (
        (lambda c: b"\x80\x04\x8e" + struct.pack("<Q", 2**63 - 1) + b"abc."),
        "truncated data",
    ),
    "text of 2**60 claimed": ((lambda c: b"\x80\x04\x8d" + struct.pack("<Q", 2**60) + b"abc."), "text size"),
    "integer of a gigabyte claimed": ((lambda c: b"\x80\x02\x8b\xff\xff\xff\x3f."), "integer size"),
    "frame of 2**60 claimed": ((lambda c: b"\x80\x04\x95" + struct.pack("<Q", 2**60) + b"}."), "truncated data"),
    "decimal integer of a megabyte": ((lambda c: b"L" + b"9" * 1_000_000 + b"L\n."), "LONG"),
    "tuple as a key": ((lambda c: b"\x80\x02}" + b"K\x01K\x02\x86K\x01s."), "dictionary key"),
    "self-containing list as a key": ((lambda c: b"\x80\x02}]q\0h\0aK\x01s."), "dictionary key"),
    "integer built to collide": (
        (lambda c: b"\x80\x02}\x8a\x09" + (2**61 - 1).to_bytes(9, "little") + b"K\x01s."),
        "dictionary key",
    ),
    "items set on a record": (
        (lambda c: b"\x80\x02" + glob("training.x", "A") + b")\x81" + text("a") + b"K\x01s."),
        "SETITEMS",
    ),
    "appended to a record": ((lambda c: b"\x80\x02" + glob("training.x", "A") + b")\x81K\x01a."), "APPENDS"),
    "stack underflow": ((lambda c: b"\x80\x02R."), "malformed pickle"),
    "missing mark": ((lambda c: b"\x80\x02t."), "malformed pickle"),
    "memo entry that was never stored": ((lambda c: b"\x80\x02h\x07."), "malformed pickle"),
    "appended bytes": ((lambda c: persistent(b"}") + b"cos\nsystem\n"), "malformed pickle"),
    "two values": ((lambda c: b"\x80\x02}}."), "malformed pickle"),
    "top level is a list": ((lambda c: b"\x80\x02]."), "malformed pickle"),
    "codec other than latin-1": (
        (lambda c: b"\x80\x02" + glob("_codecs", "encode") + text("x") + text("zip") + b"\x86R."),
        "malformed pickle",
    ),
    "empty": ((lambda c: b"\x80"), "truncated data"),
}


@pytest.fixture
def canary(tmp_path: Path) -> Canary:
    return Canary(tmp_path / "executed")


def test_the_corpus_is_large_enough() -> None:
    assert len(CORPUS) >= 60


def test_the_canary_can_fire(canary: Canary) -> None:
    pickle.loads(pickle.dumps(Reduces(os.system, canary.command)))  # noqa: S301
    assert canary.path.exists()


@pytest.mark.parametrize("name", CORPUS)
def test_refused_by_name_with_nothing_executed(name: str, canary: Canary, tmp_path: Path) -> None:
    make, offender = CORPUS[name]
    path = tmp_path / "hostile.pkl"
    path.write_bytes(make(canary))
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with pytest.raises(UnsafePickleError) as caught:
        load_persistence_pickle(path)
    assert offender in caught.value.name
    assert "\n" not in str(caught.value)
    assert not canary.path.exists()
    assert time.process_time() - started < 20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 600 * 1024  # KiB


@pytest.mark.parametrize("fraction", [0.01, 0.1, 0.5, 0.9, 0.999])
def test_truncated_snapshot(fraction: float, tmp_path: Path, fixtures_dir: Path) -> None:
    data = (fixtures_dir / "cusp" / "snapshot_tiny.pkl").read_bytes()
    path = tmp_path / "cut.pkl"
    path.write_bytes(data[: int(len(data) * fraction)])
    with pytest.raises(UnsafePickleError):
        load_persistence_pickle(path)


def test_every_cut_of_a_small_pickle_is_refused(tmp_path: Path) -> None:
    whole = tensor([1], [1])
    load = tmp_path / "small.pkl"
    load.write_bytes(whole)
    assert load_persistence_pickle(load)["G_ema"].state["x"].tensor().tolist() == [0.0]
    for end in range(1, len(whole)):
        load.write_bytes(whole[:end])
        with pytest.raises(BadInputError):
            load_persistence_pickle(load)


def test_random_damage_never_escapes(tmp_path: Path) -> None:
    import random

    whole, path = bytearray(tensor([1], [1])), tmp_path / "damaged.pkl"
    dice = random.Random(7)
    for _ in range(2000):
        damaged = bytearray(whole)
        for _ in range(dice.randint(1, 6)):
            damaged[dice.randrange(len(damaged))] = dice.randrange(256)
        path.write_bytes(damaged)
        try:
            load_persistence_pickle(path)
        except UnsafePickleError:
            continue


def test_networks_nested_in_themselves_end(tmp_path: Path) -> None:
    # state = {"_modules": {"again": the object itself}}
    meta = (
        b"("
        + text("type")
        + text("class")
        + text("version")
        + b"K\x06"
        + text("module_src")
        + text("")
        + text("class_name")
    )
    meta += text("Net") + text("state") + b"}q\0d\x85R"
    data = (
        b"\x80\x04(" + text("G_ema") + glob("torch_utils.persistence", "_reconstruct_persistent_obj") + meta + b"q\x010"
    )
    data = b"\x80\x04" + glob("torch_utils.persistence", "_reconstruct_persistent_obj") + meta + b"q\x01"
    data += (
        b"0h\0" + text("_modules") + b"(" + text("a") + b"h\x01" + text("b") + b"h\x01ds0(" + text("G_ema") + b"h\x01d."
    )
    path = tmp_path / "loop.pkl"
    path.write_bytes(data)
    network = load_persistence_pickle(path)["G_ema"]
    with pytest.raises(BadInputError, match="nested without end"):
        state_dict(network)
    with pytest.raises(BadInputError):
        recognise(path)
