"""The weights in a checkpoint of PyTorch Lightning, read by hand.

Such a file names classes of Lightning beside its tensors (a callback is known by its class), so torch's safe loader
refuses all of it. Here those names stay names: nothing is imported, and of the whole only ``state_dict`` is kept, each
tensor with its claimed size compared with the bytes that are there. Whatever else a file asks for is refused as ever.
"""

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from frbias.core.assets.pickle_records import InertObject, LazyTensor, NamedGlobal, Storage
from frbias.core.assets.torch_vetting import CheckpointPolicy, structure_of, torch_records

if TYPE_CHECKING:
    import torch

_INERT = ("pytorch_lightning.", "lightning.", "lightning_fabric.")
_SETTINGS = frozenset({("argparse", "Namespace"), ("pathlib", "PosixPath"), ("pathlib", "WindowsPath")})
_VERSION, _WEIGHTS = "pytorch-lightning_version", "state_dict"


class LightningPolicy(CheckpointPolicy):
    """Accepts what :class:`CheckpointPolicy` does, and classes of Lightning and of settings as inert records."""

    def find(self, name: NamedGlobal) -> NamedGlobal:
        """Accept a name without looking it up."""
        return name if _inert(name) else super().find(name)

    def call(self, function: Any, args: tuple[Any, ...]) -> Any:
        """Turn the making of an inert object into a record."""
        return InertObject(str(function)) if _inert(function) else super().call(function, args)

    def new(self, kind: Any, args: tuple[Any, ...]) -> Any:
        """Turn an instance of an inert class into a record."""
        return InertObject(str(kind)) if _inert(kind) else super().new(kind, args)

    def build(self, target: Any, state: Any) -> Any:
        """Drop the state of an inert record."""
        return target if isinstance(target, InertObject) else super().build(target, state)


def read_lightning(path: Path) -> "dict[str, dict[str, torch.Tensor]] | None":
    """``{"state_dict": ...}`` of a Lightning checkpoint, or None when the file is none.

    Raises:
        UnsafePickleError: It asks for more than tensors and names of Lightning, or claims more than it holds.
    """
    if not zipfile.is_zipfile(path):
        return None
    with zipfile.ZipFile(path) as archive:
        records = torch_records(archive, path.stat().st_size)
        policy = LightningPolicy({key: info.file_size for key, info in records.data.items()}, path.stat().st_size)
        content = structure_of(archive.read(records.structure), policy)
        if not isinstance(content, dict) or not isinstance(content.get(_VERSION), str):
            return None
        weights = content.get(_WEIGHTS)
        if not isinstance(weights, dict):
            return None
        keys = {id(storage): key for key, storage in policy.storages.items()}
        found = {}
        for name, tensor in weights.items():
            if isinstance(tensor, LazyTensor):
                data = archive.read(records.data[keys[id(tensor.storage)]])
                storage = Storage(tensor.storage.dtype, tensor.storage.numel, data)
                found[str(name)] = LazyTensor(storage, tensor.offset, tensor.size, tensor.stride).tensor()
    return {_WEIGHTS: found}


def _inert(name: Any) -> bool:
    if not isinstance(name, NamedGlobal):
        return False
    return name.module.startswith(_INERT) or (name.module, name.name) in _SETTINGS
