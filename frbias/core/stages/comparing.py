"""Paired comparisons of several sources of embeddings against the first."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from frbias.core.foundation.devices import World
from frbias.core.foundation.errors import BadInputError, UsageError
from frbias.core.foundation.machine import Machine
from frbias.core.stages.measuring import compare_embeddings
from frbias.core.stages.requests.measuring import MeasureOptions
from frbias.core.stages.sources import Source

if TYPE_CHECKING:
    from frbias.core.verification.paired import Comparison


def compare_sources(
    sources: Sequence[Source],
    options: MeasureOptions,
    *,
    titles: Sequence[str],
    machine: Machine,
    world: World,
) -> "list[Comparison]":
    """Compare every source with the first, paired.

    Raises:
        BadInputError, UsageError: A pair cannot be compared; with more than two sources the message names it.
    """
    loaded = [source.load(machine, world) for source in sources]
    found = []
    for other, title in zip(loaded[1:], titles[1:], strict=True):
        try:
            found.append(
                compare_embeddings(loaded[0], other, options, names=(titles[0], title), machine=machine, world=world)
            )
        except (BadInputError, UsageError) as error:
            if len(sources) == 2:
                raise
            raise type(error)(f"{title} against {titles[0]}: {error.message}", hint=error.hint) from error
    return found
