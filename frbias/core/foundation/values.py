"""Reading what people write into the types of Python, and checking values against their types and bounds.

Understood: ``str``, ``int``, ``float``, ``bool``, ``Path`` (``~`` is expanded), ``Literal``, ``X | None`` and tuples of
one kind of these; lists are written ``5,20,40``, numbers also ``start:stop:step`` (stop included).
"""

import difflib
import math
import types
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

_YES, _NO = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
_MOST = 10_000


class Unusable(ValueError):
    """A value cannot be read; the text says what it is and what to write, without the name of the option."""


def converted(value: object, kind: Any) -> Any:
    """``value`` (text, or what a TOML file holds) as ``kind``.

    Raises:
        Unusable: It cannot be read as that.
    """
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        inner = [arm for arm in get_args(kind) if arm is not type(None)]
        return converted(value, inner[0])
    if origin is tuple:
        return _items(value, get_args(kind))
    if origin is Literal:
        return _choice(value, get_args(kind))
    readers = {str: _text, int: _whole, float: number, bool: _truth, Path: _path}
    return readers[kind](value)


def number(value: object) -> float:
    """A finite number.

    Raises:
        Unusable: It is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise Unusable(f"is {_kind(value)}, not a number.")
    try:
        result = float(value)
    except (ValueError, OverflowError):
        raise Unusable(f"{value!r} is not a number.") from None
    if not math.isfinite(result):
        raise Unusable(f"{value!r} is not a finite number.")
    return result


def numbers(value: object) -> tuple[float, ...]:
    """``5,20,40``, ``0:80:10`` (start:stop:step, stop included) or a list of numbers.

    Raises:
        Unusable: Something is not a number, or the list is empty.
    """
    parts = value if isinstance(value, list | tuple) else [p.strip() for p in str(value).split(",")]
    found: list[float] = []
    for part in parts:
        if isinstance(part, str) and ":" in part:
            found += _span(part)
        elif part != "":
            found.append(number(part))
    if not found:
        raise Unusable("is empty; write numbers such as 5,20,40.")
    return tuple(found)


def share(value: object) -> float:
    """A share: ``0.01`` or ``1%``.

    Raises:
        Unusable: It is no number.
    """
    if isinstance(value, str) and value.strip().endswith("%"):
        return number(value.strip()[:-1]) / 100
    return number(value)


def shares(value: object) -> tuple[float, ...]:
    """``0.1,1%`` or a list of shares.

    Raises:
        Unusable: Something is no number, or the list is empty.
    """
    parts = value if isinstance(value, list | tuple) else [p.strip() for p in str(value).split(",")]
    found = tuple(share(part) for part in parts if part != "")
    if not found:
        raise Unusable("is empty; write shares such as 0.01 or 1%.")
    return found


def shown_shares(values: tuple[float, ...]) -> str:
    """Shares as people write them: ``10%,1%,0.1%``."""
    return ",".join(f"{100 * value:g}%" for value in values)


def out_of_place(value: Any, kind: Any, low: float | None, high: float | None) -> str:
    """What is wrong with a value of a request, as the rest of a sentence, or an empty text."""
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in get_args(kind):
            return ""
        inner = [arm for arm in get_args(kind) if arm is not type(None)]
        return min((out_of_place(value, arm, low, high) for arm in inner), key=len)
    if origin is tuple:
        if not isinstance(value, tuple):
            return f"is {_kind(value)}, not a tuple."
        arms = get_args(kind)
        every = [arms[0]] * len(value) if arms[-1] is Ellipsis else arms
        if len(every) != len(value):
            return f"has {len(value)} values, not {len(every)}."
        return next(filter(None, (out_of_place(v, k, low, high) for v, k in zip(value, every, strict=True))), "")
    if origin is Literal:
        return "" if value in get_args(kind) else _unknown(value, get_args(kind))
    return _plain_problem(value, kind, low, high)


def _plain_problem(value: Any, kind: Any, low: float | None, high: float | None) -> str:
    if kind in (int, float):
        accepted: Any = int if kind is int else (int, float)
        if isinstance(value, bool) or not isinstance(value, accepted):
            return f"is {_kind(value)}, not a {'whole ' if kind is int else ''}number."
        if not math.isfinite(value) or (low is not None and value < low) or (high is not None and value > high):
            return f"{value:g} is out of range; use {_range(low, high)}."
        return ""
    return "" if isinstance(value, kind) else f"is {_kind(value)}, not {kind.__name__}."


def _range(low: float | None, high: float | None) -> str:
    if high is None:
        return "a finite number" if low is None else f"{low:g} or more"
    return f"{high:g} or less" if low is None else f"{low:g} to {high:g}"


def _span(text: str) -> list[float]:
    parts = text.split(":")
    try:
        start, stop, step = (float(p) for p in parts)
        count = int((stop - start) / step + 1e-9) if step > 0 and stop >= start else -1
    except (ValueError, OverflowError):
        count = -1
    if not 0 <= count <= _MOST:
        raise Unusable(f"{text!r} is no start:stop:step range; write e.g. 0:80:10.")
    return [start + i * step for i in range(count + 1)]


def _items(value: object, arms: tuple[Any, ...]) -> tuple[Any, ...]:
    if arms[-1] is Ellipsis and arms[0] is float:
        return numbers(value)
    parts = list(value) if isinstance(value, list | tuple) else [p.strip() for p in str(value).split(",")]
    parts = [p for p in parts if p != ""]
    every = [arms[0]] * len(parts) if arms[-1] is Ellipsis else list(arms)
    if len(every) != len(parts):
        raise Unusable(f"{value!r} is not {len(every)} values.")
    return tuple(converted(part, kind) for part, kind in zip(parts, every, strict=True))


def _choice(value: object, choices: tuple[Any, ...]) -> Any:
    text = str(value).strip()
    for choice in choices:
        if text == str(choice) or text.lower() == str(choice).lower():
            return choice
    raise Unusable(_unknown(value, choices))


def _unknown(value: object, choices: tuple[Any, ...]) -> str:
    names = [str(c) for c in choices]
    near = difflib.get_close_matches(str(value), names, n=1, cutoff=0.6)
    listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
    return f"{value!r} is unknown; use {listed}" + (f" (did you mean {near[0]}?)." if near else ".")


def _text(value: object) -> str:
    if isinstance(value, str | Path):
        return str(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value:g}" if isinstance(value, float) else str(value)
    raise Unusable(f"is {_kind(value)}, not text.")


def _whole(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str):
        try:
            return int(value.strip().replace("_", ""))
        except ValueError:
            raise Unusable(f"{value!r} is not a whole number.") from None
    raise Unusable(f"is {_kind(value)}, not a whole number.")


def _truth(value: object) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text in _YES or text in _NO:
        return text in _YES
    raise Unusable(f"{value!r} is neither true nor false.")


def _path(value: object) -> Path:
    if not isinstance(value, str | Path) or not str(value).strip():
        raise Unusable(f"is {_kind(value)}, not a path.")
    if "\0" in str(value):
        raise Unusable("holds a character that no path can have.")
    return Path(value).expanduser()


def _kind(value: object) -> str:
    names = {str: f"the text {value!r}", bool: str(value).lower(), type(None): "nothing", dict: "a table"}
    names |= {list: "a list", tuple: "a list"}
    return names.get(type(value), f"{value!r}")
