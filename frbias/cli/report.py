"""``frbias report``: a self-contained page about an evaluation or a comparison."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from frbias.cli import console
from frbias.cli.takes import Part, takes, writable
from frbias.core.foundation.machine import Machine
from frbias.core.foundation.requests import Request, option
from frbias.core.stages.requests.report import ReportRequest


@dataclass(frozen=True, kw_only=True)
class Page(Request):
    """Where the page goes.

    Attributes:
        out: The file; None for ``report.html`` in the evaluation's folder.
    """

    title = "the output options"
    out: Path | None = option(
        None, short="-o", help="The page; default: report.html in the folder.", metavar="FILE", decides=False
    )

    def conflicts(self) -> Iterator[str]:
        """A place where nothing can be written."""
        yield from writable(self.out)


@takes(Part(ReportRequest), Part(Page))
def command(request: ReportRequest, page: Page) -> None:
    """Write a self-contained HTML report.

    The page needs no network. Every number in it is one of evaluation.json (or comparison.json).

    [bold]Examples[/bold]

        frbias report comparison

        frbias report evaluations/fgnet-sface-1f2e3d4c --at-fmr 1% --title "FG-NET, SFace"

        frbias report comparison --tables

        frbias report comparison --people others --stage people --stage runs/first --held-out --out page.html
    """
    from frbias.core.stages.report import report

    done = report(request, page.out, machine=Machine(progress=console.ConsoleProgress(), tell=console.note))

    def human() -> None:
        console.say(f"Report: [bold]{done.page}[/bold]")
        if done.tables:
            console.say(f"Tables: {', '.join(str(path) for path in done.tables)}")

    found = {"report": str(done.page), "source": str(done.source)}
    console.result({**found, **({"tables": [str(path) for path in done.tables]} if done.tables else {})}, human)
