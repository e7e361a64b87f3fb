"""Campaign: damaged tables and documents. Each is read as it says, or refused with a sentence; nothing else."""

import copy
import json
import os
import random
import re
import tempfile
import warnings
from collections.abc import Callable
from itertools import chain, cycle
from pathlib import Path
from typing import Any

from faults.brought import brought, kept_by_frbias
from faults.corpus import keep, kept
from faults.documents import Document, documents
from faults.images import mutate
from faults.table import Outcome
from frbias.core.foundation.errors import FrbiasError

_TEXT_CHANGES: tuple[tuple[str, str], ...] = (
    (",", ";"),
    (".", ","),
    (",", "\t"),
    ("\n", ",\n"),
    ("0.9", "1e400"),
    ("8", "-inf"),
    ("35", "1e30"),
    ("1", "one"),
    ("a", "\x00"),
    ("b", "../../b"),
    ("a/1.png", "."),
    ("a/1.png", "x" * 5000),
    ("\n", "\r"),
    (",", ""),
    ("a", "\U0001f600"),
)
_VALUES: tuple[Any, ...] = (None, True, False, -1, 0, 10**30, 0.5, "", "x", "1", [], [1], [[]], {}, {"a": 1}, -0.0)
_TEXTS = ("NaN", "Infinity", "1e400", "[" * 5000 + "]" * 5000, '"\\ud800"', "00", "1" * 5000)
_LITERALS = (
    *("true", "-1", "0", "1e400", "nan", "inf", '""', '"x"', "[]", "[1]", '["a", 2]', "{}", "{a = 1}", "[[[]]]"),
    *("9" * 30, "1979-05-27", "'''x'''", "[" * 2000 + "]" * 2000, "0x1F", '"\\u0000"', "0.1"),
)


def run_tables(seed: int, count: int) -> Outcome:
    """Read those that are kept, then ``count`` newly damaged files, of every kind in turn."""
    chance = random.Random(seed)
    outcome = Outcome("mutated tables and documents")
    home = os.environ.get("FRBIAS_HOME")
    with tempfile.TemporaryDirectory(prefix="frbias-faults-") as place:
        root = Path(place, "files")  # a folder deeper: what an archive may write beside it, nobody else does
        root.mkdir()
        os.environ["FRBIAS_HOME"] = str(root / "home")
        try:
            every = [*documents(root), *brought(root), *kept_by_frbias(root)]
            old = [(one, f"kept {name}", data) for one in every for name, data in kept(one.name)]
            new = ((one, str(k), damaged(one, chance)) for k, one in zip(range(count), cycle(every), strict=False))
            for chosen, name, data in chain(old, new):
                path = root / chosen.name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
                loss = _loss(chosen.read)
                outcome = outcome.plus(f"{chosen.name} {name} ({data[:120]!r})", loss)
                path.write_bytes(chosen.data)
                if loss:
                    keep(chosen.name, data)
                    break
        finally:
            os.environ.pop("FRBIAS_HOME")
            if home is not None:
                os.environ["FRBIAS_HOME"] = home
    return outcome


def damaged(document: Document, chance: random.Random) -> bytes:
    """A damaged copy: bytes changed, or what it says changed in a way of its format."""
    if document.kind == "bytes" or chance.random() < 0.3:
        return mutate(document.data, chance)
    return _WAYS[document.kind](document.data, chance)


def _changed_text(data: bytes, chance: random.Random) -> bytes:
    text = data.decode()
    if chance.random() < 0.3:
        return _cells_changed(text, chance).encode("utf-8", "surrogateescape")
    old, new = chance.choice(_TEXT_CHANGES)
    places = [k for k in range(len(text)) if text.startswith(old, k)]
    if not places or chance.random() < 0.2:
        return text.replace(old, new).encode()
    place = chance.choice(places)
    return (text[:place] + new + text[place + len(old) :]).encode()


def _cells_changed(text: str, chance: random.Random) -> str:
    """Lines doubled, left out or exchanged, or a cell that holds another kind of thing."""
    lines = text.split("\n")
    number = chance.randrange(len(lines))
    kind = chance.randrange(4)
    if kind == 0:
        lines.insert(number, chance.choice(lines))
    elif kind == 1:
        del lines[number]
    elif kind == 2:
        chance.shuffle(lines)
    else:
        cells = re.split(r"([,\t ])", lines[number])
        cells[chance.randrange(len(cells))] = chance.choice(("nan", "-1", "", "'", '"', "=1+1", "1e999", "½", "0x10"))
        lines[number] = "".join(cells)
    return "\n".join(lines)


def _changed_json(data: bytes, chance: random.Random) -> bytes:
    """A member, anywhere, replaced, left out or renamed; in one line of several."""
    lines = data.decode().splitlines()
    number = chance.randrange(len(lines))
    value = json.loads(lines[number])
    if chance.random() < 0.2:
        words = re.findall(r'-?\d+\.?\d*|true|false|null|"[^"]*"', lines[number])
        lines[number] = lines[number].replace(chance.choice(words), chance.choice(_TEXTS), 1)
    else:
        lines[number] = json.dumps(_replaced(value, chance))
    return ("\n".join(lines) + "\n").encode("utf-8", "surrogateescape")


def _replaced(value: Any, chance: random.Random) -> Any:
    found = copy.deepcopy(value)
    place, keys = found, list(_members(found))
    while keys:
        key = chance.choice(keys)
        inner = place[key]
        if not list(_members(inner)) or chance.random() < 0.3:
            kind = chance.randrange(6)
            if kind == 0:
                del place[key]
            elif kind == 1 and isinstance(place, dict):
                place[str(key) + "x"] = place.pop(key)
            else:
                place[key] = copy.deepcopy(chance.choice(_VALUES))
            return found
        place, keys = inner, list(_members(inner))
    return chance.choice(_VALUES)


def _members(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value)
    return list(range(len(value))) if isinstance(value, list) else []


def _changed_toml(data: bytes, chance: random.Random) -> bytes:
    """A value of another type, a line left out, doubled or in another section."""
    lines = data.decode().splitlines()
    given = [k for k, line in enumerate(lines) if "=" in line]
    number = chance.choice(given)
    kind = chance.randrange(8)
    if kind == 0:
        del lines[number]
    elif kind == 1:
        lines.insert(chance.randrange(len(lines)), lines[number])
    elif kind == 2:
        lines[number] = chance.choice("abcxyz") + lines[number]
    else:
        lines[number] = lines[number].split("=")[0] + "= " + chance.choice(_LITERALS)
    return ("\n".join(lines) + "\n").encode()


def _changed_parquet(data: bytes, chance: random.Random) -> bytes:
    """A column of another type or without name, or a note that says something else."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(pa.BufferReader(data))
    metadata = dict(table.schema.metadata or {})
    if chance.random() < 0.5 and b"frbias" in metadata:
        metadata[b"frbias"] = _changed_json(metadata[b"frbias"], chance)
        table = table.replace_schema_metadata(metadata)
    else:
        number, rows = chance.randrange(table.num_columns), table.num_rows
        columns = ([None] * rows, ["x"] * rows, [1e300] * rows, [[1.0]] * rows, [b"\xff"] * rows, [True] * rows)
        name = chance.choice((table.column_names[number], "", "subject", "x"))
        table = table.set_column(number, name, pa.array(chance.choice(columns)))
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return bytes(sink.getvalue().to_pybytes())


_WAYS: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "table": _changed_text,
    "json": _changed_json,
    "toml": _changed_toml,
    "parquet": _changed_parquet,
}


def _loss(read: Callable[[], object]) -> str:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            read()
    except FrbiasError as error:
        return "" if error.message.strip() and error.exit_code in (2, 3) else "refused without a sentence"
    except BaseException as error:
        return f"{type(error).__name__} came through: {error}"
    return ""
