"""Campaign: damaged tables. Each is read as it says, or refused with a sentence; nothing else comes out of it."""

import random
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from faults.images import mutate
from faults.table import Outcome
from frbias.core.data.samples import read_rejected, read_samples
from frbias.core.foundation.errors import BadInputError
from frbias.core.foundation.provenance import read_provenance
from frbias.core.verification.scores.scorefiles import read_scores

_SCORES = "score,mated,subject_ref,subject_probe\n0.81,1,a,a\n0.12,0,a,b\n-0.05,0,b,c\n"
_METADATA = "file_name,subject,age,sex,yaw,quality\na/1.png,a,8,f,1.5,0.9\na/2.png,a,35,f,,\nb/1.png,b,41,m,-3,1\n"
_REJECTED = "file,reason,subject,age,sex\nx.png,no face found,a,8,f\ny.png,is empty (0 bytes),,,\n"
_PROVENANCE = '{"schema_version": 2, "stage": "align", "complete": true, "key": "0a", "results": {"images": 3}}\n'
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
    ("{", "["),
    ("true", "1"),
    ('"', ""),
)


def run_tables(seed: int, count: int) -> Outcome:
    """Read ``count`` mutated tables of every kind in turn."""
    chance = random.Random(seed)
    outcome = Outcome("mutated tables and documents")
    with tempfile.TemporaryDirectory(prefix="frbias-faults-") as root:
        readers = _readers(Path(root))
        for number in range(count):
            name, text, read = readers[number % len(readers)]
            data = _mutated(text, chance)
            (Path(root) / name).write_bytes(data)
            outcome = outcome.plus(f"{name} {number} ({data[:120]!r})", _loss(read))
            if outcome.lost:
                break
    return outcome


def _readers(root: Path) -> list[tuple[str, str, Callable[[], None]]]:
    def scores() -> None:
        found = read_scores(root / "scores.csv").frame["score"].to_numpy()
        if not np.isfinite(found).all():
            raise AssertionError("a score that is not finite")

    def metadata() -> None:
        table = read_samples(root)
        ages = table.ages[~np.isnan(table.ages)]
        if ((ages < 0) | (ages > 150)).any():
            raise AssertionError("an age that nobody has")

    def rejected() -> None:
        read_rejected(root)

    def provenance() -> None:
        read_provenance(root)

    return [
        ("scores.csv", _SCORES, scores),
        ("metadata.csv", _METADATA, metadata),
        ("rejected.csv", _REJECTED, rejected),
        ("provenance.json", _PROVENANCE, provenance),
    ]


def _mutated(text: str, chance: random.Random) -> bytes:
    if chance.random() < 0.5:
        return mutate(text.encode(), chance)
    old, new = chance.choice(_TEXT_CHANGES)
    places = [k for k in range(len(text)) if text.startswith(old, k)]
    if not places or chance.random() < 0.2:
        return text.replace(old, new).encode()
    place = chance.choice(places)
    return (text[:place] + new + text[place + len(old) :]).encode()


def _loss(read: Callable[[], None]) -> str:
    try:
        read()
    except BadInputError as error:
        return "" if error.message.strip() else "refused without a sentence"
    except BaseException as error:
        return f"{type(error).__name__} came through: {error}"
    return ""
