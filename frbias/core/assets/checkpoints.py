"""Plain torch checkpoints from strangers: vetted first, then read by ``torch.load(weights_only=True)``.

torch's own safe loader refuses what is not on its list, but believes the sizes that a file claims, unpacks
compressed records without bound, and names what it refuses in its own way. So the structure is read first, see
:mod:`frbias.core.assets.torch_vetting`.
"""

from pathlib import Path
from typing import Any

from frbias.core.assets.lightning import read_lightning
from frbias.core.assets.pickle_records import UnsafePickleError
from frbias.core.assets.torch_vetting import first_line, vet_checkpoint
from frbias.core.foundation.errors import BadInputError


def load_checkpoint(path: Path) -> Any:
    """Read a torch file (zip archive or the older stream) on the CPU.

    Returns:
        Tensors in plain containers, as torch's safe loader gives them; of a Lightning checkpoint its ``state_dict`` alone.

    Raises:
        UnsafePickleError: It asks for anything but tensors in plain containers (named in ``.name``), claims
            more than it holds, or is truncated. Nothing of it was run.
        BadInputError: It cannot be read, or is no torch file.
    """
    import torch

    path = Path(path)
    try:
        try:
            vet_checkpoint(path)
        except UnsafePickleError:
            if (found := read_lightning(path)) is None:
                raise
            return found
        return torch.load(path, map_location="cpu", weights_only=True)
    except UnsafePickleError as error:
        raise UnsafePickleError(f"{path}: {error.message}", name=error.name, hint=error.hint) from None
    except BadInputError:
        raise
    except (OSError, RuntimeError, ValueError, EOFError, KeyError, AttributeError, TypeError) as error:
        raise BadInputError(f"{path} cannot be read as a torch file: {first_line(error)}") from error
    except Exception as error:  # pickle.UnpicklingError and whatever else torch raises on files it does not like
        raise UnsafePickleError(f"{path}: torch refuses it: {first_line(error)}", name="refused by torch") from error
