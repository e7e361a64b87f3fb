"""``frbias report``: a self-contained page about an evaluation or a comparison."""

from pathlib import Path
from typing import Annotated

import typer

from frbias.cli import console


def command(
    evaluation: Annotated[
        Path, typer.Argument(help="Folder that 'frbias evaluate' or 'frbias compare' wrote, or its JSON file.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The page; default: report.html in the folder.")
    ] = None,
    people: Annotated[
        str | None, typer.Option("--people", help="Image set to show people of, e.g. the generated one.")
    ] = None,
    stage: Annotated[
        list[Path] | None,
        typer.Option("--stage", help="Folder of a stage that led here, for 'how it was made'; repeat in order."),
    ] = None,
    held_out: Annotated[
        bool | None,
        typer.Option("--held-out/--in-training", help="Whether these people were kept out of training; default: open."),
    ] = None,
    title: Annotated[str | None, typer.Option("--title", help="Title of the page.")] = None,
    at_fmr: Annotated[
        float | None,
        typer.Option("--at-fmr", help="Target FMR of the headline; default: nearest 0.01 with enough errors."),
    ] = None,
) -> None:
    """Write a self-contained HTML report.

    The page needs no network. Every number in it is one of evaluation.json (or comparison.json).
    """
    import os

    from frbias.core.reporting.documents import read_document
    from frbias.core.reporting.html import write_report

    document, found = read_document(evaluation)
    page = out or found.parent / "report.html"
    table = None
    if people is not None:
        from frbias.core.data.datasets.resolving import resolve_data

        table = resolve_data(people)
    write_report(
        page,
        document,
        source=Path(os.path.relpath(found.resolve(), page.resolve().parent)).as_posix(),
        people=table,
        stages=stage or (),
        held_out=held_out,
        title=title,
        target=at_fmr,
        progress=console.ConsoleProgress(),
    )
    console.result({"report": str(page), "source": str(found)}, lambda: console.say(f"Report: [bold]{page}[/bold]"))
