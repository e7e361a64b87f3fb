"""The page about an evaluation or a comparison."""

import os
from dataclasses import dataclass
from pathlib import Path

from frbias.core.data.datasets.loading import may_show_people, synthetic_origin
from frbias.core.data.datasets.resolving import resolve_data
from frbias.core.foundation.folders import TEMPORARY_PREFIX
from frbias.core.foundation.group import led
from frbias.core.foundation.machine import LOCAL, Machine
from frbias.core.reporting.documents import read_document
from frbias.core.reporting.html import FIGURES, write_report
from frbias.core.reporting.tables import write_tables
from frbias.core.reporting.verdict import headline_index
from frbias.core.stages.requests.report import ReportRequest

PAGE_NAME, TABLES = "report.html", "tables"


@dataclass(frozen=True)
class Reported:
    """A page.

    Attributes:
        page: The file.
        source: The document it was made from.
        tables: Tables for a paper; empty unless asked for.
    """

    page: Path
    source: Path
    tables: tuple[Path, ...] = ()


@led
def report(request: ReportRequest, out: Path | None = None, *, asked: str = "", machine: Machine = LOCAL) -> Reported:
    """Write the page about an evaluation; the call behind ``frbias report``. An earlier page is replaced.

    Args:
        request: What it is about, and what it shows.
        out: The file; default: ``report.html`` beside the document.
        asked: The command that asked for all that led here, when it was one.
        machine: Where to report.

    Raises:
        BadInputError: There is no document, or a stage's folder has no provenance.
        AssetMissingError: The set of people is not installed.
    """
    document, found = read_document(request.evaluation)
    people = None if request.people is None else resolve_data(request.people)
    shown = people if people is None or request.show_people or not may_show_people(people) else None
    if shown is not people:
        machine.tell(
            f"The page shows no picture of {request.people}, which may be of real people (--show-people does)."
        )
    page = out if out is not None else found.parent / PAGE_NAME
    _clear_leftovers(page)
    write_report(
        page,
        document,
        source=Path(os.path.relpath(found.resolve(), page.resolve().parent)).as_posix(),
        people=shown,
        origin=None if people is None else synthetic_origin(people),
        stages=request.stage,
        held_out=request.held_out,
        title=request.heading,
        target=request.at_fmr,
        asked=asked,
        progress=machine.progress,
    )
    if not request.tables:
        return Reported(page, found)
    target = float(document["targets"][headline_index(document, request.at_fmr)]["target"])
    return Reported(page, found, write_tables(document, page.parent / TABLES, target))


def _clear_leftovers(page: Path) -> None:
    """Delete what a killed call left half written: pages are put into folders that others work in, too."""
    half = [
        *page.parent.glob(f"{TEMPORARY_PREFIX}*{page.suffix}"),
        *(page.parent / FIGURES).rglob(f"{TEMPORARY_PREFIX}*"),
        *(page.parent / TABLES).glob(f"{TEMPORARY_PREFIX}*"),
    ]
    for leftover in half:
        leftover.unlink(missing_ok=True)
