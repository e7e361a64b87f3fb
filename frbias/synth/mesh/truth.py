"""What is known of a picture and can be had beside it: points, a mask of its parts, all that it was made from."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from frbias.core.data.datasets.layouts.fgnet import format_points
from frbias.core.data.images import encode_png
from frbias.synth.mesh.faces import RenderedFace


def truth_files(face: RenderedFace, file_name: str, kinds: tuple[str, ...]) -> dict[str, bytes]:
    """Files about a picture: name relative to the image set -> content.

    ``truth/<name>.pts`` holds the 68 points in FG-NET's order, ``truth/<name>.mask.png`` the number in
    :data:`frbias.synth.mesh.parts.PARTS` of every pixel, ``truth/<name>.json`` pose, camera, light, film,
    expression, clothes, the person and the weights of all blend shapes.
    """
    stem = f"truth/{file_name.rsplit('.', 1)[0]}"
    files: dict[str, bytes] = {}
    if "landmarks" in kinds:
        files[f"{stem}.pts"] = format_points(face.points68)
    if "mask" in kinds and face.parts is not None:
        files[f"{stem}.mask.png"] = encode_png(face.parts)
    if "params" in kinds:
        files[f"{stem}.json"] = json.dumps(_plain(face.made_from), indent=1, sort_keys=True).encode("utf-8") + b"\n"
    return files


def _plain(value: Any) -> Any:
    """The value in terms of JSON; arrays as lists, dataclasses as objects."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return value
