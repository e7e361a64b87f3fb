"""Storages inside persistence pickles: the stream ``torch.save`` wrote before it used zip archives.

Such a stream is five pickles (magic number, protocol, system, the storage as a persistent identity,
its keys) followed by a count and the raw little-endian numbers. It is taken apart by hand with a policy
that accepts the storage types of :data:`STORAGE_TYPES` and nothing else; device tags such as ``cuda:0``
are ignored, so everything lands on the CPU.
"""

import struct
from typing import Any

from frbias.core.assets.pickle_machine import run_pickle
from frbias.core.assets.pickle_policy import malformed, truncated
from frbias.core.assets.pickle_records import STORAGE_TYPES, Buffer, NamedGlobal, Storage, UnsafePickleError

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_MAX_OPCODES = 1000


class StoragePolicy:
    """Accepts one storage, described by a persistent identity."""

    def find(self, name: NamedGlobal) -> NamedGlobal:
        """Accept ``torch.<X>Storage`` (also as torch 1.x and 2.x write it, in ``torch.storage``)."""
        if name.module in ("torch", "torch.storage") and name.name in STORAGE_TYPES:
            return name
        raise refused(name, "in a storage")

    def call(self, function: Any, args: tuple[Any, ...]) -> Any:
        """Refuse every call."""
        raise refused(function, "as a call in a storage")

    def new(self, kind: Any, args: tuple[Any, ...]) -> Any:
        """Refuse every instance."""
        raise refused(kind, "as an instance in a storage")

    def build(self, target: Any, state: Any) -> Any:
        """Refuse every state."""
        raise refused(target, "with a state in a storage")

    def persistent(self, identity: Any) -> tuple[str, int, int]:
        """Turn ``('storage', type, key, location, numel, None)`` into (dtype name, element size, numel)."""
        shape = identity if type(identity) is tuple and len(identity) == 6 else (None,) * 6
        tag, kind, _, _, numel, view = shape
        if tag != "storage" or not isinstance(kind, NamedGlobal) or type(numel) is not int or view is not None:
            raise malformed("a storage is described in an unknown way")
        dtype, width = STORAGE_TYPES[kind.name]
        return dtype, width, numel


def refused(what: Any, where: str) -> UnsafePickleError:
    """The error for a name that is not on the list."""
    name = str(what) if isinstance(what, NamedGlobal) else f"a {type(what).__name__}"
    return UnsafePickleError(
        f"The file asks for {name} {where}; weights do not need that, so nothing of it was run.", name=name
    )


def read_storage(stream: Buffer) -> Storage:
    """Take one legacy storage stream apart without copying its numbers.

    Raises:
        UnsafePickleError: It holds anything but one storage, or fewer or more bytes than it claims.
    """
    policy = StoragePolicy()
    values: list[Any] = []
    position = 0
    for _ in range(5):
        value, position = run_pickle(stream, policy, position, _MAX_OPCODES)
        values.append(value)
    magic, protocol, system, described, keys = values
    if magic != _MAGIC or protocol != _PROTOCOL or type(system) is not dict:
        raise malformed("a storage does not begin like one of torch")
    if system.get("little_endian") is not True:
        raise malformed("a storage is not little-endian")
    if type(described) is not tuple or len(described) != 3 or type(keys) is not list or len(keys) != 1:
        raise malformed("a storage is described in an unknown way")
    dtype, width, numel = described
    if len(stream) < position + 8:
        raise truncated("a storage has no count")
    (counted,) = struct.unpack("<q", stream[position : position + 8])
    data = stream[position + 8 :]
    if counted != numel or numel < 0 or numel * width != len(data):
        raise UnsafePickleError(
            f"A storage claims {numel} elements of {width} bytes but holds {len(data)} bytes.", name="storage size"
        )
    return Storage(dtype, numel, data)
