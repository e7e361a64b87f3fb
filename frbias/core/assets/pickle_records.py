"""What a restricted reader makes of a pickle: inert records that hold data and can do nothing."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from frbias.core.foundation.errors import BadInputError

if TYPE_CHECKING:
    import torch

Buffer = bytes | memoryview

# Storage classes of torch -> (torch dtype name, bytes per element).
STORAGE_TYPES = {
    "FloatStorage": ("float32", 4),
    "DoubleStorage": ("float64", 8),
    "HalfStorage": ("float16", 2),
    "BFloat16Storage": ("bfloat16", 2),
    "LongStorage": ("int64", 8),
    "IntStorage": ("int32", 4),
    "ShortStorage": ("int16", 2),
    "CharStorage": ("int8", 1),
    "ByteStorage": ("uint8", 1),
    "BoolStorage": ("bool", 1),
}


class UnsafePickleError(BadInputError):
    """A pickle asks for something that reading weights does not need; nothing of it was executed.

    Args:
        message: One sentence.
        name: What was asked for (``module.name``, an opcode, or a limit).
    """

    def __init__(self, message: str, *, name: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.name = name


@dataclass(frozen=True)
class NamedGlobal:
    """A name a pickle referred to; never looked up, imported or called.

    Attributes:
        module: Dotted module name as written in the pickle.
        name: Name in that module.
    """

    module: str
    name: str

    def __str__(self) -> str:
        text = f"{self.module}.{self.name}"[:200]
        return text if text.isprintable() else ascii(text)[1:-1]


@dataclass(frozen=True, eq=False)
class PersistentObject:
    """An object of NVIDIA's persistence scheme (version 6), taken apart.

    Attributes:
        class_name: Name of its class, e.g. ``Generator``.
        state: Its ``__dict__``: ``_parameters``, ``_buffers``, ``_modules`` and plain attributes.
        module_source: Text of the module that defined the class. Inert: read it, never run it.
    """

    class_name: str
    state: dict[str, Any] = field(repr=False)
    module_source: str = field(repr=False)

    @property
    def init_args(self) -> tuple[Any, ...]:
        """Positional arguments the object was made with."""
        return tuple(self.state.get("_init_args", ()))

    @property
    def init_kwargs(self) -> dict[str, Any]:
        """Keyword arguments the object was made with."""
        return dict(self.state.get("_init_kwargs", {}))


@dataclass(frozen=True, eq=False)
class InertObject:
    """An instance of a class pickled by reference (``torch.nn.modules.conv.Conv2d``), as data.

    Attributes:
        class_name: ``module.name`` of its class as written in the pickle.
        args: Arguments it was made with.
        state: What would have become its ``__dict__``; ``{"state": value}`` when that was no dictionary.
    """

    class_name: str
    args: tuple[Any, ...] = field(default=(), repr=False)
    state: dict[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, eq=False)
class BoundMethod:
    """A reference to ``owner.name``, which was pickled as a bound method.

    Attributes:
        owner: The record of the object.
        name: Attribute name.
    """

    owner: Any = field(repr=False)
    name: str


@dataclass(frozen=True, eq=False)
class Storage:
    """Raw numbers of a tensor, still in the file.

    Attributes:
        dtype: Name of a torch dtype.
        numel: Number of elements.
        data: Little-endian bytes, exactly ``numel`` elements.
    """

    dtype: str
    numel: int
    data: Buffer = field(repr=False)


@dataclass(frozen=True, eq=False)
class LazyTensor:
    """A tensor whose layout has been checked and whose numbers are read by :meth:`tensor`.

    Attributes:
        storage: Where its numbers are.
        offset: First element.
        size: Shape.
        stride: Steps in elements.
    """

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]

    def tensor(self) -> "torch.Tensor":
        """A new contiguous CPU tensor of shape ``size``, bit for bit as stored."""
        import torch

        dtype: torch.dtype = getattr(torch, self.storage.dtype)
        if 0 in self.size:
            return torch.empty(self.size, dtype=dtype)
        flat = torch.frombuffer(bytearray(self.storage.data), dtype=dtype)
        view = flat.as_strided(self.size, self.stride, self.offset)
        return view.clone(memory_format=torch.contiguous_format)


def make_lazy_tensor(storage: Any, offset: Any, size: Any, stride: Any) -> LazyTensor:
    """Check a tensor's layout against its storage.

    Raises:
        UnsafePickleError: It would read outside its storage, or hold more elements than are stored.
    """
    whole = [offset, *(size if type(size) is tuple else ["?"]), *(stride if type(stride) is tuple else ["?"])]
    if type(storage) is not Storage or any(type(n) is not int or n < 0 for n in whole) or len(size) != len(stride):
        raise UnsafePickleError("A tensor in the pickle has no valid storage, shape or stride.", name="tensor layout")
    count = 1
    for n in size:
        count *= n
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if count and (last >= storage.numel or count > storage.numel):
        raise UnsafePickleError(
            f"A tensor in the pickle claims {count} elements from {offset} to {last}, but its storage has {storage.numel}.",
            name="tensor size",
        )
    return LazyTensor(storage, offset, size, stride)
