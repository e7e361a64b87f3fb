"""Reading lists of pairs, whatever form they are written in; see :mod:`frbias.core.data.pairs`."""

import csv
import re
from pathlib import Path

from frbias.core.data.pairs import NamedPair, PairList, make_pair_list
from frbias.core.foundation.errors import BadInputError

MAX_BYTES = 512 * 1024 * 1024
_TRUTH = {"1": True, "true": True, "yes": True, "0": False, "-1": False, "false": False, "no": False}
_NAMES = {
    "file1": ("file1", "file_1", "image1", "img1", "path1", "first"),
    "file2": ("file2", "file_2", "image2", "img2", "path2", "second"),
    "same": ("same", "issame", "is_same", "mated", "label", "match"),
}
_WHAT = (
    "give LFW's pairs.txt, lines 'file label' (two a pair), lines 'file1 file2 label', "
    "a CSV file with the columns file1, file2, same, or a verification set .bin"
)


def read_pairs(path: Path) -> PairList:
    """Read a list of pairs; its form is found out from its first lines.

    Raises:
        BadInputError: It is no text file, is in none of the known forms, or a line does not fit its form (named).
    """
    path = Path(path)
    text = _text(path)
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
    if not lines:
        raise BadInputError(f"{path} is empty; {_WHAT}.")
    if "," in lines[0][1] and len(_header(lines[0][1])) > 1:
        return _csv(path, text)
    if re.fullmatch(r"\d+(\s+\d+)?", lines[0][1]):
        return _lfw(path, lines)
    words = [(number, line.split()) for number, line in lines]
    width = len(words[0][1])
    if width == 2:
        return _two_lines(path, words)
    if width == 3:
        return _one_line(path, words)
    raise BadInputError(f"{path} is no list of pairs in a form that frbias knows; {_WHAT}.")


def _text(path: Path) -> str:
    if not path.is_file():
        raise BadInputError(f"{path} is not a file; {_WHAT}.")
    if path.stat().st_size > MAX_BYTES:
        raise BadInputError(f"{path} has more than {MAX_BYTES} bytes.")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadInputError(f"{path} is not a text file in UTF-8; {_WHAT}.") from None
    if "\0" in text:
        raise BadInputError(f"{path} is not a text file; {_WHAT}.")
    return text


def _lfw(path: Path, lines: list[tuple[int, str]]) -> PairList:
    head = [int(word) for word in lines[0][1].split()]
    folds, each = (head[0], head[1]) if len(head) == 2 else (1, head[0])
    if not 0 < folds * each <= len(lines):
        raise BadInputError(f"{path}, line {lines[0][0]}: {lines[0][1]!r} promises other numbers than the file holds.")
    pairs: list[NamedPair] = []
    for number, line in lines[1:]:
        words = line.split("\t") if "\t" in line else line.split()
        fold, place = divmod(len(pairs), 2 * each)
        mated = place < each
        if len(words) != (3 if mated else 4):
            wanted = "'name i j'" if mated else "'name1 i name2 j'"
            raise BadInputError(f"{path}, line {number}: {wanted} is expected here, found {line[:80]!r}.")
        one, two = (words[0], words[1]), ((words[0], words[2]) if mated else (words[2], words[3]))
        pairs.append(
            NamedPair(
                _lfw_file(path, number, *one),
                _lfw_file(path, number, *two),
                mated,
                fold if folds > 1 else None,
                (one[0], two[0]),
            )
        )
    if len(pairs) != 2 * each * folds:
        raise BadInputError(
            f"{path}: its first line promises {folds} x {2 * each} pairs, but {len(pairs)} follow; is it whole?"
        )
    return make_pair_list(path, "lfw", pairs)


def _lfw_file(path: Path, line: int, person: str, number: str) -> str:
    if not (number.isascii() and number.isdigit() and len(number) <= 6):
        raise BadInputError(f"{path}, line {line}: {number[:40]!r} is no number of an image.")
    if "/" in person:
        raise BadInputError(f"{path}, line {line}: {person[:40]!r} is no name of a person.")
    return f"{person}/{person}_{int(number):04d}.jpg"


def _two_lines(path: Path, words: list[tuple[int, list[str]]]) -> PairList:
    if len(words) % 2:
        raise BadInputError(f"{path} has {len(words)} lines 'file label'; every pair needs two.")
    pairs: list[NamedPair] = []
    for (line, one), (after, two) in zip(words[::2], words[1::2], strict=True):
        for number, found in ((line, one), (after, two)):
            if len(found) != 2 or not (found[1].isascii() and found[1].isdigit() and len(found[1]) <= 4):
                raise BadInputError(
                    f"{path}, line {number}: 'file label' is expected here, found {' '.join(found)[:80]!r}."
                )
        if one[1] != two[1]:
            raise BadInputError(
                f"{path}, lines {line} and {after}: the two images of a pair have labels {one[1]} and {two[1]}."
            )
        label = int(one[1])
        pairs.append(NamedPair(one[0], two[0], label > 0, label - 1 if label else None))
    if max(pair.fold or 0 for pair in pairs) == 0:  # all labels are 0 or 1: they say who is mated, not which fold
        pairs = [NamedPair(pair.first, pair.second, pair.mated) for pair in pairs]
    return make_pair_list(path, "two-lines", pairs)


def _one_line(path: Path, words: list[tuple[int, list[str]]]) -> PairList:
    last = words[0][1][2].lower() in _TRUTH
    pairs: list[NamedPair] = []
    for number, found in words:
        label = found[-1 if last else 0].lower()
        if len(found) != 3 or label not in _TRUTH:
            form = "file1 file2 label" if last else "label file1 file2"
            raise BadInputError(f"{path}, line {number}: {form!r} is expected here, found {' '.join(found)[:80]!r}.")
        one, two = found[:2] if last else found[1:]
        pairs.append(NamedPair(one, two, _TRUTH[label]))
    return make_pair_list(path, "one-line", pairs)


def _header(line: str) -> dict[str, str]:
    """The columns of a CSV header that are known under a usual name: usual name -> as written."""
    present = {word.strip().strip('"').lower(): word.strip().strip('"') for word in line.split(",")}
    found = {wanted: next((present[n] for n in names if n in present), "") for wanted, names in _NAMES.items()}
    return {wanted: name for wanted, name in found.items() if name}


def _csv(path: Path, text: str) -> PairList:
    columns = _header(text.splitlines()[0])
    missing = [name for name in _NAMES if name not in columns]
    if missing:
        raise BadInputError(f"{path} lacks the column {missing[0]!r}; a table of pairs has file1, file2, same.")
    try:
        rows = list(csv.DictReader(text.splitlines(), strict=True, skipinitialspace=True))
    except csv.Error as error:
        raise BadInputError(f"{path} cannot be read as CSV: {error}.") from error
    names = [str(name).strip() for name in (rows[0] if rows else {})]
    rest = [name for name in names if name not in columns.values() and name.lower() != "fold"]
    fold_column = next((name for name in names if name.lower() == "fold"), None)
    pairs: list[NamedPair] = []
    groups: dict[str, list[str]] = {name: [] for name in rest}
    for number, row in enumerate(rows, start=2):
        if None in row or any(value is None for value in row.values()):
            raise BadInputError(f"{path}, line {number}: has another number of columns than the header.")
        values = {str(key).strip(): str(value).strip() for key, value in row.items()}
        same = values[columns["same"]].lower()
        if same not in _TRUTH:
            raise BadInputError(f"{path}, line {number}: {columns['same']} is {same[:40]!r}; write 1 or 0.")
        fold = None if fold_column is None else values[fold_column]
        if fold is not None and not (fold.isascii() and fold.isdigit() and len(fold) <= 6):
            raise BadInputError(f"{path}, line {number}: fold is {fold[:40]!r}; write a whole number.")
        one, two = (values[columns[name]].replace("\\", "/").removeprefix("./") for name in ("file1", "file2"))
        pairs.append(NamedPair(one, two, _TRUTH[same], None if fold is None else int(fold)))
        for name in rest:
            groups[name].append(values[name])
    return make_pair_list(path, "csv", pairs, groups)
