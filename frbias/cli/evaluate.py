"""``frbias evaluate``: measure age bias from scores, embeddings, or images and a recogniser."""

from frbias.cli import console
from frbias.cli.takes import Part, ResultFolder, Shown, takes
from frbias.cli.takes_given import OneGiven
from frbias.core.foundation.machine import Machine, Resources
from frbias.core.stages.requests.evaluate import EvaluateRequest
from frbias.core.stages.requests.protocols import IdentifyRequest, PairsRequest

MACHINE = Part(Resources, only=("device", "batch_size", "workers", "threads"))


REQUEST = OneGiven(EvaluateRequest, choices={"pairs": PairsRequest, "identify": IdentifyRequest})


@takes(REQUEST, Part(ResultFolder).into("evaluations/..."), Part(Shown), MACHINE)
def command(
    request: EvaluateRequest | PairsRequest | IdentifyRequest,
    output: ResultFolder,
    shown: Shown,
    resources: Resources,
) -> None:
    """Measure how equally a recogniser works over groups: FMR, FNMR, DET, GARBE, with intervals and noise floor.

    One threshold for all groups is set at each target FMR. Aligned faces and embeddings are kept ('frbias cache
    list'), so that other groups, protocols or targets take seconds.

    [bold]Examples[/bold]

        frbias evaluate --data fgnet --weights sface

        frbias evaluate --data fgnet --weights runs/first --baseline sface --protocol thesis

        frbias evaluate --scores scores.csv --at-fmr 1% --fail-if 'garbe@1% > 0.3'

        frbias evaluate --pairs lfw.bin --weights sface --flip add
    """
    if not isinstance(request, EvaluateRequest):
        from frbias.cli.protocol_view import run_protocol

        run_protocol(request, output, Machine(resources, console.ConsoleProgress(), console.note))
        return
    from frbias.cli.evaluation_view import show_measured
    from frbias.core.foundation.errors import GateError
    from frbias.core.stages.evaluate import evaluate, plan_evaluate

    machine = Machine(resources, console.ConsoleProgress(), console.note)
    if output.dry_run:
        console.plan(plan_evaluate(request, output.out, machine=machine))
        return
    result = evaluate(request, output.out, machine=machine, force=output.force)
    if not result.documents:
        return
    console.result(without_curves(result.document, shown.curves), lambda: show_measured(result, brief=shown.brief))
    if result.broken_gates:
        raise GateError("; ".join(result.broken_gates) + ".")


def without_curves(document: dict[str, object], curves: bool) -> dict[str, object]:
    """A document for ``--json``: the points of the figures only when they are wanted."""
    if curves:
        return document
    kept = {k: v for k, v in document.items() if k != "curves"}
    return {k: without_curves(v, False) if k in ("baseline", "other") and isinstance(v, dict) else v
            for k, v in kept.items()}  # fmt: skip
