"""What takes long and is none of what is tried is worked out once, and remembered by its content.

The answers are those of the real functions, found in the process from which runs are forked: people of the mesh
generator, faces found in pictures, what networks of torch give in eval mode, and figures in memory. Two things have no answer to keep:
how long training will take (which is measured), and drawings of figures. The one is said to be a second; in place of
the other a short text is written under the same name by the same calls.
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

_KNOWN: dict[tuple[Any, ...], Any] = {}


def remember_the_slow() -> None:
    """Put remembering functions in the place of slow ones, in this process and its children."""
    import matplotlib.figure
    import torch

    import frbias.core.stages.align as align
    import frbias.core.training.plan as plan
    from frbias.core.recognisers.trainable.base import Backbone
    from frbias.core.reporting.figures import every
    from frbias.synth.mesh.backend import MeshBackend

    render, find, run, sketches = MeshBackend.render, align.find_face, Backbone.run, every.sketches

    def rendered(self: Any, units: Any) -> Any:
        for unit in units:
            key = ("render", repr(self.options), unit.key, repr(unit.payload))
            yield _known(key, lambda unit=unit: next(iter(render(self, [unit]))))

    def sketched(document: Any, *, target: Any = None, beside: Any = ()) -> Any:
        key = ("sketch", _digest(json.dumps([document, target, *beside]).encode()))
        return _known(key, lambda: sketches(document, target=target, beside=beside))

    def found(detector: Any, image: Any, rule: str) -> Any:
        key = ("find", type(detector).__name__, image.shape, _digest(image.tobytes()), rule)
        return _known(key, lambda: find(detector, image, rule))

    def ran(self: Any, x: Any, names: tuple[str, ...]) -> Any:
        if torch.is_grad_enabled() or self.training:
            return run(self, x, names)
        state = b"".join(value.cpu().contiguous().numpy().tobytes() for value in self.state_dict().values())
        content = x.detach().cpu().contiguous().numpy().tobytes()
        key = ("run", names, tuple(x.shape), _digest(content), _digest(state), torch.is_autocast_enabled("cpu"))
        return _known(key, lambda: run(self, x, names)).clone()

    MeshBackend.render = rendered  # type: ignore[method-assign]
    every.sketches = sketched
    align.find_face = found
    Backbone.run = ran  # type: ignore[method-assign]
    plan.seconds_of = lambda *arguments, **options: 1.0
    matplotlib.figure.Figure.savefig = _write_title  # type: ignore[method-assign, assignment]


def _known(key: tuple[Any, ...], make: Callable[[], Any]) -> Any:
    if key not in _KNOWN:
        _KNOWN[key] = make()
    return _KNOWN[key]


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _write_title(figure: Any, place: Path, **options: Any) -> None:
    """In place of a drawing: what it would have been, under its name."""
    Path(place).write_text(f"figure {options.get('format', '')} of {len(figure.axes)} axes\n", encoding="utf-8")
