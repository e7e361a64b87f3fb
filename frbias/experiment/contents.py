"""What an experiment reads from outside: whether it is there, and a hash of its content; each is looked at once."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from frbias.core.data.datasets.resolving import resolve_data
from frbias.core.faces.detect import describe_detector
from frbias.core.foundation.errors import AssetMissingError, BadInputError, FrbiasError
from frbias.core.foundation.files import sha256_json
from frbias.core.foundation.machine import LOCAL, Machine
from frbias.core.recognisers.base import Recogniser
from frbias.core.recognisers.loading import load_trainable
from frbias.core.stages.align import hash_of_images, photographs_of
from frbias.core.stages.guards import guard_lists, guard_photographs
from frbias.core.stages.requests.guard import GuardOptions
from frbias.core.stages.shared import is_aligned
from frbias.synth.backends import make_backend
from frbias.synth.generate import generate_work
from frbias.synth.requests import GenerateRequest

T = TypeVar("T")
ABSENT = "absent"


@dataclass(frozen=True)
class Amount:
    """The content of a set, and how large it is.

    Attributes:
        key: Hash of its content.
        images: How many images it has; 0 when that is not known.
    """

    key: str = ABSENT
    images: int = 0


@dataclass
class Contents:
    """Looks at what is outside, and gathers what is not there.

    Attributes:
        machine: What may be used.
        hashed: Whether contents are wanted; without, keys are names (quicker for large sets).
        missing: A text for everything that is not installed.
        wrong: A text for everything that is there and cannot be used.
    """

    machine: Machine = LOCAL
    hashed: bool = True
    missing: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    _seen: dict[Any, Any] = field(default_factory=dict)

    def recogniser(self, weights: str) -> Recogniser | None:
        """A start model; None when it is not there."""
        return self._once(("weights", weights), lambda: load_trainable(weights, "finetune"), None)

    def weights(self, name: str) -> str:
        """Hash of a start model."""
        found = self.recogniser(name)
        return ABSENT if found is None else found.sha256

    def data(self, name: str) -> Amount:
        """A set of that name."""
        return self._once(("data", name), lambda: self._amount(resolve_data(name), name), Amount())

    def photographs(self, name: str) -> Amount:
        """A set of that name, or a plain folder of photographs."""
        return self._once(("photographs", name), lambda: self._amount(photographs_of(name)[0], name), Amount())

    def guard_lists(self, options: GuardOptions) -> list[dict[str, str]]:
        """The lists of pairs that guards go by; checks that a guard holds the pictures of each."""

        def look() -> list[dict[str, str]]:
            guard_photographs(options)
            return guard_lists(options)

        return self._once(("guards", options.guard, options.guard_pairs), look, [])

    def aligned(self, name: str, weights: str) -> bool:
        """Whether a set has the faces that a start model takes."""
        start = self.recogniser(weights)
        if start is None or self.data(name).key == ABSENT:
            return False
        return self._once(
            ("aligned", name, start.input_size), lambda: is_aligned(resolve_data(name), start.input_size), False
        )

    def generator(self, request: GenerateRequest) -> Amount:
        """What a generator would make."""

        def look() -> Amount:
            backend = make_backend(request, self.machine.resources.device)
            backend.prepare()
            images = sum(len(unit.tasks) for unit in backend.plan())
            return Amount(generate_work(backend).key, images)

        return self._once(("generator", request), look, Amount())

    def detector(self, name: str) -> dict[str, str]:
        """What a detector is."""
        return self._once(("detector", name), lambda: describe_detector(name), {})

    def need(self, look: Callable[[], object]) -> None:
        """Something else that has to be there; ``look`` raises when it is not."""
        self._once(("need", look), look, None)

    def refuse(self) -> None:
        """Refuse to go on when something is not there, or is not usable.

        Raises:
            BadInputError: Something cannot be used; also names what is missing.
            AssetMissingError: Names everything that is missing.
        """
        text = "\n\n".join(dict.fromkeys([*self.wrong, *self.missing]))
        if self.wrong:
            raise BadInputError(text)
        if self.missing:
            raise AssetMissingError(text)

    def _amount(self, table: Any, name: str) -> Amount:
        key = sha256_json(hash_of_images(table)) if self.hashed else name
        return Amount(key, len(table))

    def _once(self, key: Any, look: Callable[[], T], otherwise: T) -> T:
        if key not in self._seen:
            try:
                self._seen[key] = look()
            except AssetMissingError as error:
                self.missing.append(str(error))
                self._seen[key] = otherwise
            except FrbiasError as error:
                self.wrong.append(str(error))
                self._seen[key] = otherwise
        found: T = self._seen[key]
        return found
