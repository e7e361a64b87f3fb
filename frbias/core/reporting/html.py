"""The report: one self-contained HTML page, made from the JSON document of an evaluation or a comparison.

Nothing is loaded from anywhere: style and pictures are inlined, there are no scripts. Every number of the findings
carries the path of its value in the document (:mod:`frbias.core.reporting.tracing`).
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from frbias import __version__
from frbias.core.data.samples import SampleTable
from frbias.core.foundation.files import write_text
from frbias.core.foundation.progress import SILENT, Progress
from frbias.core.foundation.provenance import read_provenance
from frbias.core.reporting.documents import checked
from frbias.core.reporting.figures.drawing import Drawn
from frbias.core.reporting.figures.every import draw_document
from frbias.core.reporting.figures.seen import seen
from frbias.core.reporting.lanes import Side, fmr_ticks, measure_lanes, rate_band, rate_lanes
from frbias.core.reporting.making import read_stages, told_by
from frbias.core.reporting.people import contact_sheet, data_uri
from frbias.core.reporting.templating import environment, template
from frbias.core.reporting.tracing import Tracer, resolve
from frbias.core.reporting.verdict import Verdict, is_comparison, judge
from frbias.core.verification.measures.table import MEASURES

Document = dict[str, Any]
FIGURES = "figures"
_BESIDE_TEXT = {
    "fairness": ("differences", "fairness_of_both", "fairness_over_fmr"),
    "errors": ("rates_of_both", "rates_by_group", "operating_points"),
}
_SECTIONS = {
    "Detection error trade-off": ("det_of_both", "det"),
    "Score distributions": ("distributions_by_group", "distributions_by_protocol"),
    "Across ages and groups": ("distributions_by_age_gap", "fnmr_by_age", "score_by_age", "fmr_by_groups"),
}
"""Figures by the part of the page that shows them."""
SHOWN = frozenset(name for names in (*_BESIDE_TEXT.values(), *_SECTIONS.values()) for name in names)


@dataclass(frozen=True)
class Picture:
    """A figure for the page.

    Attributes:
        title, caption: Text.
        seen: What is seen, for readers who do not see it.
        picture: Data URI.
        csv: Place of the plotted points, relative to the page.
        wide: Whether it needs the width of the page.
    """

    title: str
    caption: str
    seen: str
    picture: str
    csv: str
    wide: bool


def write_report(
    out_html: Path,
    document: Any,
    *,
    source: str = "evaluation.json",
    people: SampleTable | None = None,
    stages: Sequence[Path] = (),
    held_out: bool | None = None,
    origin: str | None = None,
    title: str | None = None,
    target: float | None = None,
    asked: str = "",
    made_on: str | None = None,
    progress: Progress = SILENT,
) -> Path:
    """Write the page and, in ``figures/`` beside it, the figures it shows.

    Args:
        out_html: The page.
        document: An Evaluation or Comparison, or the JSON document of one.
        source: Name of the file (relative to the page) that holds exactly this document.
        people: Images for the contact sheet.
        stages: Folders of the stages that led here, in order, for "how it was made"; the folder of ``source`` is added
            when it has a provenance.
        held_out: Whether the people were kept out of the training of the models; None: not known.
        origin: Sentence about synthetic images; default: what the evaluation, or the table and folder of ``people``, say.
        title: Title of the page.
        target: Target FMR of the headline; default: see :func:`~frbias.core.reporting.verdict.headline_index`.
        asked: The command that asked for all the stages, when it was one.
        made_on: Date of the page, YYYY-MM-DD; default: today, or the day of ``SOURCE_DATE_EPOCH``.
        progress: Where to report.

    Returns:
        ``out_html``.

    Raises:
        BadInputError: The document is neither an evaluation nor a comparison, or a stage has no provenance.
    """
    out_html = Path(out_html)
    facts = checked(document.to_json() if hasattr(document, "to_json") else document, source)
    made = read_stages(_with_own(stages, out_html.parent / source), out_html.parent)
    verdict = judge(facts, target=target, held_out=held_out)
    sides = _sides(facts, verdict.index)
    page = environment().get_template("report.html.j2")
    text = page.render(
        **_findings(facts, sides, verdict),
        **_figures(facts, sides, out_html.parent, progress),
        n=Tracer(facts, source),
        source=source,
        title=title or ("Is it fairer now?" if is_comparison(facts) else "Is it fair?"),
        sheet=None if people is None else contact_sheet(people),
        origin=origin or _origin(facts, people),
        stages=made,
        told={"asked": asked, **told_by(made)},
        made_on=made_on or today(),
        **_constants(),
    )
    write_text(out_html, text)
    return out_html


def _constants() -> dict[str, Any]:
    return {"version": __version__, "terms": _terms(), "style": template("style.css")}


def today() -> str:
    """The date (UTC) of ``SOURCE_DATE_EPOCH``, which builds that have to repeat byte by byte set, or of now."""
    given = os.environ.get("SOURCE_DATE_EPOCH", "")
    moment = datetime.fromtimestamp(int(given), UTC) if given.isdigit() else datetime.now(UTC)
    return moment.date().isoformat()


def _with_own(stages: Sequence[Path], document: Path) -> list[Path]:
    """The stages and, last, the folder of the document itself when it has a provenance and is not among them."""
    folder = Path(os.path.normpath(document)).parent  # the page's folder, in terms of which it is given, may come later
    given = [Path(stage) for stage in stages]
    known = {(stage if stage.is_dir() else stage.parent).resolve() for stage in given}
    own = folder.resolve() not in known and read_provenance(folder) is not None
    return [*given, folder] if own else given


def _findings(document: Document, sides: Sequence[Side], verdict: Verdict) -> dict[str, Any]:
    return {
        "document": document,
        "paired": is_comparison(document),
        "sides": sides,
        "verdict": verdict,
        "garbe": measure_lanes(document, sides, "garbe"),
        "halves": [(part, measure_lanes(document, sides, part)) for part in ("gini_fnmr", "gini_fmr")],
        "fnmr": rate_lanes(document, sides, "fnmr", verdict.index),
        "fmr": rate_lanes(document, sides, "fmr", verdict.index),
        "fmr_ticks": fmr_ticks(document, sides),
        "rate_band": rate_band,
    }


def _figures(document: Document, sides: Sequence[Side], beside: Path, progress: Progress) -> dict[str, Any]:
    """The figures by the section that shows them, every one of them once."""
    target = resolve(document, sides[0].at("target"))
    gallery = draw_document(document, beside / FIGURES, target=target, progress=progress)
    sources = (gallery.whole, *gallery.sides)
    placed = {
        place: [p for name in names for group in sources for p in _pictures(group, name, beside)]
        for place, names in (*_BESIDE_TEXT.items(), *_SECTIONS.items())
    }
    return {
        "beside_text": {place: placed[place] for place in _BESIDE_TEXT},
        "sections": [(place, placed[place]) for place in _SECTIONS if placed[place]],
    }


def _terms() -> dict[str, str]:
    """What the measures and rates that are defined in a document are called."""
    rates = {name: name.upper() for name in ("fmr", "fnmr", "tar", "eer")}
    return (
        rates
        | {"d_prime": "d\u2032"}
        | {name: entry.label[:1].upper() + entry.label[1:] for name, entry in MEASURES.items()}
    )


def _origin(document: Document, people: SampleTable | None) -> str | None:
    facts = document["baseline"] if is_comparison(document) else document
    noted = (facts.get("provenance") or {}).get("synthetic")
    if noted or people is None:
        return str(noted) if noted else None
    from frbias.core.data.datasets.loading import synthetic_origin

    return synthetic_origin(people)


def _sides(document: Document, index: int) -> list[Side]:
    if not is_comparison(document):
        return [Side("", "b", index)]
    wanted = document["targets"][index]["target"]
    found = []
    for key, css in (("baseline", "a"), ("other", "b")):
        position = next(i for i, r in enumerate(document[key]["targets"]) if r["target"] == wanted)
        found.append(Side(f"{key}.", css, position))
    return found


def _pictures(drawn: Sequence[Drawn], name: str, beside: Path) -> list[Picture]:
    return [
        Picture(
            figure.title,
            figure.caption,
            seen(figure.name, figure.title, figure.points),
            data_uri(figure.svg.read_bytes(), "image/svg+xml"),
            figure.csv.relative_to(beside).as_posix(),
            figure.columns > 1,
        )
        for figure in drawn
        if figure.name == name
    ]
