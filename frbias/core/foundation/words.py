"""Counts in words."""


def counted(number: int, one: str, many: str = "") -> str:
    """A number with its noun.

    Example:
        >>> counted(1, "image"), counted(1002, "image"), counted(2, "identity", "identities")
        ('1 image', '1,002 images', '2 identities')
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def size_text(count: float) -> str:
    """Bytes in words.

    Example:
        >>> size_text(0), size_text(1536), size_text(20 * 1024**3)
        ('0 B', '1.5 kB', '20 GB')
    """
    units = ("B", "kB", "MB", "GB", "TB")
    step = 0
    while count >= 1024 and step < len(units) - 1:
        count, step = count / 1024, step + 1
    return f"{count:.1f} {units[step]}" if step and count < 10 else f"{count:.0f} {units[step]}"
