"""``frbias evaluate``: measure age bias from scores, embeddings, or images and a recogniser."""

from frbias.cli import console
from frbias.cli.takes import Part, ResultFolder, Shown, takes
from frbias.core.foundation.machine import Machine, Resources
from frbias.core.stages.requests.evaluate import EvaluateRequest

MACHINE = Part(Resources, only=("device", "batch_size", "workers", "threads"))


<<<<<<< HEAD
def command(
    scores: Annotated[
        Path | None,
        typer.Option(
            "--scores", help="Somebody's scores: CSV, Parquet, bob's four or five columns.", rich_help_panel=_INPUT
        ),
    ] = None,
    embeddings: Annotated[
        Path | None,
        typer.Option("--embeddings", help="File or folder written by 'frbias embed'.", rich_help_panel=_INPUT),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option("--data", help="Image set: a folder or a registered name (fgnet).", rich_help_panel=_INPUT),
    ] = None,
    weights: Annotated[
        str,
        typer.Option("--weights", help="Recogniser for --data: a name, file or run folder.", rich_help_panel=_INPUT),
    ] = "sface",
    baseline: Annotated[
        str | None,
        typer.Option(
            "--baseline",
            help="Compare, paired, with these embeddings (or this recogniser, with --data).",
            rich_help_panel=_INPUT,
        ),
    ] = None,
    groups: Groups = None,
    protocol: ProtocolName = None,
    at_fmr: AtFmr = "0.1,0.01,0.001",
    alpha: Alpha = 0.5,
    bootstrap: Bootstrap = 1000,
    confidence: Confidence = 0.95,
    non_mated: NonMated = "within",
    matched_age: MatchedAge = None,
    drop_duplicates: DropDuplicates = None,
    fail_if: Annotated[
        list[str] | None,
        typer.Option(
            "--fail-if",
            help="Exit with 4 when this holds: 'garbe@1e-2 > 0.3'; 'verdict == levelling_down'.",
            rich_help_panel=_OUTPUT,
        ),
    ] = None,
    out: OutFolder = None,
    figures: Figures = True,
    save_scores: Annotated[
        bool,
        typer.Option("--save-scores", help="Also write every score to --out/scores.parquet.", rich_help_panel=_OUTPUT),
    ] = False,
    curves: Curves = False,
    seed: Seed = 0,
    device: Device = "auto",
    batch_size: BatchSize = 128,
    threads: Annotated[int, typer.Option("--threads", min=0, help="Threads; 0 means one per core.")] = 0,
    force: Force = False,
) -> None:
=======
@takes(Part(EvaluateRequest), Part(ResultFolder).into("evaluations/..."), Part(Shown), MACHINE)
def command(request: EvaluateRequest, output: ResultFolder, shown: Shown, resources: Resources) -> None:
>>>>>>> main
    """Measure how equally a recogniser works over groups: FMR, FNMR, DET, GARBE, with intervals and noise floor.

    One threshold for all groups is set at each target FMR. Aligned faces and embeddings are kept ('frbias cache
    list'), so that other groups, protocols or targets take seconds.

    [bold]Examples[/bold]

        frbias evaluate --data fgnet --weights sface

        frbias evaluate --data fgnet --weights runs/first --baseline sface --protocol thesis

        frbias evaluate --scores scores.csv --at-fmr 1% --fail-if 'garbe@1% > 0.3'
    """
    from frbias.cli.evaluation_view import show_measured
    from frbias.core.foundation.errors import GateError
<<<<<<< HEAD
    from frbias.core.verification.gates import check_gates, failures, parse_gate

    gates = [parse_gate(text) for text in fail_if or []]
    check_gates(gates, paired=baseline is not None)
    document = _run(_sources(locals()), locals())
    if document is None:
        return
    console.result(_without_curves(document, curves), lambda: _show(document, out))
    broken = failures(gates, document)
    if broken:
        raise GateError("; ".join(broken) + ".")
=======
    from frbias.core.stages.evaluate import evaluate

    machine = Machine(resources, console.ConsoleProgress(), console.note)
    result = evaluate(request, output.out, machine=machine, force=output.force)
    if not result.documents:
        return
    console.result(without_curves(result.document, shown.curves), lambda: show_measured(result))
    if result.broken_gates:
        raise GateError("; ".join(result.broken_gates) + ".")
>>>>>>> main


def without_curves(document: dict[str, object], curves: bool) -> dict[str, object]:
    """A document for ``--json``: the points of the figures only when they are wanted."""
    if curves:
        return document
    kept = {k: v for k, v in document.items() if k != "curves"}
    return {k: without_curves(v, False) if k in ("baseline", "other") and isinstance(v, dict) else v
            for k, v in kept.items()}  # fmt: skip
