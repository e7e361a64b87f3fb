"""The page of an audit: self-contained, without scripts, nothing loaded from anywhere."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from frbias import __version__
from frbias.core.auditing.document import Audit
from frbias.core.auditing.flags import FLAGS
from frbias.core.foundation.files import write_text
from frbias.core.foundation.words import counted
from frbias.core.reporting.people import thumbnail
from frbias.core.reporting.templating import environment, template

# What photographs look like to SFace: measured on LFW (adults) and on FG-NET under 13 (children); what is within people
# on FG-NET people 001 to 040, ages 20-39 and under 13; docs/audit.md.
PHOTOGRAPHS = {
    "mean_length": ("0.31", "0.48"),
    "non_mated": ("0.09", "0.22"),
    "dimensions": ("82", "33"),
    "variance": ("0.90", "0.64"),
    "mated": ("0.65", "0.47"),
    "within_dimensions": ("56", "40"),
    "within_variance": ("0.36", "0.51"),
}
# How far two sets of photographs are from each other to SFace: FG-NET people 001 to 040 and a quarter of LAG, names a to m.
PHOTOGRAPHS_APART = {
    "mean_cosine": "0.58",
    "frechet": "0.341",
    "kernel": "0.3736",
    "probe": "89.91 %",
    "ageing": "0.71 (0.67 to 0.76)",
    "lengths": "0.40 and 0.31",
}


@dataclass(frozen=True)
class Worst:
    """A flagged image to picture.

    Attributes:
        flag: Its flag.
        file_name: Its name.
        reason: One clause.
        path: Where it is.
        beside: Another picture to show next to it, or None.
    """

    flag: str
    file_name: str
    reason: str
    path: Path
    beside: Path | None = None


@dataclass(frozen=True)
class Shown:
    """A flagged image with its pictures inlined."""

    worst: Worst
    pictures: tuple[str, ...]


def write_audit_page(out_html: Path, audit: Audit, worst: Sequence[Worst]) -> None:
    """Write the page.

    Args:
        out_html: The file.
        audit: What was found.
        worst: Flagged images to picture; none for photographs of people unless they are asked for.
    """
    shown = [
        Shown(w, tuple(p for p in (thumbnail(w.path, 112), w.beside and thumbnail(w.beside, 112)) if p)) for w in worst
    ]
    groups = [(flag, FLAGS[flag], [s for s in shown if s.worst.flag == flag]) for flag in FLAGS]
    page = environment().get_template("audit.html.j2")
    text = page.render(
        audit=audit,
        flags=FLAGS,
        counted=counted,
        groups=[g for g in groups if g[2]],
        photographs=PHOTOGRAPHS if audit.recogniser == "sface" else None,
        apart=PHOTOGRAPHS_APART if audit.recogniser == "sface" else None,
        version=__version__,
        style=template("style.css"),
    )
    write_text(out_html, text)
