"""What a recogniser that is only run wants to be given: size, layout, colour order, mean and scale.

Whatever the model does not tell can be said in a file beside it, ``model.toml`` or ``model.json`` for ``model.onnx``::

    [input]
    input_size = [112, 112]   # height, width; one number for a square
    layout = "NCHW"           # or "NHWC"
    colour = "RGB"            # or "BGR"
    mean = 127.5              # one number, or three in the order of colour
    scale = 127.5             # the network reads (pixel - mean) / scale
    output = "embedding"      # name of the output, where there are several

or by the same keys in the ONNX metadata entry ``frbias`` (JSON), or by options. What an option says goes before the
file beside the model, that before the metadata, and these before what is read from the graph.
"""

import json
import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, Self

from frbias.core.foundation.errors import BadInputError, UsageError, reason_of
from frbias.core.recognisers.base import Colour, Pixels

Layout = Literal["NCHW", "NHWC"]
MAX_SIDE = 2048
USUAL_PIXELS = Pixels()
_MAX_BYTES = 1 << 20


@dataclass(frozen=True)
class InputFormat:
    """What is known about the input; None where nothing is.

    Attributes:
        input_size: Height and width in pixels.
        layout: Order of the axes.
        colour: Order of the channels.
        mean: Subtracted from pixels (0..255): one number, or three in the order of ``colour``.
        scale: Divisor, likewise; not 0.
        output: Name of the output that is the embedding.

    Raises:
        UsageError: A value cannot be what it says.
    """

    input_size: tuple[int, int] | None = None
    layout: Layout | None = None
    colour: Colour | None = None
    mean: tuple[float, ...] | None = None
    scale: tuple[float, ...] | None = None
    output: str | None = None

    def __post_init__(self) -> None:
        if problem := self._problem():
            raise UsageError(problem)

    def _problem(self) -> str:
        if self.input_size is not None and not (
            len(self.input_size) == 2 and all(type(n) is int and 8 <= n <= MAX_SIDE for n in self.input_size)
        ):
            return f"The input size {self.input_size} is not a height and a width of 8 to {MAX_SIDE} pixels."
        if self.layout not in (None, "NCHW", "NHWC"):
            return f"The layout {self.layout!r} is unknown; it is NCHW or NHWC."
        if self.colour not in (None, "RGB", "BGR"):
            return f"The colour order {self.colour!r} is unknown; it is RGB or BGR."
        for name, values in (("mean", self.mean), ("scale", self.scale)):
            if values is not None and (len(values) not in (1, 3) or not all(map(math.isfinite, values))):
                return f"The {name} {values} is neither one number nor three."
        if self.scale is not None and 0 in self.scale:
            return "The scale divides pixels; it cannot be 0."
        return ""

    def to_json(self) -> dict[str, Any]:
        """As the values of a TOML or JSON table; what is unknown is left out."""
        known = {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) is not None}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in known.items()}

    def over(self, other: "InputFormat") -> "InputFormat":
        """This, with what it does not say taken from ``other``."""
        mine = {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) is not None}
        return replace(other, **mine)

    def pixels(self, usual: Pixels = USUAL_PIXELS) -> Pixels:
        """What is done to pixels: as said here, and as ``usual`` where nothing is."""
        mean, scale = (
            wanted if said is None else (said[0],) * 3 if len(said) == 1 else (said[0], said[1], said[2])
            for said, wanted in ((self.mean, usual.mean), (self.scale, usual.scale))
        )
        return Pixels(self.colour or usual.colour, mean, scale)

    @classmethod
    def of_values(cls, values: Mapping[str, Any], where: str) -> Self:
        """From the values of a TOML or JSON table.

        Raises:
            BadInputError: A key is unknown or a value is of the wrong type.
        """
        known = [f.name for f in fields(cls)]
        if not isinstance(values, Mapping):
            raise BadInputError(f"{where} holds no table of names and values about its input.")
        if unknown := [str(key) for key in values if key not in known]:
            raise BadInputError(f"{where} has the unknown key {unknown[0][:40]!r}; known are {', '.join(known)}.")
        try:
            return cls(
                input_size=_pair(values.get("input_size")),
                layout=_text(values.get("layout")),  # type: ignore[arg-type]
                colour=_text(values.get("colour")),  # type: ignore[arg-type]
                mean=_numbers(values.get("mean")),
                scale=_numbers(values.get("scale")),
                output=_text(values.get("output")),
            )
        except (TypeError, ValueError, OverflowError) as error:
            raise BadInputError(f"{where}: {error}.") from error
        except UsageError as error:
            raise BadInputError(f"{where}: {error.message}") from error


AS_THE_MODEL_SAYS = InputFormat()


def format_beside(path: Path) -> InputFormat:
    """What the files beside a model say: its ``.toml`` or ``.json``, the manifest of insightface, the settings of CVLFace.

    Raises:
        BadInputError: Such a file cannot be used.
    """
    for beside in (path.with_suffix(".toml"), path.with_suffix(".json")):
        if beside.is_file():
            content = _content(beside)
            if isinstance(content.get("input"), dict):
                return InputFormat.of_values(content["input"], str(beside))
            if beside.suffix == ".toml":
                raise BadInputError(f"{beside} has no table [input], which would say what {path.name} is to be given.")
    manifest, settings = path.with_name("manifest.json"), path.with_name("model.yaml")
    if manifest.is_file():
        return _of_manifest(_content(manifest), manifest, path.name)
    return _of_cvlface(settings) if settings.is_file() and path.suffix != ".onnx" else InputFormat()


def _content(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ValueError("it is larger than 1 MB")
        text = path.read_text(encoding="utf-8")
        content = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise BadInputError(f"{path} cannot be read ({reason_of(error)[:200]}).") from error
    if not isinstance(content, dict):
        raise BadInputError(f"{path} holds no table of names and values.")
    return content


def _of_manifest(content: dict[str, Any], manifest: Path, name: str) -> InputFormat:
    tasks = content.get("tasks")
    task = tasks.get("recognition") if isinstance(tasks, dict) else None
    if not isinstance(task, dict) or task.get("file") != name:
        return InputFormat()
    steps = task.get("preprocessing")
    if steps == "embedded":
        steps = {"mean": 0.0, "std": 1.0}
    steps = steps if isinstance(steps, dict) else {}
    values = {
        "input_size": task.get("input_size"),
        "mean": steps.get("mean"),
        "scale": steps.get("std"),
        "colour": "RGB",
    }
    return InputFormat.of_values({key: value for key, value in values.items() if value is not None}, str(manifest))


def _of_cvlface(settings: Path) -> InputFormat:
    """The line ``color_space`` of a ``model.yaml``."""
    with settings.open("rb") as stream:
        text = stream.read(_MAX_BYTES).decode("utf-8", "replace")
    found = re.search(r"^color_space:\s*['\"]?(RGB|BGR)\b", text, re.MULTILINE)
    return InputFormat() if found is None else InputFormat(colour="RGB" if found[1] == "RGB" else "BGR")


def _pair(value: Any) -> tuple[int, int] | None:
    if value is None:
        return None
    pair = [value, value] if not isinstance(value, list) else value
    if len(pair) != 2 or any(type(n) is not int for n in pair):
        raise TypeError(f"input_size {str(value)[:40]!r} is neither one whole number nor [height, width]")
    return pair[0], pair[1]


def _numbers(value: Any) -> tuple[float, ...] | None:
    if value is None:
        return None
    values = value if isinstance(value, list) else [value]
    if any(isinstance(n, bool) or not isinstance(n, int | float) for n in values):
        raise TypeError(f"{str(value)[:40]!r} is neither one number nor three")
    return tuple(float(n) for n in values)


def _text(value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise TypeError(f"{str(value)[:40]!r} is no text")
    return value
