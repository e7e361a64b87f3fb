"""Frozen dataclasses as JSON, and JSON as frozen dataclasses with every member checked.

A field is a member of the same name. ``member()`` changes that: another name in JSON, left out when None, or the
members of a dictionary written directly into the object. A class can override ``to_json`` and ``from_json``.
Members that no field asks for are ignored, so that new ones can be added without breaking older readers.
"""

import dataclasses
import math
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any, Literal, Self, Union

from frbias.core.foundation.errors import BadInputError

_PLAIN: dict[type, str] = {str: "text", bool: "true or false", int: "a whole number", float: "a number"}


def member(
    name: str | None = None,
    *,
    omit_none: bool = False,
    names: Callable[[], Iterable[str]] | None = None,
    own: bool = False,
    default: Any = dataclasses.MISSING,
) -> Any:
    """A field that is not simply the member of its own name.

    Args:
        name: Its name in JSON.
        omit_none: Leave it out of the JSON when it is None; the field's default is then None.
        names: The field is a dictionary whose members, of these names, stand in the object itself.
        own: The class writes and reads it itself, or it is no part of the JSON.
        default: The field's default.
    """
    metadata = {"json": name, "omit_none": omit_none, "names": names, "own": own}
    return dataclasses.field(default=None if omit_none else default, metadata=metadata, repr=not own)


class Record:
    """Base of the frozen dataclasses that a document is made of."""

    __slots__ = ()

    def to_json(self) -> dict[str, Any]:
        """JSON object with a member for every field."""
        found: dict[str, Any] = {}
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if field.metadata.get("own"):
                continue
            if field.metadata.get("names"):
                found |= to_json(value)
            elif value is not None or not field.metadata.get("omit_none"):
                found[field.metadata.get("json") or field.name] = to_json(value)
        return found

    @classmethod
    def from_json(cls, value: Any, path: str = "") -> Self:
        """The record of a JSON object that stands at ``path`` of its document.

        Raises:
            BadInputError: A member is missing or of the wrong type.
        """
        return cls(**read_fields(cls, checked_object(value, path), path))


def to_json(value: Any) -> Any:
    """JSON value of a record, of containers of records, or of a plain value."""
    if isinstance(value, Record):
        return value.to_json()
    if isinstance(value, Mapping):
        return {str(k): to_json(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(v) for v in value]
    return value


def from_json(kind: Any, value: Any, path: str = "") -> Any:
    """Read a JSON value as a record or any type that records are made of.

    Args:
        kind: A frozen dataclass, or an annotation of str, bool, int, float, None, Literal, unions, tuples, lists,
            dictionaries with text keys and Any.
        value: The JSON value.
        path: Where it stands in the document, dotted, for errors.

    Raises:
        BadInputError: A member is missing or of the wrong type; says which, what was expected and what is there.

    Example:
        >>> from_json(tuple[float, ...], [1, 0.5])
        (1.0, 0.5)
    """
    origin = typing.get_origin(kind)
    if kind is Any:
        return value
    if origin in (types.UnionType, Union):
        return _read_union(typing.get_args(kind), value, path)
    if origin is Literal:
        return value if value in typing.get_args(kind) else _refuse(path, _words(kind), value)
    if origin is tuple:
        return _read_tuple(typing.get_args(kind), value, path)
    if origin is list:
        items = _checked(value, list, path, "a list")
        return [from_json(typing.get_args(kind)[0], v, below(path, k)) for k, v in enumerate(items)]
    if origin is dict:
        items = _checked(value, dict, path, "an object")
        return {k: from_json(typing.get_args(kind)[1], v, below(path, k)) for k, v in items.items()}
    if isinstance(kind, type) and issubclass(kind, Record):
        return kind.from_json(value, path)
    return _read_plain(kind, value, path)


def read_fields(kind: type, value: Mapping[str, Any], path: str) -> dict[str, Any]:
    """The fields of a record, read from an object, but those that the class reads itself."""
    hints, found = _hints(kind), {}
    for field in dataclasses.fields(kind):
        if field.metadata.get("own"):
            continue
        name = field.metadata.get("json") or field.name
        if names := field.metadata.get("names"):
            inner = {k: value[k] for k in names() if k in value}
            found[field.name] = from_json(hints[field.name], inner, path)
        elif name in value:
            found[field.name] = from_json(hints[field.name], value[name], below(path, name))
        elif not field.metadata.get("omit_none"):
            _refuse(below(path, name), _words(hints[field.name]))
    return found


def checked_object(value: Any, path: str) -> dict[str, Any]:
    """The value itself when it is a JSON object.

    Raises:
        BadInputError: It is something else.
    """
    return _checked(value, dict, path, "an object")


def below(path: str, name: str | int) -> str:
    """Dotted path of a member."""
    return f"{path}.{name}" if path else str(name)


def _read_union(kinds: tuple[Any, ...], value: Any, path: str) -> Any:
    if value is None and type(None) in kinds:
        return None
    others = [k for k in kinds if k is not type(None)]
    if len(others) == 1:
        return from_json(others[0], value, path)
    for kind in others:
        try:
            return from_json(kind, value, path)
        except BadInputError:
            continue
    return _refuse(path, " or ".join(_words(k) for k in others), value)


def _read_tuple(kinds: tuple[Any, ...], value: Any, path: str) -> tuple[Any, ...]:
    items = _checked(value, list, path, "a list")
    if len(kinds) == 2 and kinds[1] is ...:
        return tuple(from_json(kinds[0], v, below(path, k)) for k, v in enumerate(items))
    if len(items) != len(kinds):
        _refuse(path, f"a list of {len(kinds)}", value)
    return tuple(from_json(k, v, below(path, i)) for i, (k, v) in enumerate(zip(kinds, items, strict=True)))


def _read_plain(kind: Any, value: Any, path: str) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind not in _PLAIN:
        raise TypeError(f"{kind} cannot be read from JSON")
    right = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
    if not right or (kind is float and not math.isfinite(value)):
        _refuse(path, _PLAIN[kind], value)
    return value


def _checked(value: Any, kind: type, path: str, words: str) -> Any:
    return value if isinstance(value, kind) else _refuse(path, words, value)


_MISSING = object()


def _refuse(path: str, expected: str, value: Any = _MISSING) -> Any:
    if value is _MISSING:
        raise BadInputError(f"{path} is missing; expected {expected}.")
    found = "nothing (null)" if value is None else f"{type(value).__name__} {value!r}"
    shown = found if len(found) <= 60 else f"{found[:57]}..."
    raise BadInputError(f"{path or 'the document'}: expected {expected}, found {shown}.")


def _words(kind: Any) -> str:
    if kind in _PLAIN:
        return _PLAIN[kind]
    if typing.get_origin(kind) is Literal:
        return " or ".join(map(repr, typing.get_args(kind)))
    if typing.get_origin(kind) in (types.UnionType, Union):
        return " or ".join("null" if k is type(None) else _words(k) for k in typing.get_args(kind))
    return "a list" if typing.get_origin(kind) in (tuple, list) else "an object"


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return typing.get_type_hints(kind)
