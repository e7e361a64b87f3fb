"""A synthetic image set as a folder that can be uploaded: images, typed table, dataset card, Croissant metadata."""

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from frbias import __version__
from frbias.core.data.datasets.loading import synthetic_origin
from frbias.core.data.datasets.resolving import resolve_data
from frbias.core.data.samples import COLUMN_MEANINGS, NUMBER_COLUMNS, SampleTable
from frbias.core.foundation.errors import BadInputError
from frbias.core.foundation.files import sha256_bytes, write_bytes, write_json
from frbias.core.foundation.machine import LOCAL, Machine
from frbias.core.foundation.plans import Plan, step_of
from frbias.core.foundation.provenance import Work, claim_work, read_provenance
from frbias.core.foundation.words import counted
from frbias.core.reporting.cards import front_matter, licence_tag, write_card
from frbias.core.reporting.croissant import croissant
from frbias.core.reporting.templating import text_environment
from frbias.core.stages.align import hash_of_images
from frbias.core.stages.requests.publish import PublishRequest
from frbias.core.stages.telling import licence_of

STAGE, VERSION = "data export", 2
TABLE_NAME, CROISSANT_NAME = "metadata.parquet", "croissant.json"


@dataclass(frozen=True)
class Published:
    """What was written.

    Attributes:
        out: The folder.
        images, subjects: What it holds.
        reused: True when the same had been written before.
    """

    out: Path
    images: int
    subjects: int
    reused: bool


def publish(request: PublishRequest, out: Path, *, machine: Machine = LOCAL, force: bool = False) -> Published:
    """Write a synthetic image set for others; the call behind ``frbias data export``.

    Args:
        request: Which set.
        out: Folder to write.
        machine: Where to report.
        force: Replace an earlier result in ``out``.

    Raises:
        BadInputError: The set is not known to be synthetic: photographs of people are not passed on.
        UsageError: ``out`` holds something else.
        AssetMissingError: There is no such set.
    """
    table, origin = _synthetic(request)
    folder = claim_work(out, _work(request, table), force=force)
    if not folder.finished:
        with machine.progress.task("copying", len(table)) as advance:
            for name, path in zip(table.frame["file_name"], table.paths, strict=True):
                write_bytes(out / str(name), path.read_bytes())
                advance(1)
        _describe(table, origin, out)
        folder.finish({"images": len(table), "subjects": len(set(table.subjects))})
    results = folder.results()
    return Published(out, results["images"], results["subjects"], folder.finished)


def plan_publish(request: PublishRequest, out: Path, *, machine: Machine = LOCAL) -> Plan:
    """What :func:`publish` would do; raises as it does."""
    table, _ = _synthetic(request)
    return Plan((step_of(f"Copy {counted(len(table), 'image')} and describe them", _work(request, table), out),))


def _synthetic(request: PublishRequest) -> tuple[SampleTable, str]:
    table = resolve_data(request.data)
    origin = synthetic_origin(table)
    if origin is None:
        raise BadInputError(
            f"{request.data} is not known to be synthetic. frbias passes on no photographs of people: their consent and "
            "the licence of the set are not its to give."
        )
    return table, origin


def _work(request: PublishRequest, table: SampleTable) -> Work:
    inputs = {"set": hash_of_images(table), "made": _made(table), "licence": licence_of(str(table.root))}
    return Work(STAGE, VERSION, request.identity(), inputs)


def _made(table: SampleTable) -> dict[str, Any]:
    """What is recorded about how the set was generated, or aligned after that; empty when nothing is."""
    record = read_provenance(table.root) or {}
    return dict(record.get("arguments") or {}) if record.get("stage") in ("generate", "align") else {}


def _generator(table: SampleTable, made: dict[str, Any]) -> str:
    if "backend" in made:
        return str(made["backend"])
    named = set(table.frame["generator"]) - {""} if "generator" in table.frame.columns else set()
    return ", ".join(sorted(str(name) for name in named)) or "unknown"


def typed_frame(table: SampleTable) -> pd.DataFrame:
    """The table with numbers as numbers and everything else as text, ``subject`` too: nothing is left to be guessed."""
    frame = table.frame.copy()
    for column in frame.columns:
        if column in NUMBER_COLUMNS:
            frame[column] = pd.to_numeric(frame[column], errors="coerce").astype("float64")
        else:
            frame[column] = frame[column].fillna("").astype(str)
    return frame


def _describe(table: SampleTable, origin: str, out: Path) -> None:
    frame, made = typed_frame(table), _made(table)
    written = io.BytesIO()
    frame.to_parquet(written, index=False)
    write_bytes(out / TABLE_NAME, written.getvalue())
    licence = licence_of(str(table.root))
    name, people = out.resolve().name, counted(len(set(table.subjects)), "person", "people")
    meanings = {str(column): COLUMN_MEANINGS.get(str(column), "as its maker has it") for column in frame.columns}
    images = counted(len(frame), "image")
    write_json(
        out / CROISSANT_NAME,
        croissant(
            frame, name=name, description=f"{images} of {people}. {origin}", licence=licence or "unknown",
            version=__version__, table=TABLE_NAME, table_sha256=sha256_bytes(written.getvalue()), meanings=meanings,
        ),
    )  # fmt: skip
    ages = frame["age"].dropna()
    span = f" aged {ages.min():g} to {ages.max():g}" if len(ages) else ""
    header = {
        "license": licence_tag(licence),
        "task_categories": ["image-feature-extraction"],
        "tags": ["face-recognition", "synthetic", "fairness", "age-bias"],
        "pretty_name": name,
    }
    card = text_environment().get_template("dataset_card.md.j2")
    write_card(
        out,
        card.render(
            header=front_matter(header), name=name, images=images, people=people, span=span, origin=origin,
            columns=list(meanings.items()), version=__version__, generator=_generator(table, made),
            licence=licence, arguments=json.dumps(made, indent=2, sort_keys=True, ensure_ascii=False),
        ),
    )  # fmt: skip
