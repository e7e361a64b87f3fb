"""The graph of an exported recogniser, walked from its input, module by module, to fill a state dict.

Exporters fold every BatchNorm that follows a convolution into it. What was folded is put into the BatchNorm behind the
convolution: with running statistics 0 and 1, scale sqrt(1 + eps) and the folded bias as shift, the pair computes exactly
what the folded convolution did. Such statistics are placeholders: BatchNorm has to stay in eval mode when the network is
trained.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from frbias.core.recognisers.onnx_graph import OnnxFile

_PASS = frozenset({"Cast", "Identity", "Dropout", "Constant"})
_FLATTENING = frozenset({"Flatten", "Reshape", "Squeeze"})


class OtherGraphError(ValueError):
    """The graph is not that of the architecture; says where they part."""


class Walk:
    """Follows a graph from its input and fills a state dict.

    Args:
        file: The parsed file.

    Attributes:
        state: What has been found, by the names of the state dict.
        arrays: Constant tensors of the graph.
    """

    def __init__(self, file: OnnxFile) -> None:
        self.arrays = file.arrays
        self.nodes = [n for n in file.graph.node if not (n.op_type in _PASS and set(n.input) <= self.arrays.keys())]
        self.users: dict[str, list[Any]] = {}
        for node in self.nodes:
            for name in node.input:
                self.users.setdefault(name, []).append(node)
        self.tensor = file.input.name
        self.state: dict[str, torch.Tensor] = {}

    def next(self, *kinds: str) -> Any:
        """The node of one of ``kinds`` that reads the current tensor, or None; the walk does not move."""
        users = self.users.get(self.tensor, [])
        while len(users) == 1 and users[0].op_type in _PASS and users[0].op_type not in kinds:
            self.tensor = users[0].output[0]
            users = self.users.get(self.tensor, [])
        return next((n for n in users if n.op_type in kinds), None)

    def take(self, *kinds: str) -> Any:
        """As :meth:`next`; the node's output becomes the current tensor.

        Raises:
            OtherGraphError: There is no such node.
        """
        node = self.next(*kinds)
        if node is None:
            raise OtherGraphError(f"no {kinds[0]} where one is due")
        self.tensor = node.output[0]
        return node

    def shape_of_next_convolution(self) -> tuple[int, ...]:
        """Shape of the weights of the convolution that comes next, empty when none does."""
        node = self.next("Conv")
        return () if node is None else self.array(node.input[1]).shape

    def array(self, name: str) -> npt.NDArray[Any]:
        """A constant.

        Raises:
            OtherGraphError: The graph computes it.
        """
        if name not in self.arrays:
            raise OtherGraphError(f"{name[:60]} is no constant")
        return self.arrays[name]

    def convolution(self, conv: str, norm: str, eps: float, node: Any = None) -> None:
        """A convolution without bias and its BatchNorm, folded or not."""
        node = node or self.take("Conv")
        self.tensor = node.output[0]
        weight = self.array(node.input[1])
        self.put(f"{conv}.weight", weight)
        if len(node.input) == 2 and self.next("BatchNormalization") is not None:
            self.norm(norm, eps)
            return
        bias = self.array(node.input[2]) if len(node.input) > 2 else np.zeros(weight.shape[0], np.float32)
        self.placeholder(norm, bias, eps)

    def slopes(self, name: str) -> None:
        """A PReLU with one slope a channel."""
        self.put(f"{name}.weight", self.array(self.take("PRelu").input[1]).reshape(-1))

    def norm(self, name: str, eps: float) -> None:
        """A BatchNorm on its own."""
        node = self.take("BatchNormalization")
        for entry, source in zip(("weight", "bias", "running_mean", "running_var"), node.input[1:5], strict=True):
            self.put(f"{name}.{entry}", self.array(source))
        found = next((a.f for a in node.attribute if a.name == "epsilon"), 1e-5)
        if not math.isclose(found, eps, rel_tol=1e-3):
            raise OtherGraphError(f"{name} has epsilon {found:g}")

    def flatten(self) -> None:
        """Whatever turns a map into a vector."""
        while self.next(*_FLATTENING) is not None:
            self.take(*_FLATTENING)

    def linear(self) -> tuple[npt.NDArray[Any], npt.NDArray[Any] | None]:
        """A linear layer, as Gemm, MatMul or 1x1 convolution: its weights (out, in) and its bias."""
        node = self.take("Gemm", "MatMul", "Conv")
        matrix = self.array(node.input[1])
        bias = self.array(node.input[2]) if len(node.input) > 2 else None
        if node.op_type == "Conv":
            if matrix.shape[2:] != (1, 1):
                raise OtherGraphError("a convolution where a linear layer is due")
            return matrix[:, :, 0, 0], bias
        if node.op_type == "MatMul" and self.next("Add") is not None:
            bias = next((self.arrays[n] for n in self.take("Add").input if n in self.arrays), None)
        turned = any(a.name == "transB" and a.i == 1 for a in node.attribute)
        return (matrix if turned else matrix.T), bias

    def placeholder(self, name: str, bias: npt.NDArray[Any], eps: float) -> None:
        """A BatchNorm that only adds ``bias``."""
        ones = np.ones(bias.shape, np.float32)
        scale = ones * np.float32(math.sqrt(1.0 + eps))
        for entry, value in (("weight", scale), ("bias", bias), ("running_mean", ones * 0), ("running_var", ones)):
            self.put(f"{name}.{entry}", value)

    def closing_norm(self, name: str, length: int, eps: float, bias: npt.NDArray[Any] | None = None) -> None:
        """The BatchNorm of the embedding, which the exporter may have folded away; ``bias`` comes before it."""
        if self.next("BatchNormalization") is None:
            self.placeholder(name, np.zeros(length, np.float32) if bias is None else bias, eps)
            return
        self.norm(name, eps)
        if bias is not None:
            self.state[f"{name}.running_mean"] -= torch.from_numpy(np.array(bias, dtype=np.float32))

    def put(self, name: str, value: npt.NDArray[Any]) -> None:
        """Keep an entry."""
        self.state[name] = torch.from_numpy(np.array(value, dtype=np.float32))

    def finish(self, shapes: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The state dict with its counters, when it has every entry of ``shapes`` and the walk is at the end.

        Raises:
            OtherGraphError: An entry is missing or has another shape, or the graph goes on.
        """
        self.flatten()
        if self.users.get(self.tensor):
            raise OtherGraphError(f"a {self.users[self.tensor][0].op_type} behind the embedding")
        for name, like in shapes.items():
            if name.endswith("num_batches_tracked"):
                self.state[name] = torch.zeros((), dtype=torch.int64)
            elif name not in self.state or self.state[name].shape != like.shape:
                raise OtherGraphError(f"{name} does not fit")
        return self.state
