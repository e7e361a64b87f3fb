"""``frbias compare``: compare two or more recognisers on the same samples, paired."""

from frbias.cli import console
from frbias.cli.evaluate import MACHINE, without_curves
from frbias.cli.takes import Part, ResultFolder, Shown, takes
from frbias.core.foundation.machine import Machine, Resources
from frbias.core.stages.requests.compare import CompareRequest


@takes(Part(CompareRequest), Part(ResultFolder).into("comparisons/..."), Part(Shown), MACHINE)
def command(request: CompareRequest, output: ResultFolder, shown: Shown, resources: Resources) -> None:
    """Compare two or more recognisers on the same samples: differences with paired intervals.

    Every recogniser is judged at its own threshold for the target FMR, and at the baseline's threshold.

    [bold]Examples[/bold]

        frbias compare baseline finetuned --out comparison

        frbias compare sface runs/first runs/second --data fgnet --protocol fgnet4

        frbias compare old.parquet new.parquet --name deployed --name candidate

        frbias compare sface runs/first --data fgnet --remedy group-threshold,adaptive-norm
    """
    from frbias.cli.evaluation_view import show_measured
    from frbias.core.foundation.errors import GateError
    from frbias.core.stages.compare import compare, plan_compare

    machine = Machine(resources, console.ConsoleProgress(), console.note)
    if output.dry_run:
        console.plan(plan_compare(request, output.out, machine=machine))
        return
    result = compare(request, output.out, machine=machine, force=output.force)
    if not result.documents:
        return
    documents = [without_curves(document, shown.curves) for document in result.documents]
    value = documents[0] if len(documents) == 1 else {"schema": "frbias.comparisons", "comparisons": documents}
    console.result(value, lambda: show_measured(result, brief=shown.brief))
    if result.broken_gates:
        raise GateError("; ".join(result.broken_gates) + ".")
