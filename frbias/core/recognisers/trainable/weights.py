"""State dicts from files: read without executing anything, recognised by their entries, loaded strictly."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import torch

from frbias.core.foundation.errors import BadInputError, reason_of
from frbias.core.recognisers.base import Pixels
from frbias.core.recognisers.input_format import InputFormat
from frbias.core.recognisers.trainable.adaface import DEPTHS as IR_DEPTHS
from frbias.core.recognisers.trainable.adaface import AdaFace, adaface_entries, blank_adaface
from frbias.core.recognisers.trainable.base import Backbone, StateDict
from frbias.core.recognisers.trainable.iresnet import DEPTHS, IResNet
from frbias.core.recognisers.trainable.mobilefacenet import MobileFaceNet, double_width, shape_of
from frbias.core.recognisers.trainable.mobilefacenet_names import mobilefacenet_entries
from frbias.core.recognisers.trainable.sface import SFace

ARCHITECTURES = (*DEPTHS, *IR_DEPTHS, "mobilefacenet", "sface")
TORCH_SUFFIXES = frozenset({".pth", ".pt", ".ckpt", ".tar"})
_WRAPPERS = ("state_dict_backbone", "state_dict", "backbone", "model")
_NOTE = "frbias_input"
_PREFIXES = ("module.", "_orig_mod.", "backbone.")


def build(architecture: str, embedding_dim: int | None = None) -> Backbone:
    """A backbone with fresh weights.

    Args:
        architecture: One of :data:`ARCHITECTURES`.
        embedding_dim: Length of the embedding; None for the usual one (512; 128 for ``sface``).

    Raises:
        BadInputError: The architecture is unknown or has no such embedding.
    """
    if architecture in DEPTHS:
        return IResNet(architecture, embedding_dim or 512)
    if architecture in IR_DEPTHS:
        return AdaFace(architecture, embedding_dim or 512)
    if architecture == "mobilefacenet":
        return MobileFaceNet(double_width(embedding_dim or 512))
    if architecture == "sface" and embedding_dim in (None, SFace.embedding_dim):
        return SFace()
    raise BadInputError(f"The architecture {architecture!r} is unknown; known are {', '.join(ARCHITECTURES)}.")


def from_state(state: StateDict, where: str) -> Backbone:
    """The backbone that a state dict belongs to, carrying its weights, in eval mode.

    Args:
        state: Entries of the released kind; recognised by their names and shapes.
        where: File or folder named in errors.

    Raises:
        BadInputError: No known architecture has these entries, or an entry is missing, surplus or misshaped.
    """
    state = mobilefacenet_entries(adaface_entries(state))
    model = blank(state, where)
    architecture = model.architecture
    expected = model.state_dict()
    missing, surplus = sorted(expected.keys() - state.keys()), sorted(state.keys() - expected.keys())
    shapes = [k for k in expected.keys() & state.keys() if expected[k].shape != state[k].shape]
    for entries, problem in ((missing, "lacks"), (surplus, "has the unknown entry"), (sorted(shapes), "misshapes")):
        if entries:
            more = f" (and {len(entries) - 1} more)" if len(entries) > 1 else ""
            raise BadInputError(f"{where} looks like {architecture} but {problem} {entries[0]!r}{more}.")
    exact = {k: v.detach().clone().to(expected[k].dtype).contiguous() for k, v in state.items()}
    if broken := [k for k, v in exact.items() if not torch.isfinite(v).all()]:
        raise BadInputError(f"{where}: the weights {broken[0]!r} hold values that are not finite.")
    model.load_state_dict(exact, strict=True, assign=True)
    return model.eval()


def blank(state: StateDict, where: str) -> Backbone:
    """The network, without weights, that the names and shapes of a state dict tell.

    Raises:
        BadInputError: They belong to no known architecture.
    """
    with torch.device("meta"):
        if "layer1.0.bn1.weight" in state and "fc.weight" in state:
            return IResNet(_iresnet_named(state, where), _first_axis(state["fc.weight"]))
        if (network := blank_adaface(state)) is not None:
            return network
        if "stem.0.0.weight" in state and "layer4.1.1.0.weight" in state:
            return SFace()
        if "conv_sep.layers.0.weight" in state and "features.layers.2.weight" in state:
            try:
                return MobileFaceNet(shape_of(state))
            except (KeyError, ValueError, IndexError, ZeroDivisionError, RuntimeError) as error:
                raise BadInputError(f"{where} looks like mobilefacenet but does not fit together ({error}).") from error
    first = next(iter(state), "nothing")
    raise BadInputError(
        f"{where} holds no known recogniser (first entry {first!r}); known are {', '.join(ARCHITECTURES)}."
    )


def identify(state: StateDict, where: str) -> tuple[str, int]:
    """Name of the architecture and embedding length that the entries of a state dict tell.

    Raises:
        BadInputError: They belong to no known architecture.
    """
    model = blank(mobilefacenet_entries(adaface_entries(state)), where)
    return model.architecture, model.embedding_dim


def _iresnet_named(state: StateDict, where: str) -> str:
    found = (_count(state, 1), _count(state, 2), _count(state, 3), _count(state, 4))
    for name, depths in DEPTHS.items():
        if depths == found:
            return name
    raise BadInputError(f"{where} is an iresnet with {found} units per stage; known are {', '.join(DEPTHS)}.")


def _first_axis(weight: torch.Tensor) -> int:
    return int(weight.shape[0]) if weight.ndim else 0


def read_state(path: Path) -> dict[str, torch.Tensor]:
    """Read a state dict from ``.safetensors`` or a torch file; nothing in the file is executed.

    Wrappers written by trainers (``state_dict_backbone``, ``module.`` before every name) are taken off.

    Raises:
        BadInputError: The file is missing, unreadable, of another kind, or holds more than tensors.
    """
    path = Path(path)
    try:
        if path.suffix == ".safetensors":
            from frbias.core.assets.tensor_files import load_tensors

            return load_tensors(path)
        if path.suffix in TORCH_SUFFIXES:
            from frbias.core.assets.checkpoints import load_checkpoint

            return unwrap_state(load_checkpoint(path), path)
    except FileNotFoundError:
        raise BadInputError(f"{path} does not exist.") from None
    except BadInputError:
        raise
    except Exception as error:  # every reader has its own kinds
        reason = reason_of(error)
        raise BadInputError(f"{path} cannot be read as a weight file of tensors alone: {reason}") from error
    raise BadInputError(
        f"{path} is no weight file; known are .safetensors, {', '.join(sorted(TORCH_SUFFIXES))}, .onnx."
    )


def read_pixels(path: Path) -> Pixels | None:
    """What :func:`write_state` noted about the pixels in a ``.safetensors``; None when nothing is.

    Raises:
        BadInputError: The note is damaged.
    """
    from safetensors import SafetensorError, safe_open

    from frbias.core.assets.tensor_files import check_head

    if Path(path).suffix != ".safetensors":
        return None
    try:
        check_head(path)
        with safe_open(path, framework="pt") as file:
            note = (file.metadata() or {}).get(_NOTE)
        return None if note is None else InputFormat.of_values(json.loads(note), str(path)).pixels()
    except (SafetensorError, OSError, ValueError, AttributeError, RecursionError) as error:
        raise BadInputError(f"{path}: what it says about pixels cannot be read ({str(error)[:100]}).") from error


def write_state(path: Path, state: StateDict, pixels: Pixels) -> None:
    """Write a ``.safetensors`` with a note of what is done to pixels before; the caller makes the write atomic."""
    from safetensors.torch import save_file

    note = json.dumps({"colour": pixels.colour, "mean": list(pixels.mean), "scale": list(pixels.scale)})
    plain = {key: value.detach().cpu().contiguous() for key, value in state.items()}
    save_file(plain, path, metadata={_NOTE: note})  # one entry: safetensors writes several in an order of chance


def state_sha256(state: StateDict) -> str:
    """SHA-256 over names, types, shapes and values of all entries (BN counters left out), whatever file held them."""
    digest = hashlib.sha256()
    for name in sorted(k for k in state if not k.endswith("num_batches_tracked")):
        value = state[name].detach().cpu().contiguous()
        digest.update(f"{name}|{value.dtype}|{tuple(value.shape)}|".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _count(state: StateDict, layer: int) -> int:
    pattern = re.compile(rf"layer{layer}\.(\d+)\.bn1\.weight$")
    return sum(1 for key in state if pattern.match(key))


def unwrap_state(loaded: Any, path: Path) -> dict[str, torch.Tensor]:
    """The state dict inside what a trainer saved: wrappers and ``module.`` prefixes taken off.

    Raises:
        BadInputError: There is none.
    """
    for name in _WRAPPERS:
        if isinstance(loaded, dict) and isinstance(loaded.get(name), dict):
            loaded = loaded[name]
    tensors = isinstance(loaded, dict) and all(isinstance(v, torch.Tensor) for v in loaded.values())
    if not tensors or not loaded or not all(isinstance(k, str) for k in loaded):
        raise BadInputError(f"{path} is not a state dict (names and tensors).")
    state: dict[str, torch.Tensor] = dict(loaded)
    for prefix in _PREFIXES:
        if all(key.startswith(prefix) for key in state):
            state = {key.removeprefix(prefix): value for key, value in state.items()}
    return state
