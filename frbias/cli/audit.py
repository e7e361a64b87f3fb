"""``frbias audit``: find what is wrong with an image set, and how far it is from another."""

from typing import Any

from frbias.cli import console
from frbias.cli.takes import OUTPUT, Output, Part, takes
from frbias.core.foundation.machine import Machine, Resources
from frbias.core.foundation.words import counted
from frbias.core.stages.requests.audit import AuditRequest

_NONE = "-"


@takes(Part(AuditRequest), OUTPUT.named("audit"), Part(Resources, only=("device", "batch_size", "workers")))
def command(request: AuditRequest, output: Output, resources: Resources) -> None:
    """Find what is wrong with an image set, and how far it is from another.

    Copies, leaks into a training set, faces of somebody else, impossible ages, images without a face; how alike the
    people look to a recogniser, and whether they age as photographs do. Works on any generator's set and on photographs.

    [bold]Examples[/bold]

        frbias audit people

        frbias audit people --against fgnet --out audit-fgnet

        frbias audit people --against training --drop people-clean
    """
    from frbias.core.stages.audit import audit, plan_audit

    machine = Machine(resources, console.ConsoleProgress(), console.note)
    if output.dry_run:
        console.plan(plan_audit(request, output.out, machine=machine))
        return
    result = audit(request, output.out, machine=machine, force=output.force)
    document: Any = result.document

    def human() -> None:
        _show(document)
        if result.kept is not None:
            unseen = ", ".join(result.not_looked_for)
            rest = f" Not looked for: {unseen}." if unseen else ""
            console.say(f"{counted(result.kept, 'image')} without a flag in [bold]{request.drop}[/bold].{rest}")
        console.say(f"Page and table: [bold]{result.out}/audit.html[/bold], audit.csv, audit.json.")

    console.result(document, human)


def _show(document: Any) -> None:
    title = f"{counted(document['images'], 'image')} of {document['name']}"
    console.table(title, ("flag", "images", "looked at", "meaning"), _flags(document), numeric=(1, 2))
    seen, against = document["appearance"], document["against"]
    other = against["appearance"] if against else None
    names = {
        "mean_length": "length of the mean vector",
        "non_mated": "cosine, different people",
        "mated": "cosine, same person",
        "dimensions": "effective dimensions of people",
        "variance": "variance of people's means",
    }
    cells = [(text, _number(seen[key]), *([_number(other[key])] if other else [])) for key, text in names.items()]
    columns = (f"as {document['recogniser']} sees them", "this set", *([str(against["name"])] if against else []))
    console.table("", columns, cells, numeric=(1, 2))
    sides = [("this set", seen), *([(str(against["name"]), other)] if other else [])]
    for name, side in sides:
        if side["mated_reason"]:
            console.say(f"Cosine of the same person in {name}: not measured: {side['mated_reason']}.")
    if against and against["left_out"]:
        console.say(f"{counted(against['left_out'], 'file')} of {against['name']} gave no face to compare with.")
    if against and against["ageing"]:
        a = against["ageing"]
        console.say(
            f"Ageing agrees with {against['name']}: cosine {a['cosine']:.2f} ({a['low']:.2f} .. {a['high']:.2f}), "
            f"lengths {a['length']:.2f} and {a['other_length']:.2f}."
        )
    elif against:
        console.say(f"Ageing was not compared: {against['ageing_note']}")


def _flags(document: Any) -> list[tuple[str, str, str, str]]:
    """A row a flag: a count where it was looked for, else why it was not."""
    rows = []
    for flag, text in document["flags"].items():
        found, why_not = document["flagged"][flag], document["not_looked_for"].get(flag)
        meaning = text if why_not is None else f"not looked for: {why_not}"
        rows.append((flag, _count(found), _count(document["looked_at"][flag]), meaning))
    return rows


def _count(value: int | None) -> str:
    return _NONE if value is None else f"{value:,}"


def _number(value: float | None) -> str:
    return _NONE if value is None else f"{value:.3g}"
