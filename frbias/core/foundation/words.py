"""Counts in words."""


def counted(number: int, one: str, many: str = "") -> str:
    """A number with its noun.

    Example:
        >>> counted(1, "image"), counted(1002, "image"), counted(2, "identity", "identities")
        ('1 image', '1,002 images', '2 identities')
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"
