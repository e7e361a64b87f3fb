"""``frbias data``: data sets - what there is, what is missing, how to get one in, and what it holds."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from frbias.cli import console
from frbias.cli.asset_requests import AddData, DataStatistics, ImportData, NamedData, VerifyData
from frbias.cli.help import Command, group
from frbias.cli.takes import OUTPUT, Output, Part, takes
from frbias.core.foundation.machine import Machine
from frbias.core.foundation.words import counted
from frbias.core.stages.requests.publish import PublishRequest

if TYPE_CHECKING:
    from frbias.core.data.datasets.scan import Loaded

_FEW = 5  # files that are named on the terminal

app = group("Data sets: list, add, import, verify, statistics, export.")


@app.command("list", cls=Command)
@takes()
def list_data() -> None:
    """Every data set frbias knows, and those you have added."""
    from frbias.core.assets.catalogue import dataset_assets, find_dataset_asset
    from frbias.core.assets.records import read_book
    from frbias.core.assets.store import find_dataset
    from frbias.core.data.datasets.loading import synthetic_folder

    entries: list[dict[str, Any]] = []
    for name in dict.fromkeys([*dataset_assets(), *read_book("datasets")]):
        asset, found = find_dataset_asset(name), find_dataset(name)
        entries.append(
            {
                "name": name,
                "title": asset.title if asset else "added by you",
                "licence": asset.licence if asset else "yours to know",
                "source": asset.source if asset else "",
                "install": asset.install_command if asset else f"frbias data add {name} FOLDER",
                "installed": found is not None,
                "synthetic": synthetic_folder(found.path) if found else None,
                "path": str(found.path) if found else None,
                "found_in": found.origin if found else None,
            }
        )

    def human() -> None:
        rows = [(e["name"], _state(e), str(e["licence"]).partition(" (")[0], e["title"]) for e in entries]
        console.table("", ["name", "installed", "licence", "what it is"], rows)
        console.say("\n'frbias data import NAME FILE' takes one in; 'frbias data stats NAME' says what it holds.")

    console.result({"datasets": entries}, human)


@app.command(cls=Command)
@takes(Part(AddData))
def add(request: AddData) -> None:
    """Remember a folder of images by name. Nothing is copied or changed.

    [bold]Examples[/bold]

        frbias data add family ~/Pictures/family

        frbias data add agedb ~/AgeDB --layout agedb
    """
    from frbias.core.data.datasets.importing import register_dataset

    found = register_dataset(request.name, request.folder, layout=request.layout)
    subjects = len(set(found.table.subjects) - {""})
    value = {
        "name": request.name,
        "path": str(request.folder),
        "images": len(found.table),
        "subjects": subjects,
        "rejected": [{"file": file, "reason": reason} for file, reason in found.rejected],
        "skipped": found.skipped,
    }

    def human() -> None:
        held = f"{counted(len(found.table), 'image')} of {counted(subjects, 'subject')}"
        console.say(f"[bold]{request.name}[/bold]: {held} in {request.folder}.")
        for line in _not_used(found):
            console.say(line)

    console.result(value, human)


def _not_used(found: "Loaded") -> list[str]:
    """Lines on the files that are not used: the first few by name, the others counted."""
    lines = [f"Not used: {file} ({reason})." for file, reason in found.rejected[:_FEW]]
    if len(found.rejected) > _FEW:
        lines.append(
            f"Not used either: {counted(len(found.rejected) - _FEW, 'more file')}; 'data add --json' names all."
        )
    return lines + [f"{found.passed_over}."] * bool(found.passed_over)


@app.command("import", cls=Command)
@takes(Part(ImportData))
def import_data(request: ImportData) -> None:
    """Copy a data set into the data root: every image is checked, what cannot be used is listed in rejected.csv.

    [bold]Examples[/bold]

        frbias data import fgnet ~/Downloads/FGNET.zip

        frbias data import family ~/Pictures/family --layout folder
    """
    from frbias.core.data.datasets.importing import fetch_archive, import_dataset
    from frbias.core.data.datasets.loading import synthetic_origin
    from frbias.core.data.datasets.resolving import resolve_data
    from frbias.core.data.datasets.scan import words_of_skipped

    progress = console.ConsoleProgress()
    name, source = request.name, request.source
    limit = 60 * request.time_limit
    place = source if source is not None else fetch_archive(name, time_limit=limit, progress=progress)
    done = import_dataset(name, place, layout=request.layout, out=request.out, force=request.force, progress=progress)
    if source is None:
        place.unlink(missing_ok=True)
    value = {
        "name": done.name,
        "path": str(done.path),
        "layout": done.layout,
        "images": done.images,
        "subjects": done.subjects,
        "rejected": done.rejected,
        "skipped": done.skipped,
        "sha256": done.sha256,
        "synthetic": synthetic_origin(resolve_data(str(done.path))),
    }

    def human() -> None:
        before = " (imported before)" if done.finished_before else ""
        held = f"{counted(done.images, 'image')} of {counted(done.subjects, 'subject')}"
        console.say(f"[bold]{name}[/bold]: {held} in {done.path}{before}.")
        if done.rejected:
            console.say(f"{counted(done.rejected, 'file')} left out; see {done.path / 'rejected.csv'}.")
        if passed_over := words_of_skipped(done.skipped):
            console.say(f"{passed_over}.")
        if value["synthetic"]:
            console.say(str(value["synthetic"]))

    console.result(value, human)


@app.command(cls=Command)
@takes(Part(VerifyData))
def verify(request: VerifyData) -> None:
    """Say what differs from the published counts, and which images cannot be read (exit code 2 if anything does).

    [bold]Examples[/bold]

        frbias data verify fgnet

        frbias data verify people --no-decode
    """
    from frbias.core.assets.catalogue import find_dataset_asset
    from frbias.core.data.datasets.loading import synthetic_origin
    from frbias.core.data.datasets.resolving import resolve_whole
    from frbias.core.data.datasets.verify import as_json, verify_table

    loaded = resolve_whole(request.name)
    table = loaded.table
    found = verify_table(
        table, find_dataset_asset(request.name), decode=request.decode, progress=console.ConsoleProgress()
    )
    if origin := synthetic_origin(table):
        found.notes.append(origin)
    found.notes.extend(_not_used(loaded))

    def human() -> None:
        for line in found.agreements:
            console.say(f"  agrees   {line}")
        for line in found.differences:
            console.say(f"  [bold]differs[/bold]  {line}")
        for file, reason in found.broken:
            console.say(f"  [bold]broken[/bold]   {file}: {reason}")
        for line in found.notes:
            console.say(f"  note     {line}")
        console.say(f"{table.root}: {'good' if found.good else 'not as published'}.")

    console.result(as_json(found, table.root), human)
    if not found.good:
        raise typer.Exit(2)


@app.command(cls=Command)
@takes(Part(DataStatistics))
def stats(request: DataStatistics) -> None:
    """Ages, images per subject, and mated pairs per age group.

    [bold]Examples[/bold]

        frbias data stats fgnet

        frbias data stats people --groups 0-12,13-19,20-39,40-59,60+ --plot people.png
    """
    from frbias.core.data.datasets.loading import synthetic_origin
    from frbias.core.data.datasets.resolving import resolve_data
    from frbias.core.data.datasets.statistics import DECADES, describe_table, draw_statistics
    from frbias.core.verification.groups import parse_age_groups

    table = resolve_data(request.name)
    groups = parse_age_groups(request.groups or DECADES)
    found = describe_table(table, [(group.low, group.high) for group in groups])
    origin, plot = synthetic_origin(table), request.plot
    if plot is not None:
        draw_statistics(table, plot, title=f"{request.name} (synthetic)" if origin else request.name)
    value = {**found.to_json(), "synthetic": origin, "plot": str(plot) if plot else None}
    console.result(value, lambda: _show_statistics(found, origin, plot))


@app.command(cls=Command)
@takes(Part(PublishRequest), OUTPUT.named("upload"))
def export(request: PublishRequest, output: Output) -> None:
    """Write a synthetic image set as a folder that can be uploaded: images, typed table, card, Croissant metadata.

    Photographs of people are refused.

    [bold]Examples[/bold]

        frbias data export generated --out upload
    """
    from frbias.core.stages.publish import plan_publish, publish

    machine = Machine(progress=console.ConsoleProgress(), tell=console.note)
    if output.dry_run:
        console.plan(plan_publish(request, output.out, machine=machine))
        return
    done = publish(request, output.out, machine=machine, force=output.force)
    summary = {"out": str(done.out), "images": done.images, "subjects": done.subjects, "reused": done.reused}
    people = counted(done.subjects, "subject")
    console.result(
        summary, lambda: console.say(f"{counted(done.images, 'image')} of {people} in [bold]{done.out}[/bold].")
    )


def _state(entry: dict[str, Any]) -> str:
    if entry["synthetic"]:
        return "synthetic"
    return "yes" if entry["installed"] else "-"


def _show_statistics(found: Any, origin: str | None, plot: Path | None) -> None:
    console.say(f"{counted(found.images, 'image')} of {counted(found.subjects, 'subject')}")
    if found.ages:
        console.say(f"ages {found.ages[0]:g} to {found.ages[2]:g}, mean {found.ages[1]:.2f}")
    if found.without_age:
        console.say(f"{counted(found.without_age, 'image')} of unknown age")
    if found.images_per_subject:
        low, mean, high = found.images_per_subject
        console.say(f"{low} to {high} images per subject, mean {mean:.2f}")
    else:
        console.say("no identities: usable for age work only, not for verification")
    if found.points:
        console.say(f"{counted(found.points, 'image')} with annotated points")
    console.say(f"{counted(found.mated_pairs, 'mated pair')}, {found.non_mated_pairs:,} non-mated")
    rows = [(g.name, g.images, g.subjects, g.mated_pairs, g.non_mated_pairs) for g in found.groups]
    if rows:
        console.say("")
        console.table("", ["age", "images", "subjects", "mated pairs", "non-mated pairs"], rows, numeric=(1, 2, 3, 4))
    if origin:
        console.say(f"\n{origin}")
    if plot:
        console.say(f"\nDrawn to {plot}.")


@app.command(cls=Command)
@takes(Part(NamedData))
def remove(request: NamedData) -> None:
    """Forget the name of a data set that was added or imported. No image is deleted."""
    from frbias.core.assets.records import drop_record

    name = request.name
    removed = drop_record("datasets", name)
    console.result(
        {"name": name, "removed": removed}, lambda: console.say(f"{name} is {'forgotten' if removed else 'not known'}.")
    )
