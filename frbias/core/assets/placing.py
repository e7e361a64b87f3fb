"""A folder in place of another: at no moment are both lost, whatever ends the process."""

import shutil
from pathlib import Path


def put_in_place(made: Path, target: Path) -> None:
    """Put the folder ``made`` where ``target`` is; the old one is moved aside first and removed last."""
    aside = _aside(target)
    if target.exists():
        target.rename(aside)
    made.rename(target)
    shutil.rmtree(aside, ignore_errors=True)


def mend(target: Path) -> None:
    """After a killed :func:`put_in_place`: bring the old folder back when there is no new one, else remove it."""
    aside = _aside(target)
    if not aside.exists():
        return
    if target.exists():
        shutil.rmtree(aside, ignore_errors=True)
    else:
        aside.rename(target)


def _aside(target: Path) -> Path:
    return target.with_name(f".{target.name}.replaced")
