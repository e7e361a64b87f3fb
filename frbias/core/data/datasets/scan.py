"""Walking through a folder of face images: what fits a layout becomes a row, everything else is listed with its reason."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from frbias.core.data.datasets.layouts import fgnet, folder, lag
from frbias.core.data.datasets.layouts.known import LAYOUTS
from frbias.core.data.datasets.layouts.layout import FaceName, Layout
from frbias.core.data.images import IMAGE_SUFFIXES
from frbias.core.data.pictures import PICTURE_SUFFIXES, looks_like_picture
from frbias.core.data.samples import POINT_COLUMNS, SampleTable, make_table
from frbias.core.foundation.errors import BadInputError
from frbias.core.foundation.words import counted

MAX_FILES = 2_000_000
_SAMPLE = 2000
_FOLDERS = ("folder", "lag")  # any name fits them: folders decide
_IGNORED = ("Thumbs.db", "metadata.csv", "rejected.csv", "provenance.json")
_OF_A_MAC, _FORK = "__MACOSX", "._"
HIDDEN, BESIDE = "in hidden folders", "that a Mac keeps beside others"


@dataclass(frozen=True)
class Loaded:
    """What a path holds.

    Attributes:
        table: Its face images; of a folder, with paths relative to it, sorted by file name, and five points when the
            layout has them.
        rejected: (path relative to the folder, reason) of every image or point file that cannot be used as it is.
        layout: The layout it was read with.
        skipped: How many files called like pictures were passed over for where they lie, by the reason.
    """

    table: SampleTable
    rejected: list[tuple[str, str]]
    layout: Layout
    skipped: dict[str, int] = field(default_factory=dict)

    @property
    def passed_over(self) -> str:
        """What was passed over, in words; empty for nothing."""
        return words_of_skipped(self.skipped)


def words_of_skipped(skipped: Mapping[str, int]) -> str:
    """What was passed over, in words; empty for nothing.

    Example:
        >>> words_of_skipped({"in hidden folders": 2})
        '2 files in hidden folders were passed over'
    """
    told = [f"{counted(number, 'file')} {why}" for why, number in sorted(skipped.items()) if number]
    return f"{' and '.join(told)} {'was' if sum(skipped.values()) == 1 else 'were'} passed over" if told else ""


@dataclass
class _Files:
    images: list[PurePosixPath] = field(default_factory=list)
    points: dict[str, PurePosixPath] = field(default_factory=dict)
    rejected: list[tuple[str, str]] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)


def scan_folder(root: Path, layout: Layout | None = None) -> Loaded:
    """Read every image name below ``root``; no image is opened.

    Args:
        root: Folder of the data set.
        layout: How its files are named; None to find out.

    Raises:
        BadInputError: It is no folder, or holds no image that the layout (or any layout) can name.
    """
    root = Path(root)
    if not root.is_dir():
        raise BadInputError(f"{root} is not a folder.")
    files = _list_files(root)
    chosen = layout or _guess(root, files.images)
    rows: list[dict[str, Any]] = []
    seen: dict[str, str] = {}
    for path in files.images:
        name = chosen.parse(path)
        if name is None:
            files.rejected.append((str(path), f"its name does not fit {chosen.title} (e.g. {chosen.example})"))
            continue
        first = seen.setdefault(name.key or str(path), str(path))
        if first != str(path):
            files.rejected.append((str(path), f"the same image as {first} by its name"))
            continue
        rows.append(_row(root, path, name, chosen, files))
    if not rows:
        found = f"no image of {len(files.images)} is named like {chosen.example}" if files.images else "no images"
        raise BadInputError(f"{root} is no {chosen.title} folder: {found}.")
    return Loaded(make_table(root, rows), sorted(files.rejected), chosen, dict(files.skipped))


def _row(root: Path, path: PurePosixPath, name: FaceName, layout: Layout, files: _Files) -> dict[str, Any]:
    row: dict[str, Any] = {"file_name": str(path), "subject": name.subject, "age": name.age}
    row |= {column: getattr(name, column) for column in layout.columns}
    if layout.points and files.points:
        row |= dict.fromkeys(POINT_COLUMNS, None)
        annotated = files.points.get(path.stem.lower()) or files.points.get(name.key)
        if annotated is not None:
            try:
                points = fgnet.five_points(fgnet.read_points((root / annotated).read_bytes()))
                row |= dict(zip(POINT_COLUMNS, (float(v) for v in points.reshape(-1)), strict=True))
            except (BadInputError, OSError) as error:
                files.rejected.append((str(annotated), f"points not used, the image is: {error}"))
    return row


def _guess(root: Path, images: list[PurePosixPath]) -> Layout:
    step = max(1, len(images) // _SAMPLE)
    sample = images[::step]
    counts = Counter(
        {
            name: sum(layout.parse(p) is not None for p in sample)
            for name, layout in LAYOUTS.items()
            if name not in _FOLDERS
        }
    )
    best = max(counts, key=lambda name: counts[name])
    if sample and counts[best] * 2 > len(sample):
        return LAYOUTS[best]
    if sum(len(p.parts) > 2 and p.parts[-2] == lag.YOUNG_FOLDER for p in sample) * 5 > len(sample):
        return lag.LAYOUT
    if sample and sum(folder.parse(p) is not None for p in sample) * 2 > len(sample):
        return folder.LAYOUT
    raise BadInputError(
        f"{root} is in no known layout: {counted(len(images), 'image')}, neither in a folder per subject nor named like "
        + ", ".join(layout.example for name, layout in LAYOUTS.items() if name not in _FOLDERS)
        + ". A CSV file with the columns file_name, subject, age can say who is who."
    )


def _list_files(root: Path) -> _Files:
    files = _Files()
    for path, problem in _walk(root, files):
        name = str(path)
        if not name.isprintable():
            files.rejected.append((ascii(name), "its name has characters that cannot be printed"))
        elif path.suffix.lower() == ".pts":
            files.points.setdefault(path.stem.lower(), path)
        elif path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith("."):
            if problem:
                files.rejected.append((name, problem))
            else:
                files.images.append(path)
        elif looks_like_picture(root / path):
            files.rejected.append((name, _unread(path)))
    files.images.sort(key=lambda p: (str(p).lower(), str(p)))
    return files


def _walk(root: Path, files: _Files) -> Iterator[tuple[PurePosixPath, str]]:
    def unreadable(error: OSError) -> None:
        place = Path(error.filename or root)
        if not _passed_over(root, place):
            files.rejected.append((_relative(root, place), f"cannot be read: {error.strerror}"))

    count = 0
    for folder_name, inside, names in os.walk(root, onerror=unreadable):
        inside[:] = sorted(n for n in inside if n not in _IGNORED)
        passed_over = _passed_over(root, Path(folder_name))
        for name in sorted(names):
            if name in _IGNORED:
                continue
            if passed_over or name.startswith(_FORK):
                files.skipped[passed_over or BESIDE] += Path(name).suffix.lower() in PICTURE_SUFFIXES
                continue
            count += 1
            if count > MAX_FILES:
                raise BadInputError(f"{root} holds more than {MAX_FILES} files.")
            path = Path(folder_name) / name
            yield PurePosixPath(_relative(root, path)), _problem(root, path)


def _passed_over(root: Path, place: Path) -> str:
    """Why nothing in a folder is looked at; empty when it is."""
    within = place.relative_to(root).parts
    if _OF_A_MAC in within:
        return BESIDE
    return HIDDEN if any(part.startswith(".") for part in within) else ""


def _problem(root: Path, path: Path) -> str:
    try:
        if path.is_symlink() and not path.resolve().is_relative_to(root.resolve()):
            return "a link that leaves the folder"
        if not path.is_file():
            return "no regular file"
        return "empty (0 bytes)" if path.stat().st_size == 0 else ""
    except RuntimeError:  # how pathlib tells of links that lead in a circle
        return "a link that leads in a circle"
    except OSError as error:
        return f"cannot be read: {error.strerror}"


def _unread(path: PurePosixPath) -> str:
    if path.name.startswith("."):
        return "a hidden file (its name begins with a full stop)"
    if not path.suffix:
        return "a picture without a suffix; name it .png or .jpg"
    return f"{path.suffix} is not read; convert it to PNG or JPEG"


def _relative(root: Path, path: Path) -> str:
    return Path(os.path.relpath(path, root)).as_posix()
