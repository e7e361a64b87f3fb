"""What the campaign of tables and documents reads: for every format a sound text, and the reader that it is given to."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

SCORES = "score,mated,subject_ref,subject_probe\n0.81,1,a,a\n0.12,0,a,b\n-0.05,0,b,c\n"
BOB = "a a a1 a2 0.81\na b a1 b1 0.12\nb c b1 c1 -0.05\n"
METADATA = "file_name,subject,age,sex,yaw,quality\na/1.png,a,8,f,1.5,0.9\na/2.png,a,35,f,,\nb/1.png,b,41,m,-3,1\n"
REJECTED = "file,reason,subject,age,sex\nx.png,no face found,a,8,f\ny.png,is empty (0 bytes),,,\n"
PAIRS = "2\t1\na\t1\t2\na\t1\tb\t1\nb\t1\t2\na\t2\tb\t2\n"
PAIRS_CSV = "file1,file2,mated,fold\na/1.png,a/2.png,1,1\na/1.png,b/1.png,0,2\n"
VECTORS = "file_name,subject,age,e0,e1,e2\na/1.png,a,8,0.1,0.2,0.3\na/2.png,a,35,0.3,0.1,-1\nb/1.png,b,41,1,0,2\n"
LISTING = "file,bytes,sha256\nmetadata.csv,12,00\nrejected.csv,30,11\n"
JOURNAL = (
    '{"unit": "a", "columns": "file_name,subject,age", "rows": "a/1.png,p,8\\n", "count": 1, '
    '"rejected": "[{\\"file\\": \\"b\\", \\"reason\\": \\"no face\\", \\"age\\": null}]"}\n'
)
JOURNAL_ROWS = '\n{"unit": "a", "count": 1, "bytes": 34}\nfile_name,subject,age\na/1.png,p,8\n{"unit": "b", "count": 0, "bytes": 0}\n'
METRICS = '{"epoch": 0, "step": 0, "validation": null}\n{"epoch": 1, "step": 3, "loss": 0.5, "validation": null}\n'
EXPERIMENT = """name = "one"
seed = 0

[train]
backend = "mesh"
subjects = 8
ages = [5, 12, 25]

[test]
data = "fgnet"

[align]
detector = "yunet"
max-residual = 0.1

[finetune]
weights = "sface"
frozen = "1,2,3"
epochs = 3
lr = 0.01

[evaluate]
groups = "0-12,13+"
at-fmr = [0.1, 0.01]
bootstrap = 100
"""


@dataclass(frozen=True)
class Document:
    """A format.

    Attributes:
        name: File name.
        data: A sound file.
        read: Reads it; raises when what comes out is not what a file may hold.
        kind: How it is damaged beside byte by byte: ``table``, ``json``, ``toml`` or ``bytes``.
    """

    name: str
    data: bytes
    read: Callable[[], object]
    kind: str


def documents(root: Path) -> list[Document]:
    """Every format, below ``root``."""
    return [*_tables(root), *_records(root), *_binaries(root)]


def _tables(root: Path) -> list[Document]:
    from frbias.core.data.embeddings import read_embeddings
    from frbias.core.data.journal import read_journal
    from frbias.core.data.pairfiles import read_pairs
    from frbias.core.data.samples import read_rejected, read_samples
    from frbias.core.foundation.folders import damage
    from frbias.core.verification.scores.scorefiles import read_scores

    def scores(name: str) -> Callable[[], None]:
        return lambda: need_finite(read_scores(root / name).frame["score"].to_numpy(), "a score that is not finite")

    def metadata() -> None:
        ages = read_samples(root).ages
        known = ages[~np.isnan(ages)]
        need(not ((known < 0) | (known > 150)).any(), "an age that nobody has")

    def vectors() -> None:
        need_finite(read_embeddings(root / "vectors.csv").matrix, "an embedding that is not finite")

    def journal() -> None:
        found = read_journal(root)
        found.frame(list(found))

    return [
        Document("scores.csv", SCORES.encode(), scores("scores.csv"), "table"),
        Document("scores.txt", BOB.encode(), scores("scores.txt"), "table"),
        Document("metadata.csv", METADATA.encode(), metadata, "table"),
        Document("rejected.csv", REJECTED.encode(), lambda: read_rejected(root), "table"),
        Document("pairs.txt", PAIRS.encode(), lambda: read_pairs(root / "pairs.txt"), "table"),
        Document("pairs.csv", PAIRS_CSV.encode(), lambda: read_pairs(root / "pairs.csv"), "table"),
        Document("vectors.csv", VECTORS.encode(), vectors, "table"),
        Document(".files.csv", LISTING.encode(), lambda: damage(root), "table"),
        Document(".journal/rank-0.jsonl", JOURNAL.encode(), journal, "json"),
        Document(".journal/rank-1.jsonl", JOURNAL_ROWS.encode(), journal, "table"),
    ]


def _records(root: Path) -> list[Document]:
    from frbias.core.assets.records import read_book
    from frbias.core.foundation.provenance import read_provenance
    from frbias.core.reporting.documents import read_document
    from frbias.core.stages.requests.finetune import FinetuneRequest
    from frbias.core.training.runfiles import CONFIG_NAME, check_config, read_metrics, write_config
    from frbias.experiment.plan import read_plan

    request = FinetuneRequest(data="faces", epochs=2)
    write_config(root, request)
    book = {"schema": 1, "models": {"mine": {"kind": "recogniser", "path": "models/mine/mine.onnx", "files": {}}}}
    provenance = {"schema_version": 2, "stage": "align", "complete": True, "key": "0a", "results": {"images": 3}}
    return [
        Document("provenance.json", _json(provenance), lambda: read_provenance(root), "json"),
        Document("evaluation.json", _evaluation(), lambda: read_document(root / "evaluation.json"), "json"),
        Document("home/models.json", _json(book), lambda: read_book("models"), "json"),
        Document("metrics.jsonl", METRICS.encode(), lambda: read_metrics(root), "json"),
        Document("experiment.toml", EXPERIMENT.encode(), lambda: read_plan(root / "experiment.toml"), "toml"),
        Document(CONFIG_NAME, (root / CONFIG_NAME).read_bytes(), lambda: check_config(root, request), "toml"),
    ]


def _binaries(root: Path) -> list[Document]:
    import pandas as pd

    from frbias.core.data.binsets import read_bin
    from frbias.core.data.embeddings import read_embeddings
    from frbias.core.verification.scores.scorefiles import read_scores

    frame = pd.DataFrame({"score": [0.8, 0.1, -0.1], "mated": [1, 0, 0], "subject_ref": list("aab")})
    frame.to_parquet(root / "scores.parquet")
    parquet = _parquet(root / "embeddings.parquet")
    np.savez(root / "vectors.npz", embedding=np.eye(3, dtype=np.float32), subject=np.array(["a", "a", "b"]))

    def embeddings(name: str) -> Callable[[], None]:
        return lambda: need_finite(read_embeddings(root / name).matrix, "an embedding that is not finite")

    def scores() -> None:
        need_finite(read_scores(root / "scores.parquet").frame["score"].to_numpy(), "a score that is not finite")

    return [
        Document("scores.parquet", (root / "scores.parquet").read_bytes(), scores, "bytes"),
        Document("embeddings.parquet", parquet, embeddings("embeddings.parquet"), "parquet"),
        Document("vectors.npz", (root / "vectors.npz").read_bytes(), embeddings("vectors.npz"), "bytes"),
        Document("pairs.bin", _bin(), lambda: read_bin(root / "pairs.bin"), "bytes"),
    ]


def _parquet(path: Path) -> bytes:
    import pandas as pd

    from frbias.core.data.embedding_parquet import write_parquet

    columns = {"file_name": ["a/1.png", "a/2.png", "b/1.png"], "subject": list("aab"), "age": [8.0, 35.0, 41.0]}
    note = {"name": "tiny", "backbone": {"name": "tiny"}, "weights_sha256": "00", "flip": "none"}
    write_parquet(path, pd.DataFrame({**columns, "sex": list("ffm")}), np.eye(3, dtype=np.float32), note)
    return path.read_bytes()


def _bin() -> bytes:
    import pickle

    return pickle.dumps(([b"\xff\xd8one", b"\xff\xd8two", b"\xff\xd8one", b"\xff\xd8six"], [True, False]), protocol=2)


def _evaluation() -> bytes:
    from frbias.core.verification.evaluation import evaluate_embeddings

    rng, who = np.random.default_rng(0), np.repeat(np.arange(12), 4)
    vectors = (rng.normal(size=(12, 8))[who] + rng.normal(size=(48, 8))).astype(np.float32)
    ages = np.tile([5, 8, 30, 50], 12)
    return _json(evaluate_embeddings(vectors, who, ages, groups="0-19,20+", targets=[0.1], bootstrap=0).to_json())


def _json(value: Mapping[str, object]) -> bytes:
    return json.dumps(value).encode() + b"\n"


def need(true: bool, otherwise: str) -> None:
    """Raise ``AssertionError(otherwise)`` unless ``true``."""
    if not true:
        raise AssertionError(otherwise)


def need_finite(values: object, otherwise: str) -> None:
    """Raise unless every value is a finite number."""
    need(bool(np.isfinite(np.asarray(values, dtype=np.float64)).all()), otherwise)
