"""What every generator is asked for, and what generators have in common."""

from dataclasses import dataclass
from typing import ClassVar

from frbias.core.foundation.requests import Request, option

MESH, CUSP, EG3D = "Mesh generator", "CUSP", "EG3D-Age"
NETWORKS, PEOPLE = "CUSP and EG3D-Age", "Mesh generator and EG3D-Age"
ALL_SEEDS = 2**63 - 1


@dataclass(frozen=True)
class Population:
    """Numbered people that a generator makes; two with the same source share those whose numbers they share.

    Attributes:
        source: What makes them: a generator and seed, or an image set.
        numbers: Their numbers; None for all of the source.
    """

    source: str
    numbers: range | None = None

    def shares_people_with(self, other: "Population") -> bool:
        """True when somebody is in both."""
        if self.source != other.source:
            return False
        if self.numbers is None or other.numbers is None:
            return True
        return max(self.numbers.start, other.numbers.start) < min(self.numbers.stop, other.numbers.stop)


@dataclass(frozen=True, kw_only=True)
class GenerateRequest(Request):
    """Faces to make; each generator has a request of its own.

    Attributes:
        backend: Name of the generator.
        seed: Of everything random.
    """

    backend: ClassVar[str] = ""
    seed: int = option(0, help="Seed of everything random; the same seed gives the same result.", low=0, high=ALL_SEEDS)

    def population(self) -> Population | None:
        """Who is made, as far as the request tells; None when it does not."""
        return None


@dataclass(frozen=True, kw_only=True)
class NetworkOptions(Request):
    """What generators that are networks have in common.

    Attributes:
        compile: Compile the network (CUDA).
        batch_size: People (eg3d) or photographs (cusp) in flight at once.
    """

    compile: bool = option(False, help="Compile the decoder (CUDA).", panel=NETWORKS)
    batch_size: int = option(
        4,
        help="Units of work in flight at once; never changes the result on CPU.",
        panel=NETWORKS,
        low=1,
        high=4096,
        decides=False,
    )
