"""insightface's verification sets: read whole from Python 2 and 3, and hostile ones refused with nothing run."""

import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from frbias.core.assets.pickle_records import UnsafePickleError
from frbias.core.data.binsets import picture_name, read_bin
from frbias.core.data.images import encode_jpeg, encode_png
from frbias.core.foundation.errors import BadInputError


def pictures(count: int) -> list[bytes]:
    rng = np.random.default_rng(0)
    return [encode_jpeg(rng.integers(0, 255, (112, 112, 3), dtype=np.uint8)) for _ in range(count)]


def python_2(images: list[bytes], same: list[bool]) -> bytes:
    """As Python 2 pickled it: protocol 2, byte strings as SHORT_BINSTRING or BINSTRING."""
    strings = b"".join(
        (b"U" + struct.pack("<B", len(i)) if len(i) < 256 else b"T" + struct.pack("<i", len(i))) + i for i in images
    )
    return b"\x80\x02](" + strings + b"e](" + b"".join(b"\x88" if s else b"\x89" for s in same) + b"e\x86."


def written(folder: Path, content: bytes) -> Path:
    path = folder / "set.bin"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_python_3_sets_are_read(tmp_path: Path, protocol: int) -> None:
    images, same = pictures(6), [True, False, True]
    found = read_bin(written(tmp_path, pickle.dumps((images, same), protocol)))
    assert [found.data(k) for k in range(6)] == images
    assert found.mated.tolist() == same
    assert found.image(3).shape == (112, 112, 3)
    pairs = found.pairs()
    assert pairs.form == "bin"
    assert (
        [pairs.files[k] for k in (0, 3)]
        == [picture_name(0), picture_name(3)]
        == ["pair_000000_0.png", "pair_000001_1.png"]
    )


def test_python_2_sets_are_read(tmp_path: Path) -> None:
    tiny = encode_png(np.zeros((2, 2), dtype=np.uint8))
    assert len(tiny) < 256
    images = [*pictures(3), tiny]
    found = read_bin(written(tmp_path, python_2(images, [True, False])))
    assert [found.data(k) for k in range(4)] == images
    assert found.mated.tolist() == [True, False]


@pytest.mark.parametrize("protocol", [2, 4])
def test_arrays_of_bytes_and_numpy_truth_are_read(tmp_path: Path, protocol: int) -> None:
    images = pictures(4)
    arrays = [np.frombuffer(image, dtype=np.uint8) for image in images]
    for same in (np.array([True, False]), [np.bool_(True), np.bool_(False)], [1, 0]):
        found = read_bin(written(tmp_path, pickle.dumps((arrays, same), protocol)))
        assert [found.data(k) for k in range(4)] == images
        assert found.mated.tolist() == [True, False]


class Runs:
    def __init__(self, function: Callable[..., object], *args: object) -> None:
        self.answer = (function, args)

    def __reduce__(self) -> tuple[object, ...]:
        return self.answer


@pytest.mark.parametrize("protocol", [2, 4, 5])
@pytest.mark.parametrize("place", ["top", "picture", "truth"])
def test_a_hostile_pickle_is_refused_by_name_and_not_run(tmp_path: Path, protocol: int, place: str) -> None:
    canary = tmp_path / "ran"
    bad = Runs(os.system, f"touch {canary}")
    images, same = pictures(2), [True]
    content = {"top": bad, "picture": ([images[0], bad], same), "truth": (images, [bad])}[place]
    path = written(tmp_path, pickle.dumps(content, protocol))
    with pytest.raises(UnsafePickleError, match=r"set\.bin: .*(posix|os|nt)\.system"):
        read_bin(path)
    assert not canary.exists()


@pytest.mark.parametrize(
    "name", ["torch.load", "builtins.eval", "numpy.load", "torch._utils._rebuild_tensor_v2", "collections.OrderedDict"]
)
def test_names_that_pictures_do_not_need_are_refused(tmp_path: Path, name: str) -> None:
    module, _, attribute = name.rpartition(".")
    with pytest.raises(UnsafePickleError, match=name) as caught:
        read_bin(written(tmp_path, f"\x80\x02c{module}\n{attribute}\n)R.".encode("latin-1")))
    assert caught.value.name == name


MALFORMED = {
    "empty": (b"", "cannot be read"),
    "not a pickle": (b"JFIF" * 20, "set.bin"),
    "cut off": (pickle.dumps((pictures(2), [True]), 2)[:-600], "ends in the middle"),
    "a claimed giant": (b"\x80\x03]B\xff\xff\xff\xffab", "bytes are claimed"),
    "a negative string": (b"\x80\x02]T\xff\xff\xff\xffab", "bytes are claimed"),
    "one value": (pickle.dumps(pictures(2)[0]), "a pair of pictures and truth values is expected"),
    "three values": (pickle.dumps((1, 2, 3)), "a pair of pictures and truth values is expected"),
    "no lists": (pickle.dumps(({}, [True])), "holds no lists of pictures"),
    "odd": (pickle.dumps((pictures(3), [True, False])), "holds 3 pictures for 2 pairs; every pair needs two"),
    "text": (pickle.dumps((["a", "b"], [True])), "picture 0 is a str, not the bytes of an image file"),
    "truth": (pickle.dumps((pictures(2), ["yes"])), "the truth value of pair 0 is 'yes', not True or False"),
    "numbers": (pickle.dumps((np.zeros(4), [True, False])), "holds no lists of pictures"),
}


@pytest.mark.parametrize("kind", MALFORMED)
def test_malformed_sets_are_refused_in_one_sentence(tmp_path: Path, kind: str) -> None:
    content, sentence = MALFORMED[kind]
    with pytest.raises(BadInputError) as caught:
        read_bin(written(tmp_path, content))
    assert sentence in caught.value.message
    assert "\n" not in caught.value.message


def test_a_broken_picture_is_said_when_it_is_decoded(tmp_path: Path) -> None:
    good = pictures(1)[0]
    found = read_bin(written(tmp_path, pickle.dumps(([good, good[:500]], [True]))))
    assert found.image(0).shape == (112, 112, 3)
    with pytest.raises(BadInputError, match=r"set\.bin/pair_000000_1\.png cannot be decoded"):
        found.image(1)
