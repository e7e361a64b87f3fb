"""Numbers and names as they are written on a terminal."""


def percent(value: float | None) -> str:
    """A rate in per cent with three digits, never in powers of ten.

    Example:
        >>> percent(0.0000823), percent(0.5), percent(0.0)
        ('0.00823%', '50%', '0%')
    """
    return "undefined" if value is None else f"{digits(100 * value, 3)}%"


def points(value: float | None) -> str:
    """A difference of rates in percentage points.

    Example:
        >>> points(0.0745), points(-0.00012), points(0.0)
        ('+7.45 points', '-0.012 points', '0 points')
    """
    return "" if value is None else f"{signed(value, rate=True)} points"


def interval_title(confidence: float) -> str:
    """Heading of a column of intervals."""
    return f"{100 * confidence:g}% interval"


def number(value: float | None) -> str:
    """A number with three digits."""
    return "undefined" if value is None else digits(value, 3)


def decimals(value: float | None) -> str:
    """A number with three decimals."""
    return "undefined" if value is None else f"{value:.3f}"


def signed(value: float, *, rate: bool) -> str:
    """A difference with its sign: points with three digits (below 1 two, or three decimals), others with decimals."""
    if not rate:
        text = f"{value:+.3f}"
        return text if float(text) else "0"
    scaled = 100 * value
    text = digits(scaled, 3 if abs(scaled) >= 1 else 1 if 0.001 <= abs(scaled) < 0.01 else 2)
    return f"+{text}" if value > 0 else text


def digits(value: float, count: int) -> str:
    """``count`` significant digits, written out."""
    text = f"{value:.{count}g}"
    return text if "e" not in text else f"{float(text):,.0f}" if abs(value) > 1 else f"{float(text):.20f}".rstrip("0")


def escaped(text: str) -> str:
    """Text in which square brackets are no markup."""
    from rich.markup import escape

    return escape(text)
