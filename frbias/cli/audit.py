"""``frbias audit``: find what is wrong with an image set, and how far it is from another."""

from typing import Any

from frbias.cli import console
from frbias.cli.takes import OUTPUT, Output, Part, takes
from frbias.core.foundation.machine import Machine, Resources
from frbias.core.foundation.words import counted
from frbias.core.stages.requests.audit import AuditRequest


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
            console.say(f"{counted(result.kept, 'image')} without a flag in [bold]{request.drop}[/bold].")
        console.say(f"Page and table: [bold]{result.out}/audit.html[/bold], audit.csv, audit.json.")

    console.result(document, human)


def _show(document: Any) -> None:
    rows = [(flag, document["flagged"][flag], text) for flag, text in document["flags"].items()]
    console.table(f"{counted(document['images'], 'image')} of {document['name']}", ("flag", "images", "meaning"), rows)
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
    if against and against["ageing"]:
        a = against["ageing"]
        console.say(
            f"Ageing agrees with {against['name']}: cosine {a['cosine']:.2f} ({a['low']:.2f} .. {a['high']:.2f}), "
            f"lengths {a['length']:.2f} and {a['other_length']:.2f}."
        )
    elif against:
        console.say(f"Ageing was not compared: {against['ageing_note']}")


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"
