"""The request of a report."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from frbias.core.foundation.requests import Request, option
from frbias.core.foundation.values import share


@dataclass(frozen=True, kw_only=True)
class ReportRequest(Request):
    """Write the page about an evaluation or a comparison.

    Attributes:
        evaluation: Folder that evaluate or compare wrote, or its JSON file.
        people: Image set to show people of.
        show_people: Show them although they may be real people.
        stage: Folders of stages that led here, in order.
        held_out: Whether these people were kept out of training; None when it is not known.
        heading: Title of the page.
        tables: Write the tables of the page for a paper, too: Markdown and LaTeX.
        at_fmr: Target FMR of the headline, a fraction; None: the one nearest 0.01 with enough errors.
    """

    title = "report"
    evaluation: Path = option(
        help="Folder that 'frbias evaluate' or 'frbias compare' wrote, or its JSON file.", positional=True
    )
    people: str | None = option(
        None, help="Image set to show people of, e.g. the generated one.", metavar="DATA", completes="data"
    )
    show_people: bool = option(
        False, help="Show --people although they may be real; pictures of generated people need no such word."
    )
    stage: tuple[Path, ...] = option(
        (), help="Folder of a stage that led here, for 'how it was made'; repeat in order.", metavar="PATH", many=True
    )
    held_out: bool | None = option(
        None, help="Whether these people were kept out of training; left open when not given.", negative="in-training"
    )
    heading: str | None = option(None, name="title", help="Title of the page.", metavar="TEXT")
    tables: bool = option(False, help="Also write the tables as Markdown and LaTeX, in tables/ beside the page.")
    at_fmr: float | None = option(
        None,
        help="Target FMR of the headline, e.g. 1%; default: nearest 0.01 with enough errors.",
        metavar="RATE",
        parse=share,
    )

    def conflicts(self) -> Iterator[str]:
        """A headline at a rate that is none."""
        if self.at_fmr is not None and not 0 < self.at_fmr < 1:
            yield f"--at-fmr {self.at_fmr:g} is no false match rate; write one between 0 and 1, e.g. 0.01 or 1%."
