"""A trainable recogniser as ONNX, the way insightface's model zoo expects a recogniser.

Pixels are normalised outside of the graph, the batch axis is open, there is one output and no side file. insightface
subtracts 127.5 and divides by 127.5 whatever a recogniser was trained with, so another divisor (and another order of
colours) is worked into the first convolution of the exported graph. Another mean cannot be, because of the padding.
"""

import copy
import json
import warnings
from pathlib import Path

import torch

from frbias.core.foundation.errors import FrbiasError
from frbias.core.recognisers.base import Pixels
from frbias.core.recognisers.onnx_check import MEAN
from frbias.core.recognisers.trainable.base import Backbone

ONNX_OUTPUT = "embedding"
_OPSET = 17


def write_onnx(model: Backbone, path: Path) -> None:
    """Write a backbone as ONNX.

    Input ``data``: RGB (N, 3, 112, 112), normalised as :func:`exported_pixels` says, which is (pixel - 127.5) / 127.5 unless
    the weights were trained with another mean. Output ``embedding``: (N, D), not normalised. The metadata entry ``frbias``
    says how pixels are normalised.
    """
    import onnx

    size = model.input_size
    example = torch.zeros(2, 3, size, size)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter announces its successor on every call
        torch.onnx.export(
            _for_insightface(model),
            (example,),
            str(path),
            input_names=["data"],
            output_names=[ONNX_OUTPUT],
            dynamic_axes={"data": {0: "N"}, ONNX_OUTPUT: {0: "N"}},
            opset_version=_OPSET,
            dynamo=False,
        )

    written = onnx.load(str(path))
    pixels = exported_pixels(model).to_json()
    onnx.helper.set_model_props(written, {"frbias": json.dumps({"layout": "NCHW", **pixels})})
    onnx.save(written, str(path))


def exported_pixels(model: Backbone) -> Pixels:
    """What has to be done to pixels before the exported file: (pixel - 127.5) / 127.5 wherever that can be.

    Raises:
        FrbiasError: Every channel has a mean or scale of its own, which insightface has no place for.
    """
    pixels = model.pixels
    if pixels.mean == (MEAN,) * 3:
        return Pixels()
    if len(set(pixels.mean)) == len(set(pixels.scale)) == 1:
        return Pixels("RGB", pixels.mean, pixels.scale)
    raise FrbiasError(f"{model.architecture} normalises pixels in a way that insightface has no place for.")


def _for_insightface(model: Backbone) -> Backbone:
    """A copy that takes RGB pixels normalised as :func:`exported_pixels` says."""
    twin = copy.deepcopy(model).eval()
    first = next(m for m in twin.modules() if isinstance(m, torch.nn.Conv2d))
    ratio = torch.tensor(exported_pixels(model).scale) / torch.tensor(twin.pixels.scale)
    with torch.no_grad():
        first.weight.mul_(ratio.reshape(1, 3, 1, 1))
        if twin.pixels.colour == "BGR":
            first.weight.copy_(first.weight.flip(1).clone())
    return twin
