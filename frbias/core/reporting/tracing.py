"""Numbers of a page that say which value of ``evaluation.json`` they are.

A shown number is ``<data class="n" data-json="targets.1.garbe" value="0.4832...">0.483</data>``: the path leads to the
value in the document the page was made from, the attribute ``value`` holds it in full.
"""

from collections.abc import Callable
from typing import Any

from markupsafe import Markup

MINUS, DASH = "\u2212", "\u2013"
UNDEFINED = "undefined"


def resolve(document: Any, path: str) -> Any:
    """The value at a dotted path; whole numbers index lists.

    Raises:
        KeyError: The path leads nowhere.

    Example:
        >>> resolve({"targets": [{"tau": 0.25}]}, "targets.0.tau")
        0.25
    """
    value = document
    for part in path.split("."):
        try:
            value = value[int(part)] if isinstance(value, list) else value[part]
        except (KeyError, IndexError, TypeError, ValueError):
            raise KeyError(path) from None
    return value


def percent(value: float) -> str:
    """``0.0123`` as ``1.23 %``: two decimals below ten per cent, one above."""
    scaled = 100 * value
    return f"{_signless(f'{scaled:.{2 if abs(scaled) < 9.995 else 1}f}')}\u202f%"


def rate(value: float) -> str:
    """A target FMR or a confidence, as short as it is exact: ``0.001`` as ``0.1 %``."""
    return f"{100 * value:.6g}\u202f%"


def decimals(value: float) -> str:
    """Three decimals."""
    return _signless(f"{value:.3f}")


def signed(value: float) -> str:
    """Three decimals with a sign."""
    return _with_sign(f"{value:.3f}")


def signed_points(value: float) -> str:
    """A difference of rates in percentage points, with a sign."""
    return _with_sign(f"{100 * value:.2f}")


def count(value: int) -> str:
    """A whole number with thousands separated."""
    return f"{value:,}"


def text(value: Any) -> str:
    """A name as it is."""
    return str(value)


STYLES: dict[str, Callable[[Any], str]] = {
    "percent": percent,
    "rate": rate,
    "decimals": decimals,
    "signed": signed,
    "points": signed_points,
    "count": count,
    "text": text,
}


class Tracer:
    """Shows values of a document; call it with a path and one of ``STYLES``.

    Args:
        document: The JSON document.
        source: Name of the file that holds it, for the hint under the pointer.
    """

    def __init__(self, document: Any, source: str) -> None:
        self.document = document
        self.source = source

    def __call__(self, path: str, style: str = "decimals") -> Markup:
        """The value at ``path`` as HTML; ``undefined`` where the document says null."""
        value = resolve(self.document, path)
        shown = UNDEFINED if value is None else STYLES[style](value)
        mark = Markup('<data class="n" data-json="{}" value="{}" title="{}: {}">{}</data>')
        return mark.format(path, "" if value is None else value, self.source, path, shown)

    def value(self, path: str) -> Any:
        """The value at ``path``, None where the document has none."""
        try:
            return resolve(self.document, path)
        except KeyError:
            return None


def _signless(number: str) -> str:
    if not float(number):
        return number.lstrip("-")
    return number.replace("-", MINUS)


def _with_sign(number: str) -> str:
    if not float(number):
        return number.lstrip("-")
    return number.replace("-", MINUS) if number.startswith("-") else f"+{number}"
