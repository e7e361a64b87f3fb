"""One command for several requests: the chosen one's options are taken, those of the others refused."""

from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field
from typing import Any, Union

from frbias.cli.takes import Part
from frbias.core.foundation.requests import (
    Request,
    attempt,
    flag,
    option_fields,
    option_name,
    option_types,
    suggestion,
)


@dataclass(frozen=True)
class OneOf(Part):
    """Requests of which one is made, chosen by the one option of ``kind``.

    Attributes:
        choices: Requests by the name that chooses them.
        usual: The name when nobody chooses.
    """

    choices: Mapping[str, type[Request]] = field(default_factory=dict)
    usual: str = ""

    @property
    def chooser(self) -> Field[Any]:
        """The option that chooses."""
        return option_fields(self.kind)[0]

    def fields(self) -> list[Field[Any]]:
        """The chooser, then every option of every choice once, as the first that has it describes it."""
        found = {self.chooser.name: self.chooser}
        for choice in self.choices.values():
            for f in option_fields(choice):
                found.setdefault(f.name, f)
        return list(found.values())

    def type_of(self, given: Field[Any]) -> Any:
        """What an option can be in any of the choices."""
        kinds = [option_types(kind)[given.name] for kind in self._owners(given.name).values()]  # type: ignore[arg-type]
        return Union[tuple(kinds)]  # noqa: UP007

    def default_of(self, given: Field[Any]) -> Any:
        """The default, where all that have the option agree on one."""
        defaults = {repr(f.default): f.default for f in self._fields_named(given.name)}
        return next(iter(defaults.values())) if len(defaults) == 1 else MISSING

    def read(self, given: Mapping[str, Any], problems: list[str]) -> Any:
        """The chosen request, or None with what is wrong added to ``problems``."""
        choosing, asked = flag(option_name(self.chooser)), given[self.chooser.name]
        chosen = asked or self.usual
        if chosen not in self.choices:
            known = f"use {', '.join(self.choices)}"
            problems.append(f"{choosing} {chosen!r} is unknown; {known}{suggestion(chosen, self.choices) or '.'}")
            return None
        settings = {}
        for f in self.fields():
            value = given[f.name]
            owners = self._owners(f.name)
            if value in (None, []) or f.name == self.chooser.name:
                continue
            if chosen in owners:
                settings[option_name(f)] = value
                continue
            advice = " or ".join(f"{choosing} {owner}" for owner in owners)
            meant = "" if asked else f", which is meant without {choosing}"
            problems.append(f"{flag(option_name(f))} belongs to {advice}, not to {choosing} {chosen}{meant}.")
        made, wrong = attempt(self.choices[chosen], settings)
        problems += wrong
        return made

    def _owners(self, name: str) -> dict[str, type[Request]]:
        kinds = {"": self.kind, **self.choices}
        return {n: k for n, k in kinds.items() if any(f.name == name for f in option_fields(k))}

    def _fields_named(self, name: str) -> list[Field[Any]]:
        return [f for kind in self._owners(name).values() for f in option_fields(kind) if f.name == name]
