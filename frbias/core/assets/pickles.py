"""Reading NVIDIA-style persistence pickles (StyleGAN2-ADA, CUSP, EG3D) without running any of them.

Such a file embeds the source text of the classes it was made with, and its own loader executes that
text. Here every persistent object becomes a :class:`PersistentObject` whose ``module_source`` is text and
stays text; tensors become :class:`LazyTensor`, objects pickled by reference become :class:`InertObject`,
and any name that is not known by exact module and name is refused.
"""

import mmap
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from frbias.core.assets.pickle_machine import run_pickle
from frbias.core.assets.pickle_policy import check_key, malformed
from frbias.core.assets.pickle_records import (
    BoundMethod,
    InertObject,
    LazyTensor,
    NamedGlobal,
    PersistentObject,
    UnsafePickleError,
    make_lazy_tensor,
)
from frbias.core.assets.torch_storage import read_storage, refused
from frbias.core.foundation.errors import BadInputError

if TYPE_CHECKING:
    import torch

__all__ = [
    "BoundMethod",
    "InertObject",
    "LazyTensor",
    "PersistentObject",
    "UnsafePickleError",
    "attribute",
    "entries",
    "load_persistence_pickle",
    "parse_persistence_pickle",
    "state_dict",
]

PERSISTENCE_VERSION = 6
MAX_STATE_ENTRIES = 100_000
MAX_DEPTH = 100

_DTYPES = frozenset(["b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"])
_DICTS = frozenset({("collections", "OrderedDict"), ("dnnlib.util", "EasyDict"), ("dnnlib", "EasyDict")})
_SETS = frozenset({("builtins", "set"), ("__builtin__", "set")})
_NUMPY_CORE = ("numpy.core.multiarray", "numpy._core.multiarray")
_FUNCTIONS = {
    ("torch_utils.persistence", "_reconstruct_persistent_obj"): "persistent",
    ("torch._utils", "_rebuild_tensor_v2"): "tensor",
    ("torch._utils", "_rebuild_parameter"): "parameter",
    ("torch.storage", "_load_from_bytes"): "storage",
    **dict.fromkeys([(core, "scalar") for core in _NUMPY_CORE], "scalar"),
    **dict.fromkeys([(core, "_reconstruct") for core in _NUMPY_CORE], "array"),
    ("numpy", "dtype"): "dtype",
    ("builtins", "getattr"): "method",
    ("__builtin__", "getattr"): "method",
    ("_codecs", "encode"): "encode",
    ("builtins", "bytes"): "empty_bytes",
    ("__builtin__", "bytes"): "empty_bytes",
    **dict.fromkeys(_DICTS, "dict"),
    **dict.fromkeys(_SETS, "set"),
    ("torch", "Size"): "size",
}
# Names that may be referred to but never called.
_REFERENCES = frozenset(
    {("numpy", "ndarray"), ("torch.nn.functional", "relu"), ("torch.utils.hooks", "RemovableHandle")}
    | {("torch", dtype) for dtype in ("float16", "float32", "float64", "bfloat16", "int64", "uint8", "bool")}
)
# Classes and functions of the generator's own code and torch's layers: they are only ever names of inert records.
_INERT_MODULE = re.compile(r"(training|torch\.nn\.modules)(\.[a-z_0-9]+)+", re.ASCII)
_INERT_NAME = re.compile(r"[A-Za-z]\w*|identity_f", re.ASCII)


def load_persistence_pickle(path: Path) -> dict[str, Any]:
    """Read a persistence pickle (``G``, ``D``, ``G_ema``, ``training_set_kwargs``, ...) as inert records.

    The file is mapped, not read: numbers are copied when :meth:`LazyTensor.tensor` or :func:`state_dict`
    asks for them.

    Returns:
        The top-level dictionary. Values are PersistentObject, InertObject, BoundMethod, LazyTensor,
        NamedGlobal, numpy scalars and arrays of plain numbers, and plain containers.

    Raises:
        UnsafePickleError: The file asks for anything else (named in ``.name``), is truncated or is no pickle.
        BadInputError: The file cannot be read.
    """
    try:
        with Path(path).open("rb") as stream:
            data = memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))
    except (OSError, ValueError) as error:
        raise BadInputError(f"{path} cannot be read as a pickle: {error}.") from error
    try:
        return parse_persistence_pickle(data)
    except UnsafePickleError as error:
        raise UnsafePickleError(f"{path}: {error.message}", name=error.name, hint=error.hint) from None


def parse_persistence_pickle(data: bytes | memoryview) -> dict[str, Any]:
    """:func:`load_persistence_pickle` for bytes in memory."""
    value, end = run_pickle(data, PersistencePolicy())
    if end != len(data):
        raise malformed(f"{len(data) - end} bytes follow its end")
    if type(value) is not dict:
        raise malformed("its top level is no dictionary")
    return value


def state_dict(record: Any) -> "dict[str, torch.Tensor]":
    """Tensors of a network record, named and ordered like ``Module.state_dict()``.

    Args:
        record: A PersistentObject or InertObject of a ``torch.nn.Module``.

    Raises:
        BadInputError: ``record`` is no network, or is nested without end.
    """
    return {name: tensor.tensor() for name, tensor in _named_tensors(record, "", MAX_DEPTH, [MAX_STATE_ENTRIES])}


def attribute(record: Any, dotted: str) -> Any:
    """Value at a dotted path: attributes, submodules, parameters and buffers, as ``getattr`` would find them.

    Raises:
        KeyError: There is no such entry.
    """
    value = record
    for part in dotted.split("."):
        if isinstance(value, PersistentObject | InertObject):
            tables = [value.state, *(entries(value, t) for t in ("_parameters", "_buffers", "_modules"))]
        else:
            tables = [value] if isinstance(value, dict) else []
        holder = next((table for table in tables if part in table), None)
        if holder is None:
            raise KeyError(dotted)
        value = holder[part]
    return value


def entries(record: PersistentObject | InertObject, table: str) -> dict[Any, Any]:
    """The dictionary ``_parameters``, ``_buffers`` or ``_modules`` of a record; empty when it has none."""
    found = record.state.get(table)
    return found if isinstance(found, dict) else {}


def _named_tensors(record: Any, prefix: str, depth: int, left: list[int]) -> Iterator[tuple[str, LazyTensor]]:
    if not isinstance(record, PersistentObject | InertObject) or "_modules" not in record.state:
        raise BadInputError(f"{prefix.rstrip('.') or 'The record'} is no network; there are no tensors to read.")
    left[0] -= 1
    if depth == 0 or left[0] < 0:
        raise BadInputError("The networks in the pickle are nested without end.")
    listed = record.state.get("_non_persistent_buffers_set")
    volatile = listed if isinstance(listed, set) else set()
    for table in ("_parameters", "_buffers"):
        for name, value in entries(record, table).items():
            if isinstance(value, LazyTensor) and name not in volatile:
                yield f"{prefix}{name}", value
    for name, child in entries(record, "_modules").items():
        if child is not None:
            yield from _named_tensors(child, f"{prefix}{name}.", depth - 1, left)


class PersistencePolicy:
    """Answers the calls that persistence pickles make, by exact name, with records."""

    def find(self, name: NamedGlobal) -> NamedGlobal:
        """Accept known functions, known references, and classes that only ever become inert records."""
        key = (name.module, name.name)
        if key in _FUNCTIONS or key in _REFERENCES or _is_inert(name):
            return name
        raise refused(name, "by name")

    def call(self, function: Any, args: tuple[Any, ...]) -> Any:
        """Answer a call of a known function; its arguments are checked one by one."""
        kind = _FUNCTIONS.get((function.module, function.name)) if isinstance(function, NamedGlobal) else None
        if kind is None:
            raise refused(function, "as a call")
        try:
            answer = getattr(self, f"_call_{kind}")(*args)
        except (TypeError, ValueError, OverflowError) as error:
            raise malformed(f"{function} is called with other arguments than expected") from error
        return answer

    def new(self, kind: Any, args: tuple[Any, ...]) -> Any:
        """A dictionary for EasyDict and OrderedDict, an inert record for a layer."""
        if isinstance(kind, NamedGlobal):
            if (kind.module, kind.name) in _DICTS and not args:
                return {}
            if _is_inert(kind) or kind == NamedGlobal("torch.utils.hooks", "RemovableHandle"):
                return InertObject(str(kind), args)
        raise refused(kind, "as an instance")

    def build(self, target: Any, state: Any) -> Any:
        """Give an inert record its state; complete a numpy dtype or array."""
        if isinstance(target, InertObject):
            target.state.update(state if type(state) is dict else {"state": state})
            return target
        if isinstance(target, _DtypeRecord):
            return target.finish(state)
        if type(target) is np.ndarray:
            return _fill_array(target, state)
        raise refused(target, "with a state")

    def persistent(self, identity: Any) -> Any:
        """Refuse: these files keep their tensors inline."""
        raise UnsafePickleError("The pickle refers to data outside of it (BINPERSID).", name="BINPERSID")

    def _call_persistent(self, meta: dict[str, Any]) -> PersistentObject:
        version, source, name, state = (meta.get(k) for k in ("version", "module_src", "class_name", "state"))
        if type(version) is not int or version != PERSISTENCE_VERSION:
            shown = version if type(version) is int else type(version).__name__
            raise UnsafePickleError(
                f"The pickle's persistence version is {shown}; only {PERSISTENCE_VERSION} is known.",
                name="persistence version",
            )
        if meta.get("type") != "class":
            raise malformed("a persistent object is no class")
        if type(source) is not str or type(name) is not str or type(state) is not dict:
            raise malformed("a persistent object lacks its source, class name or state")
        return PersistentObject(name, state, source)

    def _call_tensor(self, storage: Any, offset: Any, size: Any, stride: Any, *rest: Any) -> LazyTensor:
        return make_lazy_tensor(storage, offset, size, stride)

    def _call_parameter(self, tensor: Any, *rest: Any) -> LazyTensor:
        if not isinstance(tensor, LazyTensor):
            raise TypeError
        return tensor

    def _call_storage(self, stream: Any) -> Any:
        if not isinstance(stream, bytes | memoryview):
            raise TypeError
        return read_storage(stream)

    def _call_dtype(self, code: Any, align: Any = False, copy: Any = True) -> "_DtypeRecord":
        if type(code) is not str:
            raise TypeError
        if code.lstrip("<|=") not in _DTYPES:
            raise UnsafePickleError(f"The pickle uses the numpy type {code[:40]!r}.", name=f"numpy.dtype {code[:40]}")
        return _DtypeRecord(code.lstrip("<|="))

    def _call_scalar(self, dtype: Any, data: Any) -> Any:
        if not isinstance(dtype, _DtypeRecord) or not isinstance(data, bytes) or len(data) != dtype.numpy.itemsize:
            raise TypeError
        return np.frombuffer(data, dtype=dtype.numpy)[0]

    def _call_array(self, kind: Any, shape: Any, code: Any) -> Any:
        if kind != NamedGlobal("numpy", "ndarray"):
            raise refused(kind, "as an array")
        return np.zeros(0, dtype=np.int8)

    def _call_method(self, owner: Any, name: Any) -> BoundMethod:
        if type(name) is not str or not isinstance(owner, PersistentObject | InertObject):
            raise refused(owner, "through builtins.getattr")
        return BoundMethod(owner, name)

    def _call_encode(self, text: Any, encoding: Any) -> bytes:
        if type(text) is not str or type(encoding) is not str or encoding not in ("latin1", "latin-1"):
            raise TypeError
        return text.encode("latin-1")

    def _call_empty_bytes(self) -> bytes:
        return b""  # how protocol 2 spells it

    def _call_dict(self, *args: Any) -> dict[Any, Any]:
        if args and args != ([],):
            raise TypeError
        return {}

    def _call_set(self, items: Any = ()) -> set[Any]:
        if type(items) not in (list, tuple):
            raise TypeError
        return {check_key(item) for item in items}

    def _call_size(self, items: Any) -> tuple[int, ...]:
        if type(items) is not tuple or any(type(n) is not int for n in items):
            raise TypeError
        return items


class _DtypeRecord:
    """A numpy dtype while it is being read: one of a fixed list of plain numbers."""

    def __init__(self, code: str) -> None:
        self.numpy = np.dtype("<" + code)

    def finish(self, state: Any) -> "_DtypeRecord":
        """Take the byte order from the pickled state; anything structured is refused."""
        plain = type(state) is tuple and len(state) >= 5 and all(part is None for part in state[2:5])
        if not plain or type(state[1]) is not str or state[1] not in ("<", "|", "="):
            raise UnsafePickleError("The pickle uses a numpy type that is not plain little-endian.", name="numpy.dtype")
        return self


def _fill_array(array: Any, state: Any) -> Any:
    if type(state) is not tuple or len(state) != 5 or array.size:
        raise malformed("a numpy array has an unknown state")
    _, shape, dtype, fortran, data = state
    if not isinstance(dtype, _DtypeRecord) or type(shape) is not tuple or not isinstance(data, bytes | memoryview):
        raise malformed("a numpy array has an unknown state")
    count = 1
    for n in shape:
        count *= n if type(n) is int and n >= 0 else -1
    if count < 0 or count * dtype.numpy.itemsize != len(data) or len(shape) > 16:
        raise UnsafePickleError("A numpy array claims another size than it has.", name="numpy array size")
    array.__setstate__((1, shape, dtype.numpy, bool(fortran), bytes(data)))
    return array


def _is_inert(name: NamedGlobal) -> bool:
    return bool(_INERT_MODULE.fullmatch(name.module) and _INERT_NAME.fullmatch(name.name))
