"""``frbias doctor``: what works on this machine, and what each command lacks."""

import os
from pathlib import Path
from typing import Any

import typer

from frbias.cli import console
from frbias.cli.asset_requests import Diagnosis
from frbias.cli.numerals import escaped
from frbias.cli.takes import Part, takes
from frbias.core.foundation.errors import UsageError


@takes(Part(Diagnosis))
def command(request: Diagnosis) -> None:
    """Say what works on this machine: versions, devices, installed assets, and what each command still lacks.

    Nothing is fetched and nothing is changed. With --deep the exit code is 2 when something is damaged.

    [bold]Examples[/bold]

        frbias doctor

        frbias doctor --deep --under experiments
    """
    if request.deep:
        _look_deeper(request.under)
        return
    from frbias.core.installing.doctor import diagnose
    from frbias.synth.backends import BACKENDS

    found = diagnose(check_hashes=request.hashes, generators={b.name: b.needs for b in BACKENDS.values()})
    console.result(found.to_json(), lambda: _show(found))


def _look_deeper(under: Path) -> None:
    from frbias.core.foundation.words import counted
    from frbias.core.installing.deep import look_deeper

    if not under.is_dir():
        raise UsageError(f"--under {under} is no folder.")
    found = look_deeper(under, progress=console.ConsoleProgress())

    def human() -> None:
        for one in found.findings:
            place = escaped(f"{one.what} {one.place}: {one.problem}")
            console.say(f"{'[bold]damaged[/bold]' if one.damaged else 'note   '}  {place}. {escaped(one.advice)}")
        state = "nothing is damaged" if found.good else "see above"
        console.say(f"{counted(found.checked, 'result')} compared with their hashes: {state}.")

    console.result(found.to_json(), human)
    if not found.good:
        raise typer.Exit(2)


def _show(found: Any) -> None:
    versions = [f"{name} {version or 'MISSING'}" for name, version in found.versions.items()]
    console.say("[bold]Versions[/bold]   " + ", ".join(versions))
    machine = found.machine
    memory = f", {_size(machine['memory_bytes'])} memory" if machine["memory_bytes"] else ""
    console.say(f"[bold]Machine[/bold]    {machine['system']}, {machine['cores']} cores{memory}")
    devices = [device["name"] + (f" ({device['model']})" if "model" in device else "") for device in found.devices]
    console.say(
        f"[bold]Devices[/bold]    torch: {', '.join(devices)}; onnxruntime: {', '.join(found.onnxruntime_providers) or 'MISSING'}"
    )
    root = found.data_root
    state = "" if root["writable"] else ", CANNOT BE WRITTEN"
    console.say(
        f"[bold]Data root[/bold]  {root['path']} ({root['chosen_by']}), {_size(root['free_bytes'])} free{state}\n"
    )
    rows = [(a.name, a.kind, _installed(a), _place(a.path, root["path"]) or a.install) for a in found.assets]
    console.table("Assets", ["name", "kind", "installed", "where, or how to install"], rows)
    console.say("")
    lines = [
        (c.command, "yes" if c.usable else "no", "; ".join([*(f"lacks {text}" for text in c.lacks), *c.notes]))
        for c in found.commands
    ]
    console.table("Commands", ["frbias ...", "usable now", "what it lacks"], lines)


def _place(path: str | None, root: str) -> str:
    """A path as short as it can be said: below the data root it is known where that is."""
    return "" if path is None else path.removeprefix(f"{root}{os.sep}")


def _installed(asset: Any) -> str:
    if asset.problem:
        return f"DAMAGED: {asset.problem}"
    return "synthetic" if asset.synthetic else "yes" if asset.installed else "-"


def _size(count: int) -> str:
    return f"{count / 1024**3:.0f} GiB" if count >= 10 * 1024**3 else f"{count / 1024**2:.0f} MiB"
