"""Identification: embeddings or images and a recogniser in, rank-1, CMC and FNIR at FPIR out (``identification.json``, figures)."""

from pathlib import Path
from typing import Any

import numpy as np

from frbias.core.data.embeddings import Embeddings
from frbias.core.foundation.devices import World
from frbias.core.foundation.errors import BadInputError
from frbias.core.foundation.machine import LOCAL, Machine
from frbias.core.foundation.plans import Plan
from frbias.core.foundation.provenance import Work
from frbias.core.reporting.figures.searches import draw_searches
from frbias.core.stages.outcomes import FIGURES, Measured
from frbias.core.stages.protocol_documents import ProtocolTask, plan_document, settle_document
from frbias.core.stages.requests.protocols import IdentifyRequest
from frbias.core.stages.sources import EmbeddingsFile, ImageSource, Source, embedded_set, file_safe
from frbias.core.stages.telling import told_of
from frbias.core.verification.groups import Grouping, grouping_named
from frbias.core.verification.identification import search
from frbias.core.verification.identification_results import IdentificationOptions, judge_searches

STAGE, VERSION = "identify", 2
DOCUMENT = "identification.json"


def identify(
    request: IdentifyRequest, out: Path | None = None, *, machine: Machine = LOCAL, force: bool = False
) -> Measured:
    """Search a gallery with every image; the call behind ``frbias evaluate --identify``.

    Args:
        request: What to search, and what to measure.
        out: Folder to write; default: ``evaluations/identify-<data>-<recogniser>-<key>``.
        machine: What may be used.
        force: Replace an earlier result in ``out``.

    Raises:
        UsageError: ``out`` holds something else, or a group makes no sense for the data.
        BadInputError: A file cannot be used, or nobody can be found.
        AssetMissingError: The data set or the weights are not installed.
    """
    return settle_document(_task(request, machine), out, machine=machine, force=force)


def plan_identify(request: IdentifyRequest, out: Path | None = None, *, machine: Machine = LOCAL) -> Plan:
    """What :func:`identify` would do; raises as it does."""
    return plan_document(_task(request, machine), out, machine)


def _task(request: IdentifyRequest, machine: Machine) -> ProtocolTask:
    source = _source(request, machine)
    title = request.name or source.name
    told = told_of(request, "evaluate --identify", request.data, [request.embeddings or ""])
    work = Work(STAGE, VERSION, request.identity(), {"model": source.identity()}, told)

    def make(world: World, folder: Path) -> dict[str, Any]:
        embeddings = source.load(machine, world)
        if not world.leader:
            return {}
        document = _judge(embeddings, request, title, machine)
        if request.figures:
            draw_searches(document, folder / FIGURES)
        return document

    parts = [*([Path(request.data).name] if request.data else []), source.name]
    name = f"evaluations/{file_safe('-'.join(['identify', *parts]))}"
    return ProtocolTask(work, name, DOCUMENT, make, (source,), request.fail_if)


def _judge(embeddings: Embeddings, request: IdentifyRequest, title: str, machine: Machine) -> dict[str, Any]:
    frame = embeddings.frame
    known = frame["subject"].fillna("").astype(str).str.strip().ne("").to_numpy()
    if not known.any():
        raise BadInputError("No image has a subject, so there is nobody to find.")
    frame, matrix = frame[known].reset_index(drop=True), embeddings.matrix[known]
    ages = frame["age"].to_numpy(dtype=np.float64)
    columns = {str(c): frame[c].to_numpy() for c in frame.columns if c not in ("file_name", "subject")}
    grouping = _grouping(request, columns, ages)
    found = search(
        matrix, frame["subject"].astype(str).to_numpy(), gallery=request.gallery, ages=ages, progress=machine.progress
    )
    options = IdentificationOptions(request.at_fpir, request.ranks, request.bootstrap, request.seed, request.confidence)
    judged = judge_searches(found, grouping, ages if np.isfinite(ages).any() else None, options)
    return {**judged.to_json(), "name": title, "provenance": embeddings.provenance}


def _grouping(request: IdentifyRequest, columns: dict[str, Any], ages: Any) -> Grouping | None:
    if request.groups is None and not np.isfinite(ages).any():
        return None
    return grouping_named(request.groups or "age", columns)


def _source(request: IdentifyRequest, machine: Machine) -> Source:
    if request.data is None:
        assert request.embeddings is not None
        return EmbeddingsFile(request.embeddings.expanduser())
    from frbias.core.data.datasets.resolving import resolve_with_rejected

    table, refused = resolve_with_rejected(request.data)
    return embedded_set(
        ImageSource(request.data, table, tuple(refused)), request.weights, request.input_format(), machine
    )
