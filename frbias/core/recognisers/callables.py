"""A Python function of the user's as a recogniser: ``module:function`` or ``file.py:function``.

The function takes uint8 RGB faces (N, height, width, 3) and gives vectors (N, D), as a numpy array or a torch tensor.
What it may say about itself are attributes: ``input_size`` (one number, or height and width; 112 without it) and
``files`` (paths of weights it reads, so that other weights are another recogniser). Loading it runs the user's code.
"""

import importlib
import importlib.util
import inspect
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from frbias.core.foundation.errors import BadInputError, reason_of
from frbias.core.foundation.files import sha256_bytes, sha256_file, sha256_json
from frbias.core.recognisers.base import Description, Faces, Vectors, check_faces
from frbias.core.recognisers.input_format import InputFormat
from frbias.core.recognisers.probing import probe

_SPEC = re.compile(r"(?P<module>[A-Za-z_][\w.]*|.+\.py):(?P<function>[A-Za-z_]\w*)")
_USUAL_SIZE = 112


@dataclass(frozen=True, eq=False)
class CallableRecogniser:
    """A :class:`frbias.core.recognisers.base.Recogniser` that asks a function; make one with :func:`load_callable`.

    Attributes:
        name: ``module.function``, without packages or folders.
        sha256: Hash of the source file, and of the files the function names.
        description: What is known about it.
        function: The function.
    """

    name: str
    sha256: str
    description: Description
    function: Callable[[Faces], Any]

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width of the faces it takes, in pixels."""
        return self.description.input_size

    @property
    def embedding_length(self) -> int:
        """Numbers in an embedding."""
        return self.description.embedding_length

    def on(self, device: str) -> Self:
        """The same; where a function computes is its own affair."""
        return self

    def embed(self, faces: Faces) -> Vectors:
        """Embeddings (N, D) of faces (N, height, width, 3).

        Raises:
            BadInputError: The function fails, or does not give one vector a face.
        """
        check_faces(faces, self.input_size)
        found = self._ask(faces)
        if found.shape != (len(faces), self.embedding_length):
            raise BadInputError(
                f"{self.description.source} gives {found.shape} for {len(faces)} faces, "
                f"not ({len(faces)}, {self.embedding_length})."
            )
        return np.ascontiguousarray(found, dtype=np.float32)

    def _ask(self, faces: Faces) -> Any:
        try:
            found = self.function(faces.copy())
            found = found.detach().cpu().numpy() if hasattr(found, "detach") else found
            return np.asarray(found)
        except Exception as error:
            reason = reason_of(error)
            raise BadInputError(
                f"{self.description.source} failed on {len(faces)} faces: {type(error).__name__}: {reason}."
            ) from error


def is_callable_spec(spec: str) -> bool:
    """Whether ``spec`` is written as ``module:function`` or ``file.py:function``."""
    return _SPEC.fullmatch(spec) is not None


def load_callable(spec: str) -> CallableRecogniser:
    """Import the user's module and try its function on two crops.

    Args:
        spec: ``module:function`` (found in the working folder or among installed packages) or ``file.py:function``.

    Raises:
        BadInputError: There is no such module or function, it fails, or it gives no embeddings.
    """
    match = _SPEC.fullmatch(spec)
    if match is None:
        raise BadInputError(f"{spec!r} is not written as module:function.")
    module = _module(match["module"])
    function = getattr(module, match["function"], None)
    if not callable(function):
        raise BadInputError(f"{match['module']} has no function {match['function']!r}.")
    size = getattr(function, "input_size", None)
    told = _input_size(size, spec)
    own = re.split(r"[/\\]", match["module"])[-1]  # where the file lies is nobody else's business
    source = f"{own}:{match['function']}"
    about = Description("callable", 0, told, False, source, assumed=() if size is not None else ("input size",))
    stem = own.removesuffix(".py").rsplit(".", 1)[-1]
    found = CallableRecogniser(f"{stem}.{match['function']}", _hash(function, module, spec), about, function)
    length = probe(found._ask, told, spec)
    return replace(found, description=replace(about, embedding_length=length))


def _module(name: str) -> Any:
    try:
        if name.endswith(".py"):
            path = Path(name)
            if not path.is_file():
                raise BadInputError(f"{name} does not exist.")
            spec = importlib.util.spec_from_file_location(path.stem, path)
            if spec is None or spec.loader is None:
                raise BadInputError(f"{name} cannot be imported.")
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            return module
        here = str(Path.cwd())
        added = here not in sys.path
        if added:
            sys.path.insert(0, here)
        try:
            importlib.invalidate_caches()
            return importlib.import_module(name)
        finally:
            if added and here in sys.path:
                sys.path.remove(here)
    except BadInputError:
        raise
    except ModuleNotFoundError as error:
        raise BadInputError(f"{name} cannot be imported: {error}.") from error
    except Exception as error:
        reason = reason_of(error)
        raise BadInputError(f"{name} cannot be imported: {type(error).__name__}: {reason}.") from error


def _input_size(size: Any, spec: str) -> tuple[int, int]:
    if size is None:
        return _USUAL_SIZE, _USUAL_SIZE
    listed = list(size) if isinstance(size, tuple | list) else size
    told = InputFormat.of_values({"input_size": listed}, f"{spec}.input_size").input_size
    assert told is not None
    return told


def _hash(function: Any, module: Any, spec: str) -> str:
    """Of the source of the function's module and of the files it names; of its name where there is no source."""
    source = inspect.getsourcefile(module)
    parts = [sha256_file(Path(source)) if source and Path(source).is_file() else sha256_bytes(spec.encode())]
    for name in getattr(function, "files", ()):
        if not Path(name).is_file():
            raise BadInputError(f"{spec} names the file {name}, which does not exist.")
        parts.append(sha256_file(Path(name)))
    return parts[0] if len(parts) == 1 else sha256_json(parts)
