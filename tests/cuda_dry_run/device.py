"""A CUDA device that is not there: tensors that say ``cuda:i``, keep their numbers on the CPU, and refuse to mix.

``with PretendedCuda(devices=2): ...`` runs any code with ``device="cuda"`` on a build of torch without CUDA. What fails
on a GPU because tensors lie on different devices raises :class:`MixedDevices`, as ``.numpy()`` of a tensor of the device
does. The arithmetic is the CPU's, so that results can be compared with a run on the CPU.

It stands on private parts of torch and is tried with the release that ``constraints.txt`` pins.
"""

from collections.abc import Callable
from typing import Any

import torch
from backend import register
from counting import COUNTS, where
from torch.utils._python_dispatch import TorchDispatchMode

aten = torch.ops.aten
# Operations that write from one device to another are no mixture, and CUDA kernels take indices of the CPU (copied).
_MOVING = {aten._to_copy.default, aten.copy_.default, aten.copy.default}
_INDEXED = {
    aten.index.Tensor,
    aten.index_put.default,
    aten.index_put_.default,
    aten._index_put_impl_.default,
    aten._unsafe_index.Tensor,
}
_WAITING = {
    aten._local_scalar_dense.default,
    aten.nonzero.default,
    aten.equal.default,
    aten.is_nonzero.default,
    aten.masked_select.default,
    aten._unique2.default,
}
_FREE, _TOTAL = 70 << 30, 80 << 30


class MixedDevices(RuntimeError):
    """Tensors of different devices met."""


class OnDevice(torch.Tensor):
    """A tensor of the pretended device.

    Attributes:
        held: The CPU tensor with its numbers.
        place: Its device.
    """

    held: torch.Tensor
    place: torch.device

    @staticmethod
    def __new__(cls, held: torch.Tensor, place: torch.device) -> "OnDevice":
        with torch.inference_mode(False):
            made = torch.Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
                cls,
                held.size(),
                strides=held.stride(),
                storage_offset=held.storage_offset(),
                dtype=held.dtype,
                layout=held.layout,
                device=torch.device("pretended", 0),
                requires_grad=False,
            )
        made.held, made.place = held, place
        return made

    @property
    def device(self) -> torch.device:
        return self.place

    @property
    def is_cuda(self) -> bool:
        return True

    def __repr__(self, **options: Any) -> str:
        return f"OnDevice({self.held!r}, {self.place})"

    def __tensor_flatten__(self) -> tuple[list[str], torch.device]:
        return ["held"], self.place

    @staticmethod
    def __tensor_unflatten__(inner: dict[str, torch.Tensor], place: torch.device, size: Any, stride: Any) -> "OnDevice":
        return OnDevice(inner["held"], place)

    def numpy(self, *, force: bool = False) -> Any:
        raise MixedDevices(f"can't convert a tensor of {self.place} to numpy; use Tensor.cpu() first ({where()})")

    def __array__(self, *arguments: Any, **options: Any) -> Any:
        return self.numpy()

    def __deepcopy__(self, memo: dict[int, Any]) -> torch.Tensor:
        if id(self) in memo:
            found: torch.Tensor = memo[id(self)]
            return found
        with torch.no_grad():
            made: torch.Tensor = OnDevice(self.held.detach().clone(), self.place)
        if isinstance(self, torch.nn.Parameter) or getattr(self, "_is_param", False):
            made = torch.nn.Parameter(made, self.requires_grad)
        else:
            made.requires_grad_(self.requires_grad)
        memo[id(self)] = made
        return made

    def __reduce_ex__(self, protocol: Any) -> Any:
        return _as_saved, (self.held.detach().clone(),)

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


def _as_saved(held: torch.Tensor) -> torch.Tensor:
    return held


class PretendedCuda(TorchDispatchMode):
    """Within it, ``cuda`` means the pretended devices.

    Args:
        devices: How many there are.
    """

    def __init__(self, devices: int = 1) -> None:
        super().__init__()
        self.devices, self.current = devices, 0
        self._before: list[tuple[Any, str, Any]] = []

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing is compiled here, and to say so takes as long as to do it

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})

    def __enter__(self) -> "PretendedCuda":
        register()
        torch._C._set_only_lift_cpu_tensors(True)
        for name, value in self._answers().items():
            self._replace(torch.cuda, name, value)
        begin = torch.autocast.__init__

        def autocast(it: Any, device_type: str, *arguments: Any, **options: Any) -> None:
            begin(it, "pretended" if device_type == "cuda" else device_type, *arguments, **options)

        self._replace(torch.autocast, "__init__", autocast)
        self._replace(torch.Tensor, "pin_memory", lambda tensor, *a: tensor)
        super().__enter__()
        return self

    def __exit__(self, *what: Any) -> None:
        try:
            super().__exit__(*what)
        finally:
            for owner, name, value in reversed(self._before):
                setattr(owner, name, value)
            self._before.clear()
            torch._C._set_only_lift_cpu_tensors(False)

    def _replace(self, owner: Any, name: str, value: Any) -> None:
        self._before.append((owner, name, getattr(owner, name)))
        setattr(owner, name, value)

    def _answers(self) -> dict[str, Callable[..., Any]]:
        class Properties:
            name, total_memory, major, minor, multi_processor_count = "pretended", _TOTAL, 9, 0, 132

        class Stream:
            def wait_stream(self, other: Any) -> None: ...
            def synchronize(self) -> None: ...

        def choose(device: Any) -> None:
            self.current = device if isinstance(device, int) else torch.device(device).index or 0

        def free(device: Any = None) -> tuple[int, int]:
            COUNTS.waited("mem_get_info")
            return _FREE, _TOTAL

        return {
            "is_available": lambda: True,
            "is_initialized": lambda: True,
            "_lazy_init": lambda: None,
            "device_count": lambda: self.devices,
            "current_device": lambda: self.current,
            "set_device": choose,
            "synchronize": lambda device=None: None,
            "mem_get_info": free,
            "is_bf16_supported": lambda including_emulation=True: True,
            "get_device_name": lambda device=None: "pretended",
            "get_device_properties": lambda device=None: Properties,
            "get_device_capability": lambda device=None: (9, 0),
            "manual_seed_all": lambda seed: None,
            "current_stream": lambda device=None: Stream(),
            "Stream": lambda *a, **k: Stream(),
        }


class _Parts(TorchDispatchMode):
    """Sees the parts of an operation that is made of others."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


def _run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    if func.namespace == "aten" and _is_composite(func):
        with _Parts():
            made = func.decompose(*args, **kwargs)
        if made is not NotImplemented:
            return made
    if func in _MOVING:
        return _move(func, args, kwargs)
    given = _tensors((args, kwargs))
    ours = [t for t in given if isinstance(t, OnDevice)]
    wanted = None if kwargs.get("device") is None else _device(kwargs["device"])
    if not ours and (wanted is None or wanted.type != "cuda"):
        return func(*args, **{k: v for k, v in kwargs.items() if k != "pin_memory"})
    _check(func, args, given, ours)
    if func in _WAITING:
        COUNTS.waited(str(func))
    inherits = bool(ours) and (wanted is None or str(kwargs["device"]).startswith("pretended"))
    place = ours[0].place if inherits else wanted
    if wanted is not None and wanted.type == "cuda":
        kwargs = {k: v for k, v in kwargs.items() if k != "pin_memory"} | {"device": torch.device("cpu")}
    made = func(*_mapped(_held, args), **_mapped(_held, kwargs))
    if func.namespace == "c10d":
        return made
    return _as_written(func, args, kwargs, _mapped(lambda v: _wrapped(v, place), made))


def _check(func: Any, args: Any, given: list[torch.Tensor], ours: list[OnDevice]) -> None:
    """Raise where a GPU would; count indices that lie on the CPU.

    Raises:
        MixedDevices: Tensors of different devices, or a tensor of the CPU that is no number, meet.
    """
    loose = [t for t in given if not isinstance(t, OnDevice) and t.dim() > 0]
    if func in _INDEXED:
        indices = _tensors(args[1])
        if not isinstance(args[0], OnDevice) and any(isinstance(i, OnDevice) for i in indices):
            raise MixedDevices(f"{func}: indices of the device into a tensor of the CPU ({where()})")
        loose = [t for t in loose if all(t is not i for i in indices)]
        for _ in (i for i in indices if not isinstance(i, OnDevice)):
            COUNTS.copied(to_device=True)
        if any(i.dtype == torch.bool for i in indices):
            COUNTS.waited("boolean index")
    if func.namespace != "c10d" and (len({t.place for t in ours}) > 1 or (ours and loose)):
        seen = sorted({str(t.device) for t in given})
        raise MixedDevices(f"{func}: expected all tensors on one device, found {', '.join(seen)} ({where()})")


def _move(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    if func is aten._to_copy.default:
        return _converted(args[0], kwargs)
    into, source = args[0], args[1]
    one, two = isinstance(into, OnDevice), isinstance(source, OnDevice)
    if one != two and source.dim():
        COUNTS.copied(to_device=one)
    made = func(_held(into), _held(source), *args[2:], **kwargs)
    if func is aten.copy_.default:
        return into
    return OnDevice(made, into.place) if one else made


def _converted(source: torch.Tensor, kwargs: dict[str, Any]) -> torch.Tensor:
    here = source.place if isinstance(source, OnDevice) else torch.device("cpu")
    asked = kwargs.get("device")
    there = here if asked is None else _device(asked)
    if str(asked).startswith("pretended"):
        there = here if here.type == "cuda" else _device("cuda")
    rest = {k: v for k, v in kwargs.items() if k not in ("device", "pin_memory", "non_blocking")}
    inner = _held(source)
    made = aten._to_copy.default(inner, **rest)
    if here.type != there.type:
        COUNTS.copied(to_device=there.type == "cuda")
    return OnDevice(made, there) if there.type == "cuda" else made


def _as_written(func: Any, args: Any, kwargs: dict[str, Any], made: Any) -> Any:
    """Operations in place, or with ``out=``, give the tensor they were given."""
    written = {}
    for number, argument in enumerate(func._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            value = kwargs.get(argument.name, args[number] if number < len(args) else None)
            written |= dict.fromkeys(argument.alias_info.before_set, value)
    if not written:
        return made
    parts = made if isinstance(made, tuple) else (made,)
    found = []
    for part, returned in zip(parts, func._schema.returns, strict=False):
        names = returned.alias_info.before_set if returned.alias_info is not None else ()
        found.append(next((written[name] for name in names if name in written), part))
    if isinstance(made, tuple):
        return tuple(found)
    return found[0] if found else made


def _is_composite(func: Any) -> bool:
    try:
        return bool(torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), "CompositeImplicitAutograd"))
    except (RuntimeError, AttributeError):
        return False


def _tensors(value: Any) -> list[torch.Tensor]:
    found: list[torch.Tensor] = []
    _mapped(lambda v: found.append(v) if isinstance(v, torch.Tensor) else None, value)
    return found


def _mapped(change: Callable[[Any], Any], value: Any) -> Any:
    """``value`` with everything in its tuples, lists and dictionaries changed; what torch has for this takes four times as long."""
    if isinstance(value, dict):
        return {name: _mapped(change, one) for name, one in value.items()}
    if type(value) in (tuple, list):
        return type(value)([_mapped(change, one) for one in value])
    return change(value)


def _held(value: Any) -> Any:
    return value.held if isinstance(value, OnDevice) else value


def _wrapped(value: Any, place: torch.device | None) -> Any:
    plain = isinstance(value, torch.Tensor) and not isinstance(value, OnDevice)
    return OnDevice(value, place) if plain and place is not None and place.type == "cuda" else value


def _device(value: Any) -> torch.device:
    device = torch.device(value)
    if device.type == "pretended" or (device.type == "cuda" and device.index is None):
        return torch.device("cuda", torch.cuda.current_device())
    return device
