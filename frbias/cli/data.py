"""``frbias data``: data sets - what there is, what is missing, how to get one in, and what it holds."""

from pathlib import Path
from typing import Annotated, Any

import typer

from frbias.cli import console

app = typer.Typer(
    help="Data sets: list, add, import, verify, statistics.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
DataName = Annotated[str, typer.Argument(help="Name of a data set (see 'frbias data list'), a folder or a CSV file.")]
LayoutName = Annotated[
    str | None,
    typer.Option(
        "--layout",
        help="How the files are named: fgnet, morph, agedb, cacd, itwcc, utkface, folder. Default: found out.",
    ),
]


@app.command("list")
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


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="Name to remember it by.")],
    folder: Annotated[Path, typer.Argument(help="Folder of images, or a CSV file; read in place, nothing is copied.")],
    layout: LayoutName = None,
) -> None:
    """Remember a folder of images by name. Nothing is copied or changed."""
    from frbias.core.data.datasets.importing import register_dataset

    table = register_dataset(name, folder, layout=layout)
    subjects = len(set(table.subjects) - {""})
    value = {"name": name, "path": str(folder), "images": len(table), "subjects": subjects}
    console.result(
        value, lambda: console.say(f"[bold]{name}[/bold]: {len(table)} images of {subjects} subjects in {folder}.")
    )


@app.command("import")
def import_data(
    name: Annotated[
        str, typer.Argument(help="Name to remember it by; names of 'frbias data list' imply their layout.")
    ],
    source: Annotated[
        Path | None,
        typer.Argument(
            help="Folder, CSV file, zip or tar archive; it is only read. Left out: download it, where that is possible."
        ),
    ] = None,
    layout: LayoutName = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Where to copy to. Default: datasets/NAME in the data root.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier import.")] = False,
) -> None:
    """Copy a data set into the data root: every image is checked, what cannot be used is listed in rejected.csv."""
    from frbias.core.data.datasets.importing import fetch_archive, import_dataset
    from frbias.core.data.datasets.loading import synthetic_origin
    from frbias.core.data.datasets.resolving import resolve_data

    progress = console.ConsoleProgress()
    place = source if source is not None else fetch_archive(name, progress=progress)
    done = import_dataset(name, place, layout=layout, out=out, force=force, progress=progress)
    if source is None:
        place.unlink(missing_ok=True)
    value = {
        "name": done.name,
        "path": str(done.path),
        "layout": done.layout,
        "images": done.images,
        "subjects": done.subjects,
        "rejected": done.rejected,
        "sha256": done.sha256,
        "synthetic": synthetic_origin(resolve_data(str(done.path))),
    }

    def human() -> None:
        before = " (imported before)" if done.finished_before else ""
        console.say(f"[bold]{name}[/bold]: {done.images} images of {done.subjects} subjects in {done.path}{before}.")
        if done.rejected:
            console.say(f"{done.rejected} files were left out; see {done.path / 'rejected.csv'}.")
        if value["synthetic"]:
            console.say(str(value["synthetic"]))

    console.result(value, human)


@app.command()
def verify(
    name: DataName,
    decode: Annotated[bool, typer.Option("--decode/--no-decode", help="Open every image.")] = True,
) -> None:
    """Say what differs from the published counts, and which images cannot be read (exit code 2 if anything does)."""
    from frbias.core.assets.catalogue import find_dataset_asset
    from frbias.core.data.datasets.loading import synthetic_origin
    from frbias.core.data.datasets.resolving import resolve_data
    from frbias.core.data.datasets.verify import as_json, verify_table

    table = resolve_data(name)
    found = verify_table(table, find_dataset_asset(name), decode=decode, progress=console.ConsoleProgress())
    if origin := synthetic_origin(table):
        found.notes.append(origin)

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


@app.command()
def stats(
    name: DataName,
    groups: Annotated[
        str | None, typer.Option("--groups", help="Age groups, half open, e.g. 0-18,18-45,45-80. Default: decades.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", help="Draw ages and images per subject to this file (.png, .svg, .pdf).")
    ] = None,
) -> None:
    """Ages, images per subject, and mated pairs per age group."""
    from frbias.core.data.datasets.loading import synthetic_origin
    from frbias.core.data.datasets.resolving import resolve_data
    from frbias.core.data.datasets.statistics import DECADES, describe_table, draw_statistics, parse_groups

    table = resolve_data(name)
    found = describe_table(table, parse_groups(groups) if groups else DECADES)
    origin = synthetic_origin(table)
    if plot is not None:
        draw_statistics(table, plot, title=f"{name} (synthetic)" if origin else name)
    value = {**found.to_json(), "synthetic": origin, "plot": str(plot) if plot else None}
    console.result(value, lambda: _show_statistics(found, origin, plot))


def _state(entry: dict[str, Any]) -> str:
    if entry["synthetic"]:
        return "synthetic"
    return "yes" if entry["installed"] else "-"


def _show_statistics(found: Any, origin: str | None, plot: Path | None) -> None:
    console.say(f"{found.images} images of {found.subjects} subjects")
    if found.ages:
        console.say(f"ages {found.ages[0]:g} to {found.ages[2]:g}, mean {found.ages[1]:.2f}")
    if found.without_age:
        console.say(f"{found.without_age} images of unknown age")
    if found.images_per_subject:
        low, mean, high = found.images_per_subject
        console.say(f"{low} to {high} images per subject, mean {mean:.2f}")
    else:
        console.say("no identities: usable for age work only, not for verification")
    if found.points:
        console.say(f"{found.points} images with annotated points")
    console.say(f"{found.mated_pairs} mated pairs, {found.non_mated_pairs} non-mated")
    rows = [(f"{g.low:g} to <{g.high:g}", g.images, g.subjects, g.mated_pairs, g.non_mated_pairs) for g in found.groups]
    if rows:
        console.say("")
        console.table("", ["age", "images", "subjects", "mated pairs", "non-mated pairs"], rows, numeric=(1, 2, 3, 4))
    if origin:
        console.say(f"\n{origin}")
    if plot:
        console.say(f"\nDrawn to {plot}.")


@app.command()
def remove(name: Annotated[str, typer.Argument(help="Name of a data set you have added or imported.")]) -> None:
    """Forget a name. No image is deleted."""
    from frbias.core.assets.records import drop_record

    removed = drop_record("datasets", name)
    console.result(
        {"name": name, "removed": removed}, lambda: console.say(f"{name} is {'forgotten' if removed else 'not known'}.")
    )
