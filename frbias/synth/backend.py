"""What a face generator has to offer: a name, a plan of work units, and a way to render them."""

from typing import Protocol

from frbias.core.data.units import Column, Made, Producer, Task, WorkUnit

__all__ = ["AgeSynthesizer", "Column", "Made", "Task", "WorkUnit"]


class AgeSynthesizer(Producer, Protocol):
    """A generator of faces of known identity and age."""

    @property
    def name(self) -> str:
        """Short name, as in ``--backend``."""
        ...
