"""The audit stage: one image set in, what is wrong with it and how far it is from another out."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from frbias.core.auditing.ageing import Agreement, agreement, shifts_of
from frbias.core.auditing.ages import age_rows
from frbias.core.auditing.defects import belonging, blur, copies_of, copies_within
from frbias.core.auditing.document import Against, Audit
from frbias.core.auditing.flags import FLAGS, Flagged, cells, count_flags, not_looked_for_in, searches
from frbias.core.auditing.gap import appearance, distance
from frbias.core.auditing.similarity import BANDS, similarity
from frbias.core.auditing.vectors import Float
from frbias.core.auditing.wrong_ages import age_fit
from frbias.core.data.datasets.loading import may_show_people
from frbias.core.data.samples import Rejected, SampleTable, write_rejected, write_samples
from frbias.core.foundation.delimited import read_delimited
from frbias.core.foundation.devices import choose_device, describe_device
from frbias.core.foundation.errors import BadInputError
from frbias.core.foundation.files import write_bytes, write_json, write_text
from frbias.core.foundation.group import led
from frbias.core.foundation.machine import LOCAL, Machine
from frbias.core.foundation.plans import Plan, step_of
from frbias.core.foundation.provenance import Work, claim_work
from frbias.core.foundation.words import counted
from frbias.core.recognisers.loading import load_recogniser
from frbias.core.reporting.audit_page import Worst, write_audit_page
from frbias.core.stages.align import hash_of_images, photographs_of
from frbias.core.stages.looking import Looked, look_at, source_path
from frbias.core.stages.requests.audit import AuditRequest

if TYPE_CHECKING:
    from frbias.core.recognisers.base import Recogniser

STAGE, VERSION = "audit", 6
DOCUMENT_NAME, TABLE_NAME, PAGE_NAME = "audit.json", "audit.csv", "audit.html"
_PICTURED = 8
_UNREAD = "decoded", "empty", "not an image", "neither a JPEG", "cannot be read", "at most"
_LOST = "file_name", "subject", "age", "flags", "not_looked_for", "reason"


@dataclass(frozen=True)
class AuditResult:
    """What an audit left.

    Attributes:
        out: Folder with ``audit.json``, ``audit.csv`` (one row an image, columns ``flags`` and ``not_looked_for``) and
            ``audit.html``.
        document: The content of ``audit.json``.
        kept: Images of the cleaned set, when one was written.
        reused: True when the same audit had been made before.
    """

    out: Path
    document: dict[str, object]
    kept: int | None
    reused: bool

    @property
    def not_looked_for(self) -> dict[str, str]:
        """Why a flag was looked for in no image, by flag; its count in ``document["flagged"]`` is None."""
        found: Any = self.document["not_looked_for"]
        return {str(flag): str(why) for flag, why in found.items()}


@led
def audit(request: AuditRequest, out: Path, *, machine: Machine = LOCAL, force: bool = False) -> AuditResult:
    """Look through an image set; the call behind ``frbias audit``.

    Args:
        request: What to look through, and what to compare it with.
        out: Output folder.
        machine: What may be used.
        force: Replace an earlier result in ``out``.

    Raises:
        UsageError: ``out`` or the folder of ``drop`` holds something else.
        BadInputError: A set has no face, fewer than two people, or fewer than ten images beside another; or its files
            vanished meanwhile.
        AssetMissingError: A set or the recogniser is not installed.
    """
    from frbias.core.foundation.files import read_object

    recogniser = load_recogniser(request.weights, progress=machine.progress)
    tables = _sets(request)
    work, pictured = _work(request, tables, recogniser), request.show_people or not may_show_people(tables[0])
    folder = claim_work(out, work, force=force)
    if not folder.finished:
        machine.tell(f"looking at {request.data}")
        looked = look_at(request.data, recogniser, machine)
        other = None if request.against is None else look_at(request.against, recogniser, machine)
        apparent = _apparent(looked, request, machine)
        table, flagged = _table(looked, other, apparent, request)
        found = _document(looked, other, apparent, flagged, request, recogniser.name, recogniser.sha256)
        write_text(out / TABLE_NAME, table.to_csv(index=False, lineterminator="\n"))
        write_json(out / DOCUMENT_NAME, found.to_json())
        write_audit_page(out / PAGE_NAME, found, _worst(looked, table) if pictured else ())
        _refuse_changed(request, tables, work)
        folder.finish({"images": found.images, "flagged": found.flagged})
    kept = None if request.drop is None else _write_cleaned(tables[0], flags_of(out), request.drop, force=force)
    return AuditResult(Path(out), read_object(out / DOCUMENT_NAME), kept, folder.finished)


def plan_audit(request: AuditRequest, out: Path, *, machine: Machine = LOCAL) -> Plan:
    """What :func:`audit` would do; raises as it does."""
    device = describe_device(choose_device(machine.resources.device))
    recogniser, tables = load_recogniser(request.weights), _sets(request)
    images = " and ".join(counted(len(table), "image") for table in tables)
    what = f"Look at {images} with {recogniser.name}"
    return Plan((step_of(what, _work(request, tables, recogniser), out),), device)


def _sets(request: AuditRequest) -> list[SampleTable]:
    names = [request.data] if request.against is None else [request.data, request.against]
    return [photographs_of(name)[0] for name in names]


def _work(request: AuditRequest, tables: list[SampleTable], recogniser: "Recogniser") -> Work:
    names = [Path(name).name for name in (request.data, request.against) if name is not None]
    inputs = {"weights": recogniser.sha256, "sets": [hash_of_images(table) for table in tables], "names": names}
    return Work(STAGE, VERSION, request.identity(), inputs)


def _refuse_changed(request: AuditRequest, tables: list[SampleTable], work: Work) -> None:
    """Refuse to call an audit finished whose page may lack pictures of files that vanished while it was made."""
    if [hash_of_images(table) for table in tables] != work.inputs["sets"]:
        raise BadInputError(
            f"Files of {request.data} vanished or changed meanwhile; put them back and run the command again."
        )


def _apparent(looked: Looked, request: AuditRequest, machine: Machine) -> Float | None:
    if not request.apparent_ages:
        return None
    from frbias.core.faces.apparent_age import ApparentAge

    estimate = ApparentAge()
    with machine.progress.task("estimating ages", len(looked.crops)) as advance:
        return estimate(looked.crops, advance)


def _table(
    looked: Looked, other: Looked | None, apparent: Float | None, request: AuditRequest
) -> tuple[pd.DataFrame, Flagged]:
    """One row an image of the set, those without a face included, and the counts of the flags."""
    faces = looked.faces
    inside = copies_within(faces.unit, looked.small)
    leaks = None if other is None else copies_of(faces.unit, looked.small, other.faces.unit, other.small)
    own, fit = belonging(faces), age_fit(faces, apparent, seed=request.seed)
    made = searches(looked.faceless, inside, leaks, own, fit, blur(looked.sharpness))
    source = looked.frame["source_file"].astype(str).to_numpy()
    names = np.array([*faces.names, ""], dtype=object)
    table = pd.DataFrame(
        {
            "file_name": source,
            "subject": looked.frame["subject"].astype(str),
            "age": faces.ages,
            "flags": cells(made, found=True),
            "not_looked_for": cells(made, found=False),
            "similarity_to_own": own.own.round(4),
            "nearest_other": names[own.other],
            "similarity_to_other": own.best_other.round(4),
            "duplicate_of": np.where(inside.of >= 0, source[inside.of], ""),
            "apparent_age": np.nan if apparent is None else apparent.round(2),
            "expected_age": fit.expected.round(2),
            "sharpness": looked.sharpness.round(1),
        }
    )
    if other is not None and leaks is not None:
        others = other.frame["source_file"].astype(str).to_numpy()
        table["leaked_from"] = np.where(leaks.of >= 0, others[leaks.of], "")
    lost = pd.DataFrame([_lost_row(r) for r in looked.rejected], columns=list(_LOST))
    whole = pd.concat([table, lost], ignore_index=True) if len(lost) else table
    return whole, count_flags(list(whole["flags"]), list(whole["not_looked_for"]), made)


def _lost_row(rejected: Rejected) -> tuple[str, str, float, str, str, str]:
    unreadable = any(word in rejected.reason for word in _UNREAD)
    flag = "unreadable" if unreadable else "no_face"
    return rejected.file, rejected.subject, rejected.age, flag, not_looked_for_in(flag), rejected.reason


def _document(
    looked: Looked,
    other: Looked | None,
    apparent: Float | None,
    flagged: Flagged,
    request: AuditRequest,
    name: str,
    weights: str,
) -> Audit:
    sexes = looked.frame["sex"].fillna("").astype(str).to_numpy(dtype=object)
    ages = (
        ()
        if apparent is None
        else age_rows(
            looked.faces,
            apparent,
            sexes,
            replicates=request.replicates,
            confidence=request.confidence,
            seed=request.seed,
        )
    )
    return Audit(
        name=Path(request.data).name,
        recogniser=name,
        weights_sha256=weights,
        images=len(looked.frame) + len(looked.rejected),
        flagged=flagged.flagged,
        looked_at=flagged.looked_at,
        not_looked_for=flagged.not_looked_for,
        counts=_counts(looked, sexes),
        appearance=appearance(looked.faces, seed=request.seed),
        similarity=similarity(looked.faces, seed=request.seed),
        ages=ages,
        ages_reason="apparent ages were not asked for (--no-apparent-ages)"
        if apparent is None
        else ""
        if ages
        else "no ages are known",
        against=None if other is None else _against(looked, other, request),
    )


def _against(looked: Looked, other: Looked, request: AuditRequest) -> Against:
    ageing: Agreement | None = None
    note = ""
    try:
        shifts = [shifts_of(side.faces, request.young_below, request.old_from) for side in (looked, other)]
        ageing = agreement(
            shifts[0], shifts[1], replicates=request.replicates, confidence=request.confidence, seed=request.seed
        )
    except BadInputError as error:
        note = error.message
    return Against(
        Path(str(request.against)).name,
        len(other.rejected),
        appearance(other.faces, seed=request.seed),
        distance(looked.faces, other.faces, seed=request.seed),
        ageing,
        note,
    )


def _counts(looked: Looked, sexes: npt.NDArray[np.object_]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    known = Counter(str(s) for s in sexes if s)
    if known:
        found["sex"] = dict(sorted(known.items())) | {"unknown": len(sexes) - known.total()}
    bands = {f"{low:g}-{high - 1:g}" if high < 121 else f"{low:g}+": (low, high) for low, high in BANDS}
    ages = looked.faces.ages
    if np.isfinite(ages).any():
        found["age"] = {name: int(((ages >= low) & (ages < high)).sum()) for name, (low, high) in bands.items()}
        found["age"]["unknown"] = int((~np.isfinite(ages)).sum())
    yaw = np.abs(looked.frame["yaw"].to_numpy(dtype=np.float64)) if "yaw" in looked.frame.columns else np.zeros(0)
    if np.isfinite(yaw).any():
        edges: dict[str, Callable[[Float], npt.NDArray[np.bool_]]] = {
            "under 15": lambda a: a < 15,
            "15 to 30": lambda a: (a >= 15) & (a < 30),
            "30 and over": lambda a: a >= 30,
            "unknown": np.isnan,
        }
        found["yaw (degrees)"] = {name: int(test(yaw).sum()) for name, test in edges.items()}
    return found


def _worst(looked: Looked, table: pd.DataFrame) -> tuple[Worst, ...]:
    """The first images with each flag, and what they are held against."""
    by_name = {str(name): row for row, name in enumerate(looked.frame["source_file"])}
    found = []
    for flag in FLAGS:
        rows = table.index[[flag in str(cell).split() for cell in table["flags"]]]
        for index in rows[:_PICTURED]:
            row = table.loc[index]
            place = by_name.get(str(row["file_name"]))
            path = looked.table.root / str(row["file_name"]) if place is None else source_path(looked, place)
            copy = str(row.get("duplicate_of") or "") if flag == "duplicate" else ""
            found.append(
                Worst(flag, str(row["file_name"]), _reason(flag, row), path, looked.table.root / copy if copy else None)
            )
    return tuple(found)


def _reason(flag: str, row: "pd.Series[float]") -> str:
    if flag == "stranger":
        return f"like {row['nearest_other']} ({row['similarity_to_other']:.2f}), not {row['subject']} ({row['similarity_to_own']:.2f})"
    if flag == "wrong_age":
        return f"said to be {row['age']:g}, looks like {row['expected_age']:.0f}"
    if flag == "duplicate":
        return f"copy of {row['duplicate_of']}"
    if flag == "leaked":
        return f"copy of {row['leaked_from']}"
    reason = row.get("reason")
    return reason if isinstance(reason, str) and reason else FLAGS[flag]


def flags_of(out: Path) -> dict[str, str]:
    """Flags of the flagged images, as the table of an audit has them."""
    found = read_delimited(out / TABLE_NAME).columns
    if not {"file_name", "flags"} <= set(found):
        raise BadInputError(
            f"{out / TABLE_NAME} has no columns file_name and flags; make the audit again with --force."
        )
    return {name: flags for name, flags in zip(found["file_name"], found["flags"], strict=True) if flags}


def _write_cleaned(table: SampleTable, flags: dict[str, str], out: Path, *, force: bool) -> int:
    """Copy what has no flag; the rest is listed in ``rejected.csv`` with its flags."""
    work = Work("audit-drop", VERSION, {}, {"set": table.content_hash(), "flags": sorted(flags.items())})
    folder = claim_work(out, work, force=force)
    names = [str(name) for name in table.frame["file_name"]]
    kept = [row for row, name in enumerate(names) if name not in flags]
    if not kept:
        raise BadInputError("Every image is flagged; nothing would be left of the set.")
    if not folder.finished:
        for row in kept:
            write_bytes(out / names[row], table.paths[row].read_bytes())
        rows = dict(zip(names, table.frame.to_dict("records"), strict=True))
        write_rejected(out, [_dropped(name, flags[name], rows) for name in names if name in flags])
        write_samples(table.select(kept), out)
        folder.finish({"images": len(kept), "dropped": len(names) - len(kept)})
    return len(kept)


def _dropped(name: str, flags: str, rows: dict[str, dict[object, object]]) -> Rejected:
    from frbias.core.data.samples import rejected_row

    return rejected_row(rows[name], flags)
