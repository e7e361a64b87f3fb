"""What a face generator has to offer: a name, a plan of work units, and a way to render them."""

from collections.abc import Sequence
from typing import Protocol

from frbias.core.data.units import Producer


class AgeSynthesizer(Producer, Protocol):
    """A generator of faces of known identity and age, made for one request."""

    @property
    def name(self) -> str:
        """Short name, as in ``--backend``."""
        ...

    @property
    def notes(self) -> Sequence[str]:
        """What a person should know before starting, a sentence each."""
        ...
