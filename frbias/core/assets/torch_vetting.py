"""The structure of torch checkpoints from strangers, read without their numbers and without executing anything.

Sizes, names and records are compared with what is there by the interpreter of :mod:`frbias.core.assets.pickle_machine`,
which allocates nothing it is told to.
"""

import re
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from frbias.core.assets.archives import DAMAGED, check_table
from frbias.core.assets.pickle_machine import run_pickle
from frbias.core.assets.pickle_policy import malformed, truncated
from frbias.core.assets.pickle_records import (
    STORAGE_TYPES,
    Buffer,
    LazyTensor,
    NamedGlobal,
    Storage,
    UnsafePickleError,
    make_lazy_tensor,
)
from frbias.core.assets.torch_storage import refused
from frbias.core.foundation.errors import BadInputError, reason_of

MAX_STRUCTURE_BYTES = 64 * 1024 * 1024
_MAGIC = 0x1950A86A20F9469CFC6C
_TENSORS = frozenset({("torch._utils", "_rebuild_tensor_v2"), ("torch._utils", "_rebuild_tensor")})
_PARAMETERS = frozenset({("torch._utils", "_rebuild_parameter"), ("torch._utils", "_rebuild_parameter_with_state")})
_CONTAINERS = frozenset(
    {("collections", "OrderedDict"), ("builtins", "set"), ("__builtin__", "set"), ("torch", "Size")}
)
_DTYPE = re.compile(r"(float|int|uint|bfloat|complex)\d+|bool|half|double|long|qint8|quint8", re.ASCII)


def vet_checkpoint(path: Path) -> Any:
    """Read the structure of a torch file without its numbers; tensors come back as :class:`LazyTensor`.

    Raises:
        UnsafePickleError: As :func:`load_checkpoint`.
    """
    path = Path(path)
    if zipfile.is_zipfile(path) and _starts_with(path, b"PK"):
        return _vet_zip(path)
    return _vet_stream(path)


class CheckpointPolicy:
    """Accepts tensors in plain containers.

    Args:
        sizes: Bytes of every record by key, for zip archives; None for the older stream.
        limit: Bytes that all storages together may claim.
    """

    def __init__(self, sizes: dict[str, int] | None, limit: int) -> None:
        self.sizes = sizes
        self.left = limit
        self.storages: dict[str, Storage] = {}

    def find(self, name: NamedGlobal) -> NamedGlobal:
        """Accept tensors, containers, storage types and dtypes by exact name."""
        key = (name.module, name.name)
        storage = name.module in ("torch", "torch.storage") and name.name in {*STORAGE_TYPES, "UntypedStorage"}
        dtype = name.module == "torch" and _DTYPE.fullmatch(name.name)
        if key in _TENSORS | _PARAMETERS | _CONTAINERS or storage or dtype or key == ("torch", "device"):
            return name
        raise refused(name, "by name")

    def call(self, function: Any, args: tuple[Any, ...]) -> Any:
        """Answer the rebuilding of a tensor or container."""
        key = (function.module, function.name) if isinstance(function, NamedGlobal) else None
        if key in _TENSORS and len(args) >= 4:
            return make_lazy_tensor(*args[:4])
        if key in _PARAMETERS and args and isinstance(args[0], LazyTensor):
            return args[0]
        if key == ("collections", "OrderedDict") and not args:
            return {}
        if key == ("torch", "Size") and len(args) == 1 and type(args[0]) is tuple:
            return args[0]
        if key == ("torch", "device"):
            return "device"
        if key in _CONTAINERS and len(args) == 1 and type(args[0]) is list and not args[0]:
            return set()
        raise refused(function, "as a call")

    def new(self, kind: Any, args: tuple[Any, ...]) -> Any:
        """Accept an empty OrderedDict."""
        if kind == NamedGlobal("collections", "OrderedDict") and not args:
            return {}
        raise refused(kind, "as an instance")

    def build(self, target: Any, state: Any) -> Any:
        """Accept the ``_metadata`` that state dicts carry; it is dropped."""
        if type(target) is dict and type(state) is dict:
            return target
        raise refused(target, "with a state")

    def persistent(self, identity: Any) -> Storage:
        """Describe a storage, having compared what it claims with what is there."""
        parts = identity if type(identity) is tuple and len(identity) in (5, 6) else (None,) * 6
        tag, kind, key, _, numel = parts[:5]
        if tag != "storage" or not isinstance(kind, NamedGlobal) or type(numel) is not int or type(key) is not str:
            raise malformed("a storage is described in an unknown way")
        if key in self.storages:
            return self.storages[key]
        dtype, width = STORAGE_TYPES.get(kind.name, ("uint8", 1))
        self.left -= numel * width
        wrong = self.sizes is not None and self.sizes.get(key) != numel * width
        if numel < 0 or self.left < 0 or wrong:
            raise UnsafePickleError(
                f"The storage {key[:40]!r} claims {numel} elements, which are not there.", name="storage size"
            )
        self.storages[key] = Storage(dtype, numel, b"")
        return self.storages[key]


def _vet_zip(path: Path) -> Any:
    size = path.stat().st_size
    check_table(path)
    try:
        with zipfile.ZipFile(path) as archive:
            records = torch_records(archive, size)
            sizes = {key: info.file_size for key, info in records.data.items()}
            return structure_of(archive.read(records.structure), CheckpointPolicy(sizes, size))
    except (*DAMAGED, NotImplementedError) as error:
        raise truncated(first_line(error)) from error


@dataclass(frozen=True)
class TorchRecords:
    """What a torch archive holds.

    Attributes:
        structure: The pickle.
        data: The records of numbers by key.
    """

    structure: zipfile.ZipInfo
    data: dict[str, zipfile.ZipInfo]


def torch_records(archive: zipfile.ZipFile, size: int) -> TorchRecords:
    """The records of an archive of ``size`` bytes, checked before any of them is read.

    Raises:
        UnsafePickleError: They are compressed, overlap, hold a program, or are not those of torch.
    """
    infos = archive.infolist()
    packed = [info.filename for info in infos if info.compress_type != zipfile.ZIP_STORED]
    if packed or sum(info.file_size for info in infos) > size:
        raise UnsafePickleError(
            "Its records are compressed or overlap, which torch never writes.", name="compressed record"
        )
    if any("/code/" in info.filename for info in infos):
        raise UnsafePickleError("It is a TorchScript program, not a weight file.", name="TorchScript")
    pickles = [info for info in infos if PurePosixPath(info.filename).name == "data.pkl"]
    if len(pickles) != 1 or pickles[0].file_size > MAX_STRUCTURE_BYTES:
        raise malformed("the archive is none of torch")
    prefix = pickles[0].filename.removesuffix("data.pkl") + "data/"
    data = {i.filename.removeprefix(prefix): i for i in infos if i.filename.startswith(prefix)}
    return TorchRecords(pickles[0], data)


def _vet_stream(path: Path) -> Any:
    size = path.stat().st_size
    with path.open("rb") as stream:
        data = stream.read(MAX_STRUCTURE_BYTES)
    if data[:1] != b"\x80":
        raise BadInputError(f"{path} is no torch file.")
    policy = CheckpointPolicy(None, size)
    values, position = [], 0
    for _ in range(5):
        value, position = run_pickle(memoryview(data), policy, position)
        values.append(value)
        if values[0] != _MAGIC:
            raise malformed("the stream is none of torch")
    if type(values[4]) is not list or len(values[4]) != len(policy.storages):
        raise malformed("its list of storages does not fit")
    return values[3]


def structure_of(data: Buffer, policy: CheckpointPolicy) -> Any:
    """What a pickle describes, in plain containers.

    Raises:
        UnsafePickleError: The policy refuses something, or bytes follow its end.
    """
    value, end = run_pickle(data, policy)
    if end != len(data):
        raise malformed(f"{len(data) - end} bytes follow its end")
    return value


def _starts_with(path: Path, magic: bytes) -> bool:
    with path.open("rb") as stream:
        return stream.read(len(magic)) == magic


def first_line(error: BaseException) -> str:
    """What an error says first, in 200 characters."""
    return reason_of(error)[:200]
