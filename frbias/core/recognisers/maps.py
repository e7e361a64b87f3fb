"""An affine map behind a recogniser: y = A e/|e| + b, small enough to be learned without training the network."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from frbias.core.foundation.errors import BadInputError, reason_of
from frbias.core.foundation.files import atomic_path

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class EmbeddingMap:
    """What is done to every embedding before it is compared.

    Attributes:
        matrix: A, (K, D).
        shift: b, (K,).

    Raises:
        BadInputError: On construction: the shapes do not fit, a value is not finite, or nothing is left of any
            embedding.
    """

    matrix: Matrix
    shift: Matrix

    def __post_init__(self) -> None:
        a, b = self.matrix, self.shift
        if a.ndim != 2 or b.shape != (a.shape[0],) or min(a.shape) < 2:
            raise BadInputError(f"A map of embeddings is a matrix (K, D) and K numbers, not {a.shape} and {b.shape}.")
        if not (np.isfinite(a).all() and np.isfinite(b).all()):
            raise BadInputError("The map of the embeddings holds values that are not finite.")
        if not a.any():
            raise BadInputError("The map takes everything out of the embeddings, so that nothing is left to compare.")

    @classmethod
    def of(cls, matrix: Matrix, shift: Matrix | None = None) -> "EmbeddingMap":
        """The map of a matrix (K, D) and a shift (K,), 0 without one."""
        exact = np.asarray(matrix, dtype=np.float64)
        return cls(exact, np.zeros(len(exact)) if shift is None else np.asarray(shift, dtype=np.float64))

    @property
    def linear(self) -> bool:
        """Without a shift; the length of an embedding then changes no cosine and need not be divided out."""
        return not self.shift.any()

    @property
    def sha256(self) -> str:
        """Hash of the float32 values, as they are stored."""
        digest = hashlib.sha256()
        for part in (self.matrix, self.shift):
            digest.update(str(part.shape).encode() + part.astype("<f4").tobytes())
        return digest.hexdigest()

    def weakened(self, strength: float) -> "EmbeddingMap | None":
        """This map at a part of its strength: between it (1) and leaving embeddings as they are (0).

        None where the map has another number of rows than columns, so that there is nothing in between.
        """
        if strength == 1:
            return self
        rows, columns = self.matrix.shape
        if rows != columns:
            return None
        return EmbeddingMap.of(strength * self.matrix + (1 - strength) * np.eye(rows), strength * self.shift)

    def apply(self, embeddings: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
        """Mapped embeddings, float32 (N, K), of embeddings (N, D) of any length but 0."""
        return (unit(embeddings) @ self.matrix.T + self.shift).astype(np.float32)


def unit(embeddings: npt.NDArray[np.floating]) -> Matrix:
    """Embeddings (N, D) at length 1, in double precision; zeros stay zeros."""
    exact = np.asarray(embeddings, dtype=np.float64)
    length = np.linalg.norm(exact, axis=-1, keepdims=True)
    return np.divide(exact, length, out=np.zeros_like(exact), where=length > 0)


def write_map(path: Path, found: EmbeddingMap) -> None:
    """Write a map as safetensors: ``matrix`` and ``shift``, float32."""
    from safetensors.numpy import save_file

    tensors = {name: getattr(found, name).astype(np.float32) for name in ("matrix", "shift")}
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata={"format": "np"})


def read_map(path: Path) -> EmbeddingMap:
    """Read what :func:`write_map` wrote.

    Raises:
        BadInputError: It is no such file.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    from frbias.core.assets.tensor_files import check_head

    try:
        check_head(path)
        tensors = load_file(path)
        return EmbeddingMap.of(tensors["matrix"], tensors["shift"])
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        reason = reason_of(error)
        raise BadInputError(f"{path} holds no map of embeddings: {reason}") from error
