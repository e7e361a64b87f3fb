"""``frbias models``: weights - what there is, what is missing, and how to get it in."""

from typing import Any

import typer

from frbias.cli import console
from frbias.cli.asset_requests import AddModel, ConvertModel, FetchModel, NamedModel, VerifyModels
from frbias.cli.help import Command, group
from frbias.cli.takes import Part, takes

app = group("Weights: list, add, fetch, verify, convert.")


@app.command("list", cls=Command)
@takes()
def list_models() -> None:
    """Every model frbias knows, and those you have added."""
    from frbias.core.assets.catalogue import model_assets
    from frbias.core.assets.records import read_book

    names = [*model_assets(), *(name for name in read_book("models") if name not in model_assets())]
    entries = [_entry(name) for name in names]

    def human() -> None:
        rows = [
            (e["name"], e["kind"], "yes" if e["installed"] else "-", e["licence"].partition(" (")[0], e["title"])
            for e in entries
        ]
        console.table("", ["name", "kind", "installed", "licence", "what it is"], rows)
        console.say("\n'frbias models info NAME' says where a model comes from and how to install it.")

    console.result({"models": entries}, human)


@app.command(cls=Command)
@takes(Part(NamedModel))
def info(request: NamedModel) -> None:
    """What a model is, its licence, where it comes from, and whether it is installed."""
    entry = _entry(request.name)

    def human() -> None:
        for key, value in entry.items():
            if value not in ("", None, [], {}):
                shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
                console.say(f"{key.replace('_', ' ') + ':':<17}{_escape(shown)}")

    console.result(entry, human)


@app.command(cls=Command)
@takes(Part(AddModel))
def add(request: AddModel) -> None:
    """Take a weight file in.

    Its content says what it is; nothing in it is executed. It is converted once to .safetensors + .json in
    the data root; the file itself is only read.

    [bold]Examples[/bold]

        frbias models add r50 ~/Downloads/backbone.pth

        frbias models add buffalo_l ~/Downloads/buffalo_l.zip
    """
    from frbias.core.installing.models import add_model

    _show_installed(add_model(request.name, request.file, force=request.force, progress=console.ConsoleProgress()))


@app.command(cls=Command)
@takes(Part(FetchModel))
def fetch(request: FetchModel) -> None:
    """Download a model that has a direct address, check it, and add it. Run again to go on after an interruption."""
    from frbias.core.installing.models import fetch_model

    limit, progress = 60 * request.time_limit, console.ConsoleProgress()
    _show_installed(fetch_model(request.name, force=request.force, time_limit=limit, progress=progress))


@app.command(cls=Command)
@takes(Part(VerifyModels))
def verify(request: VerifyModels) -> None:
    """Compare installed models with the hashes recorded when they were added (exit code 2 when one differs)."""
    from frbias.core.assets.catalogue import model_assets
    from frbias.core.assets.records import read_book
    from frbias.core.assets.store import find_model
    from frbias.core.installing.models import verify_model

    chosen = request.names or [n for n in dict.fromkeys([*model_assets(), *read_book("models")]) if find_model(n)]
    problems = {name: verify_model(name) for name in chosen}

    def human() -> None:
        if not problems:
            console.say("No model is installed.")
        for name, found in problems.items():
            console.say(f"{name}: {'good' if not found else ' '.join(found)}")

    console.result({"models": problems, "good": not any(problems.values())}, human)
    if any(problems.values()):
        raise typer.Exit(2)


@app.command(cls=Command)
@takes(Part(ConvertModel))
def convert(request: ConvertModel) -> None:
    """Convert a weight file to .safetensors + .json without adding it."""
    from frbias.core.installing.models import convert_file

    file, out = request.file, request.out
    found = convert_file(file, out, force=request.force, progress=console.ConsoleProgress())
    value = {
        "kind": found.kind,
        "variant": found.variant,
        "format": found.format,
        "details": found.details,
        "path": str(out),
    }
    console.result(value, lambda: console.say(f"{out} holds the weights of {file}: {found.kind}, {found.variant}."))


@app.command(cls=Command)
@takes(Part(NamedModel))
def path(request: NamedModel) -> None:
    """Print the path that a name leads to (exit code 3 when it is not installed)."""
    from frbias.core.assets.store import resolve_weights

    found = resolve_weights(request.name)
    console.result({"name": request.name, "path": str(found)}, lambda: console.say(_escape(str(found))))


@app.command(cls=Command)
@takes(Part(NamedModel))
def remove(request: NamedModel) -> None:
    """Forget a model and delete its converted copy; the file it came from is not touched."""
    from frbias.core.installing.models import remove_model

    name = request.name
    removed = remove_model(name)
    console.result(
        {"name": name, "removed": removed},
        lambda: console.say(f"{name} is {'removed' if removed else 'not installed'}."),
    )


def _entry(name: str) -> dict[str, Any]:
    from frbias.core.assets.catalogue import find_model_asset, model_assets, unknown_name
    from frbias.core.assets.records import read_book
    from frbias.core.assets.store import find_model

    asset, found = find_model_asset(name), find_model(name)
    record = found.record if found else {}
    if asset is None and found is None:
        raise unknown_name(name, "model", [*model_assets(), *read_book("models")], "frbias models add NAME FILE")
    return {
        "name": asset.name if asset else name,
        "kind": asset.kind if asset else record.get("kind", ""),
        "title": asset.title if asset else f"added from {record.get('source', '') or (found.path if found else '')}",
        "licence": asset.licence if asset else record.get("licence") or "yours to know",
        "source": asset.source if asset else "",
        "get": asset.get if asset else "",
        "install": asset.install_command if asset else "",
        "used_by": list(asset.used_by) if asset else [],
        "aliases": list(asset.aliases) if asset else [],
        "installed": found is not None,
        "path": str(found.path) if found else None,
        "found_in": found.origin if found else None,
        "sha256": record.get("source_sha256") or (asset.sha256 if asset else "") or None,
        "variant": record.get("variant"),
    }


def _show_installed(installed: Any) -> None:
    from frbias.core.assets.catalogue import KINDS

    value = {
        "name": installed.name,
        "kind": installed.kind,
        "variant": installed.variant,
        "path": str(installed.path),
        "source_sha256": installed.source_sha256,
        "details": installed.details,
    }

    def human() -> None:
        what = f"{KINDS[installed.kind]} ({installed.variant})"
        console.say(f"[bold]{installed.name}[/bold] is installed: {what}, {_escape(str(installed.path))}")
        if installed.source_sha256:
            console.say(f"SHA-256 of the file it came from: {installed.source_sha256}")

    console.result(value, human)


def _escape(text: str) -> str:
    return text.replace("[", r"\[")
