"""One command for several requests, told apart by which option is given: ``--pairs`` means one, ``--identify`` another."""

from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field
from typing import Any, Union

from frbias.cli.takes import Part
from frbias.core.foundation.requests import Request, attempt, flag, option_fields, option_name, option_types


@dataclass(frozen=True)
class OneGiven(Part):
    """A request that is made unless an option of another one is given.

    Attributes:
        choices: The other requests by the field that chooses each.
    """

    choices: Mapping[str, type[Request]] = field(default_factory=dict)

    def fields(self) -> list[Field[Any]]:
        """Every option of every request once, as the first that has it describes it."""
        found: dict[str, Field[Any]] = {}
        for kind in self._kinds():
            for given in Part(kind).fields():
                found.setdefault(given.name, given)
        return list(found.values())

    def type_of(self, given: Field[Any]) -> Any:
        """What an option can be in any of the requests; a flag that chooses is no choice until it is given."""
        owners = [kind for kind in self._kinds() if given.name in option_types(kind)]  # type: ignore[arg-type]
        return Union[tuple(option_types(kind)[given.name] for kind in owners)]  # type: ignore[arg-type] # noqa: UP007

    def default_of(self, given: Field[Any]) -> Any:
        """The default that is shown; none for the options that choose."""
        return MISSING if given.name in self.choices and given.default is MISSING else given.default

    def read(self, given: Mapping[str, Any], problems: list[str]) -> Any:
        """The request that is meant, or None with what is wrong added to ``problems``."""
        meant = [name for name in self.choices if given[name] not in (None, [], False)]
        if len(meant) > 1:
            problems.append(f"Give one of {' and '.join(flag(name) for name in meant)}, not both.")
            return None
        kind = self.choices[meant[0]] if meant else self.kind
        own = {f.name for f in option_fields(kind)}
        settings = {}
        for f in self.fields():
            value = given[f.name]
            if value in (None, []) or (f.name in self.choices and f.name not in meant):
                continue
            if f.name in own:
                settings[option_name(f)] = value
                continue
            problems.append(self._foreign(f, meant))
        made, wrong = attempt(kind, settings)
        problems += wrong
        return made

    def _foreign(self, given: Field[Any], meant: list[str]) -> str:
        owners = [
            flag(name) for name, kind in self.choices.items() if given.name in {f.name for f in option_fields(kind)}
        ]
        if meant:
            return f"{flag(option_name(given))} has no meaning with {flag(meant[0])}."
        return f"{flag(option_name(given))} belongs to {' or '.join(owners)}."

    def _kinds(self) -> list[type[Request]]:
        return [self.kind, *self.choices.values()]
