"""The pretended device for torch: a backend of its own name, with CUDA's rules of automatic 16-bit arithmetic."""

import ctypes
from pathlib import Path
from typing import Any

import torch
from torch.utils._pytree import tree_map

aten = torch.ops.aten
_IN_HALF = (
    "conv2d", "conv_transpose2d.input", "linear", "matmul", "mm", "addmm", "bmm", "baddbmm", "prelu",
)  # fmt: skip
_IN_FULL = (
    "softmax.int", "log_softmax.int", "cross_entropy_loss", "nll_loss", "cosine_similarity", "norm.Scalar", "rsqrt", "exp",
    "acos", "pow.Tensor_Scalar",
)  # fmt: skip
_KEPT: list[torch.library.Library] = []


def register() -> None:
    """Make torch know the device, once in a process."""
    if _KEPT:
        return
    _lend_a_guard()
    from torch.utils.backend_registration import _DummyBackendModule, _setup_privateuseone_for_python_backend

    class Module(_DummyBackendModule):
        def get_amp_supported_dtype(self) -> list[torch.dtype]:
            return [torch.float16, torch.bfloat16]

    _setup_privateuseone_for_python_backend("pretended", backend_module=Module())
    rules = torch.library.Library("aten", "IMPL")
    for names, half in ((_IN_HALF, True), (_IN_FULL, False)):
        for name in names:
            rules.impl(name, _casting(name, half=half), "AutocastPrivateUse1")
    rest = torch.library.Library("_", "IMPL")
    rest.fallback(torch.library.fallthrough_kernel, "AutocastPrivateUse1")
    _KEPT.extend([rules, rest])


def _casting(name: str, *, half: bool) -> Any:
    base, _, overload = name.partition(".")
    operation = getattr(getattr(aten, base), overload or "default")
    here = torch._C.DispatchKeySet(torch._C.DispatchKey.AutocastPrivateUse1)

    def cast(*arguments: Any, **options: Any) -> Any:
        to = torch.get_autocast_dtype("pretended") if half else torch.float32

        def changed(value: Any) -> Any:
            floats = isinstance(value, torch.Tensor) and value.is_floating_point() and value.dtype != torch.float64
            return value.to(to) if floats else value

        with torch._C._ExcludeDispatchKeyGuard(here):
            return operation(*tree_map(changed, arguments), **tree_map(changed, options))

    return cast


def _lend_a_guard() -> None:
    """Give a CPU build of torch the device guard without effect that CUDA builds use for fake tensors.

    ``torch._C._ensureCUDADeviceGuardSet`` replaces a CUDA guard that counts no devices; a CPU build has none at all. So it
    is lent one whose every method gives 0, for the moment of that call.
    """
    library = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libc10.so"))
    registry = (ctypes.c_void_p * 2).in_dll(library, "_ZN3c104impl26device_guard_impl_registryE")
    if registry[1]:
        torch._C._ensureCUDADeviceGuardSet()
        return
    nothing = ctypes.CFUNCTYPE(ctypes.c_int64)(lambda: 0)
    table = (ctypes.c_void_p * 64)(*[ctypes.cast(nothing, ctypes.c_void_p).value] * 64)
    lent = ctypes.c_void_p(ctypes.addressof(table))
    registry[1] = ctypes.addressof(lent)
    torch._C._ensureCUDADeviceGuardSet()
    if registry[1] == ctypes.addressof(lent):
        registry[1] = None
        raise RuntimeError("this build of torch has no fake CUDA guard")
