"""Recognisers published as ONNX by insightface, turned back into trainable iresnets.

The exporter folds every BatchNorm that follows a convolution into it. The walk below follows the graph
from its input, pairs each convolution with its place in the network, and puts what was folded into the
BatchNorm behind it: with running statistics 0 and 1, scale sqrt(1 + eps) and the folded bias as shift, the
pair computes exactly what the folded convolution did. Such statistics are placeholders: BatchNorm has to stay
in eval mode when the network is trained.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from frbias.core.foundation.errors import BadInputError
from frbias.core.recognisers.trainable.base import StateDict
from frbias.core.recognisers.trainable.iresnet import DEPTHS, IResNet, ResidualUnit

_PASS = frozenset({"Cast", "Identity", "Dropout", "Constant"})
_Arrays = dict[str, npt.NDArray[Any]]


def read_iresnet_onnx(path: Path) -> StateDict:
    """State dict of the iresnet in an ONNX file of an insightface recogniser (``w600k_r50.onnx`` and its like).

    Raises:
        BadInputError: The file cannot be read or its graph is not that of an iresnet.
    """
    import onnx
    from onnx import numpy_helper

    try:
        graph = onnx.load(str(path)).graph
        arrays = {i.name: numpy_helper.to_array(i) for i in graph.initializer}
        for node in graph.node:
            if node.op_type == "Constant":
                arrays[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
            elif node.op_type == "Identity" and node.input[0] in arrays:
                arrays[node.output[0]] = arrays[node.input[0]]
    except Exception as error:  # onnx and protobuf raise their own kinds
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise BadInputError(f"{path} cannot be read as ONNX: {reason}") from error
    try:
        return _Importer(graph, arrays).run()
    except (KeyError, IndexError, ValueError, StopIteration) as error:
        raise BadInputError(
            f"{path} is not the graph of an iresnet recogniser ({error}); frbias trains iresnets from ONNX only."
        ) from error


class _Importer:
    """Walks the chain of an exported iresnet and fills a state dict."""

    def __init__(self, graph: Any, arrays: _Arrays) -> None:
        self.arrays = arrays
        self.nodes = [n for n in graph.node if n.op_type not in _PASS or n.input[0] not in arrays]
        self.users: dict[str, list[Any]] = {}
        for node in self.nodes:
            for name in node.input:
                self.users.setdefault(name, []).append(node)
        self.tensor = next(i.name for i in graph.input if i.name not in arrays)
        self.state: dict[str, torch.Tensor] = {}

    def run(self) -> StateDict:
        model = self._blank()
        self._convolution("conv1", "bn1", model.bn1)
        self._slopes("prelu")
        for name, unit in _units(model):
            self._unit(name, unit)
        self._norm("bn2", self._take("BatchNormalization"))
        self._take("Flatten", "Reshape")
        self._linear(self._take("Gemm", "MatMul"))
        self._closing(model)
        for name, value in model.state_dict().items():
            if name.endswith("num_batches_tracked"):
                self.state[name] = torch.zeros((), dtype=torch.int64)
            elif name not in self.state or self.state[name].shape != value.shape:
                raise ValueError(f"{name} does not fit")
        return self.state

    def _blank(self) -> IResNet:
        """The empty network whose number of units is that of the graph."""
        sums = sum(1 for n in self.nodes if n.op_type == "Add" and not set(n.input) & self.arrays.keys())
        names = [name for name, depths in DEPTHS.items() if sum(depths) == sums]
        if not names:
            raise ValueError(f"{sums} residual sums")
        gemm = next(n for n in self.nodes if n.op_type in ("Gemm", "MatMul"))
        matrix = self.arrays[gemm.input[1]]
        with torch.device("meta"):
            return IResNet(names[0], matrix.shape[0] if _transposed(gemm) else matrix.shape[1])

    def _take(self, *kinds: str) -> Any:
        """The node of one of ``kinds`` that reads the current tensor; its output becomes the current one."""
        users = self.users.get(self.tensor, [])
        while len(users) == 1 and users[0].op_type in _PASS and users[0].op_type not in kinds:
            self.tensor = users[0].output[0]
            users = self.users.get(self.tensor, [])
        node = next((n for n in users if n.op_type in kinds), None)
        if node is None:
            raise ValueError(f"no {kinds[0]} where one is due")
        self.tensor = node.output[0]
        return node

    def _convolution(self, conv: str, norm: str, module: nn.Module, node: Any = None) -> None:
        node = node or self._take("Conv")
        self.tensor = node.output[0]
        self._put(f"{conv}.weight", self.arrays[node.input[1]])
        follower = self.users.get(self.tensor, [])
        if len(node.input) == 2 and len(follower) == 1 and follower[0].op_type == "BatchNormalization":
            self._norm(norm, self._take("BatchNormalization"))
            return
        width = self.arrays[node.input[1]].shape[0]
        bias = self.arrays[node.input[2]] if len(node.input) > 2 else np.zeros(width, np.float32)
        self._placeholder(norm, bias, float(module.eps))  # type: ignore[arg-type]

    def _unit(self, name: str, unit: ResidualUnit) -> None:
        entry = self.tensor
        self._norm(f"{name}.bn1", self._take("BatchNormalization"))
        self._convolution(f"{name}.conv1", f"{name}.bn2", unit.bn2)
        self._slopes(f"{name}.prelu")
        self._convolution(f"{name}.conv2", f"{name}.bn3", unit.bn3)
        branch = self.tensor
        if unit.downsample is not None:
            shortcut = next(n for n in self.users[entry] if n.op_type == "Conv")
            self._convolution(f"{name}.downsample.0", f"{name}.downsample.1", unit.downsample[1], shortcut)
        self.tensor = branch
        self._take("Add")

    def _slopes(self, name: str) -> None:
        self._put(f"{name}.weight", self.arrays[self._take("PRelu").input[1]].reshape(-1))

    def _norm(self, name: str, node: Any) -> None:
        for entry, source in zip(("weight", "bias", "running_mean", "running_var"), node.input[1:5], strict=True):
            self._put(f"{name}.{entry}", self.arrays[source])
        eps = next((a.f for a in node.attribute if a.name == "epsilon"), 1e-5)
        if not math.isclose(eps, 1e-5, rel_tol=1e-3):
            raise ValueError(f"{name} has epsilon {eps:g}")

    def _linear(self, node: Any) -> None:
        matrix = self.arrays[node.input[1]]
        self._put("fc.weight", matrix if _transposed(node) else matrix.T)
        if node.op_type == "MatMul":
            node = self._take("Add")
            self._put("fc.bias", next(self.arrays[n] for n in node.input if n in self.arrays))
        else:
            self._put("fc.bias", self.arrays[node.input[2]])

    def _closing(self, model: IResNet) -> None:
        if any(n.op_type == "BatchNormalization" for n in self.users.get(self.tensor, [])):
            self._norm("features", self._take("BatchNormalization"))
        else:
            self._placeholder("features", np.zeros(model.embedding_dim, np.float32), model.features.eps)

    def _placeholder(self, name: str, bias: npt.NDArray[Any], eps: float) -> None:
        ones = np.ones(bias.shape, np.float32)
        scale = ones * np.float32(math.sqrt(1.0 + eps))
        for entry, value in (("weight", scale), ("bias", bias), ("running_mean", ones * 0), ("running_var", ones)):
            self._put(f"{name}.{entry}", value)

    def _put(self, name: str, value: npt.NDArray[Any]) -> None:
        self.state[name] = torch.from_numpy(np.array(value, dtype=np.float32))


def _units(model: IResNet) -> Iterator[tuple[str, ResidualUnit]]:
    for name, module in model.named_modules():
        if isinstance(module, ResidualUnit):
            yield name, module


def _transposed(node: Any) -> bool:
    return any(a.name == "transB" and a.i == 1 for a in node.attribute)
