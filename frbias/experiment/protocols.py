"""Published protocols in an experiment: lists of pairs and searches, by the recogniser before and after.

::

    [pairs]                      # options of frbias evaluate --pairs
    pairs = ["lfw.bin"]
    flip = "add"

    [identify]                   # options of frbias evaluate --identify
    at-fpir = [0.1]

``data`` names the pictures; without it they are those of ``[test]`` (a ``.bin`` set brings its own).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from frbias.core.data.datasets.resolving import resolve_data
from frbias.core.foundation.errors import BadInputError
from frbias.core.foundation.machine import Machine
from frbias.core.stages.identify import identify
from frbias.core.stages.outcomes import Measured
from frbias.core.stages.requests.protocols import ALL_PAIRS, CACDVS, IdentifyRequest, PairsRequest
from frbias.core.stages.verify_pairs import verify_pairs

ProtocolRequest = PairsRequest | IdentifyRequest
SECTIONS: dict[str, type[PairsRequest] | type[IdentifyRequest]] = {"pairs": PairsRequest, "identify": IdentifyRequest}
OF_TEST = Path("[test]")
"""Stands in a request for the embeddings of the test set, which are there only when it runs."""


@dataclass(frozen=True)
class Model:
    """A recogniser that is judged.

    Attributes:
        name: Name to show.
        weights: As ``--weights`` takes it.
        embeddings: Its embeddings of the test set.
    """

    name: str
    weights: str
    embeddings: Path


def needs_of(request: ProtocolRequest) -> Iterator[Callable[[], object]]:
    """What raises when an image set or a list of the protocol is not there."""
    if request.data is not None:
        yield partial(resolve_data, request.data)
    for text in request.pairs if isinstance(request, PairsRequest) else ():
        if text not in (ALL_PAIRS, CACDVS):
            yield partial(_there, text)


def judge_by(request: ProtocolRequest, model: Model, out: Path, machine: Machine) -> Measured:
    """Judge one recogniser by one protocol into the folder ``out``.

    Raises:
        BadInputError, UsageError: As the stages do.
    """
    weights = model.weights if request.embeddings is None else request.weights
    embeddings = None if request.embeddings is None else model.embeddings
    made = replace(request, name=model.name, weights=weights, embeddings=embeddings)
    if isinstance(made, PairsRequest):
        return verify_pairs(made, out, machine=machine)
    return identify(made, out, machine=machine)


def _there(text: str) -> None:
    if not Path(text).expanduser().is_file():
        raise BadInputError(f"[pairs] {text} does not exist; give a list of pairs, a .bin set, cacdvs or all.")
