"""Files that once did harm: read again, first of all, whenever the campaigns of damaged files run.

A file that loses something is put into the folder ``corpus`` beside this module, below the name of what it is, and
belongs into the repository together with its mend.
"""

import hashlib
from pathlib import Path

FOLDER = Path(__file__).with_name("corpus")


def kept(name: str) -> list[tuple[str, bytes]]:
    """Files kept of a format: name of the file, content."""
    return [(path.name, path.read_bytes()) for path in sorted(_folder(name).glob("*"))]


def keep(name: str, data: bytes) -> Path:
    """Put a file that lost something to those of its format."""
    place = _folder(name) / hashlib.sha256(data).hexdigest()[:12]
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(data)
    return place


def _folder(name: str) -> Path:
    return FOLDER / name.replace("/", "-").lstrip(".")
