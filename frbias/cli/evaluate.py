"""``frbias evaluate``: measure age bias from scores, embeddings, or images and a recogniser."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from frbias.cli import console
from frbias.cli.options import BatchSize, Device, Force, Seed

if TYPE_CHECKING:
    from frbias.core.stages.evaluate import Selection
    from frbias.core.verification.paired import Comparison
    from frbias.core.verification.results import Evaluation

_INPUT, _MEASURE, _OUTPUT = "What to evaluate", "What to measure", "Output"

Groups = Annotated[
    str | None,
    typer.Option(
        "--groups",
        help="Age groups with inclusive bounds (0-12,13-19,20-39,40-59,60+), a column (sex), or a crossing (age x sex).",
        rich_help_panel=_MEASURE,
    ),
]
ProtocolName = Annotated[
    str | None,
    typer.Option("--protocol", help="Named age groups: thesis, decades or fgnet4.", rich_help_panel=_MEASURE),
]
AtFmr = Annotated[
    str, typer.Option("--at-fmr", help="Target false match rates, as fractions.", rich_help_panel=_MEASURE)
]
Alpha = Annotated[
    float,
    typer.Option("--alpha", min=0, max=1, help="Weight of FMR in GARBE, FDR and IR.", rich_help_panel=_MEASURE),
]
Bootstrap = Annotated[
    int, typer.Option("--bootstrap", min=0, help="Subject bootstrap replicates; 0: none.", rich_help_panel=_MEASURE)
]
Confidence = Annotated[
    float, typer.Option("--confidence", min=0.5, max=0.999, help="Coverage of intervals.", rich_help_panel=_MEASURE)
]
NonMated = Annotated[
    str,
    typer.Option(
        "--non-mated", help="Non-mated comparisons of a group: within, any-probe or all.", rich_help_panel=_MEASURE
    ),
]
MatchedAge = Annotated[
    float | None,
    typer.Option(
        "--matched-age",
        min=0,
        help="Only non-mated pairs that match a mated pair's ages within this many years.",
        rich_help_panel=_MEASURE,
    ),
]
DropDuplicates = Annotated[
    float | None,
    typer.Option(
        "--drop-duplicates",
        min=0,
        max=1,
        help="Leave out later images of a subject with at least this cosine to an earlier one.",
        rich_help_panel=_MEASURE,
    ),
]
Figures = Annotated[
    bool, typer.Option("--figures/--no-figures", help="Draw figures into --out.", rich_help_panel=_OUTPUT)
]
OutFolder = Annotated[
    Path | None,
    typer.Option(
        "--out", "-o", help="Folder for evaluation.json, rates.csv and figures; without it nothing is written.",
        rich_help_panel=_OUTPUT,
    ),
]  # fmt: skip
Curves = Annotated[
    bool, typer.Option("--curves", help="Include the points of the figures in --json.", rich_help_panel=_OUTPUT)
]


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
        typer.Option("--fail-if", help="Exit with 4 when this holds: 'garbe@1e-2 > 0.3'.", rich_help_panel=_OUTPUT),
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
    """Measure how equally a recogniser works over groups: FMR, FNMR, DET, GARBE, with intervals and noise floor.

    One threshold for all groups is set at each target FMR. Give --scores, --embeddings, or --data with --weights.
    """
    from frbias.core.foundation.errors import GateError
    from frbias.core.verification.gates import failures, parse_gate

    gates = [parse_gate(text) for text in fail_if or []]
    document = _run(_sources(locals()), locals())
    if document is None:
        return
    paired = document["schema"] == "frbias.comparison"
    console.result(_without_curves(document, curves), lambda: _show(document, out))
    broken = failures(gates, document["other"] if paired else document)
    if broken:
        raise GateError("; ".join(broken) + ".")


def selection_of(given: dict[str, Any]) -> "Selection":
    """The options that say what to measure, shared with ``frbias compare``."""
    from frbias.cli.options import numbers
    from frbias.core.stages.evaluate import Selection

    return Selection(
        groups=given["groups"],
        protocol=given["protocol"],
        targets=tuple(numbers(given["at_fmr"], "--at-fmr")),
        alpha=given["alpha"],
        replicates=given["bootstrap"],
        seed=given["seed"],
        confidence=given["confidence"],
        non_mated=given["non_mated"],
        matched_age=given["matched_age"],
        drop_duplicates=given["drop_duplicates"],
    )


def _sources(given: dict[str, Any]) -> str:
    from frbias.core.foundation.errors import UsageError

    chosen = [name for name in ("scores", "embeddings", "data") if given[name] is not None]
    if len(chosen) != 1:
        raise UsageError("Give one of --scores FILE, --embeddings FILE, or --data NAME with --weights.")
    if given["baseline"] is not None and chosen == ["scores"]:
        raise UsageError("--baseline needs embeddings; scores of two recognisers cannot be paired without them.")
    return chosen[0]


def _run(kind: str, given: dict[str, Any]) -> dict[str, Any] | None:
    """The document, from --out when the same work is finished there; None on ranks that do not report."""
    from frbias.core.foundation.devices import process_group, world_from_environment
    from frbias.core.foundation.files import read_json
    from frbias.core.foundation.provenance import claim_together
    from frbias.core.stages.evaluate import COMPARISON_NAME, EVALUATION_NAME

    world, selection, out = world_from_environment(), selection_of(given), given["out"]
    if out is None and kind == "data":
        out = given["out"] = Path("evaluations") / f"{Path(given['data']).name}-{Path(given['weights']).name}"
    with process_group(world) as barrier:
        folder = None
        if out is not None:
            arguments = {**selection.to_json(), "figures": given["figures"], "save_scores": given["save_scores"]}
            folder = claim_together(
                out,
                world,
                barrier,
                stage="evaluate",
                arguments=arguments,
                inputs=_inputs(kind, given),
                force=given["force"],
            )
            if folder.finished:
                name = COMPARISON_NAME if given["baseline"] is not None else EVALUATION_NAME
                return read_json(out / name) if world.leader else None
        outcome = _measure(kind, given, selection, world)
        if not world.leader:
            barrier()
            return None
        if folder is not None:
            folder.finish(_write(folder.path, outcome, given))
        barrier()
        return outcome.to_json()


def _write(folder: Path, outcome: "Evaluation | Comparison", given: dict[str, Any]) -> dict[str, Any]:
    from frbias.core.stages.evaluate import write_outcome

    return write_outcome(
        folder, outcome, figures=given["figures"], scores=given["save_scores"], announce=console.detail
    )


def _inputs(kind: str, given: dict[str, Any]) -> dict[str, Any]:
    from frbias.core.data.embeddings import FILE_NAME
    from frbias.core.foundation.errors import BadInputError
    from frbias.core.foundation.files import sha256_file

    def hashed(path: Path) -> str:
        file = path / FILE_NAME if path.is_dir() else path
        if not file.is_file():
            raise BadInputError(f"{file} does not exist.")
        return sha256_file(file)

    if kind == "data":
        return _inputs_of_data(given)
    inputs = {kind: hashed(given[kind])}
    return inputs if given["baseline"] is None else {**inputs, "baseline": hashed(Path(given["baseline"]))}


def _inputs_of_data(given: dict[str, Any]) -> dict[str, Any]:
    """Hashes of images and weights; raises before anything is written when either is not installed."""
    from frbias.core.data.datasets.resolving import resolve_data
    from frbias.core.recognisers.loading import load_recogniser
    from frbias.core.stages.align import hash_of_images

    names = {"weights": given["weights"], "baseline": given["baseline"]}
    images = hash_of_images(resolve_data(given["data"]))
    return {"data": images, **{k: load_recogniser(v).sha256 for k, v in names.items() if v is not None}}


def _measure(kind: str, given: dict[str, Any], selection: "Selection", world: Any) -> "Evaluation | Comparison":
    from frbias.core.stages.evaluate import compare_sets, embed_data, evaluate_scores, evaluate_set

    if kind == "scores":
        from frbias.core.verification.scores.scorefiles import read_scores

        return evaluate_scores(read_scores(given["scores"]), selection)
    progress = console.ConsoleProgress()
    options = {
        "threads": given["threads"],
        "world": world,
        "product": product_on(given["device"]),
        "progress": progress,
    }
    settings = {"device": given["device"], "batch_size": given["batch_size"], "progress": progress}
    if kind == "data":
        found, name = embed_data(given["data"], given["weights"], given["out"], **settings)
    else:
        found, name = read_named(given["embeddings"])
    if given["baseline"] is None:
        return evaluate_set(found, selection, name=name, **options)
    if kind == "data":
        other, other_name = embed_data(given["data"], given["baseline"], given["out"], **settings)
    else:
        other, other_name = read_named(Path(given["baseline"]))
    return compare_sets(other, found, selection, names=_distinct(other_name, name), **options)


def read_named(path: Path) -> tuple[Any, str]:
    """Embeddings and the name to show: the recogniser's, or the file's."""
    from frbias.core.data.embeddings import read_embeddings

    found = read_embeddings(path)
    return found, str(found.provenance.get("name") or Path(path).stem)


def product_on(device: str) -> Any:
    """A tile product on CUDA when asked for by name, else None (the CPU's, also for ``auto``)."""
    if not device.startswith("cuda"):
        return None
    from frbias.core.foundation.devices import choose_device
    from frbias.core.stages.accelerator import device_product

    return device_product(str(choose_device(device)))


def _distinct(one: str, two: str) -> tuple[str, str]:
    return (one, two) if one != two else (f"{one} (baseline)", two)


def _without_curves(document: dict[str, Any], curves: bool) -> dict[str, Any]:
    if curves:
        return document
    trimmed = {k: v for k, v in document.items() if k != "curves"}
    for part in ("baseline", "other"):
        if part in trimmed:
            trimmed[part] = {k: v for k, v in trimmed[part].items() if k != "curves"}
    return trimmed


def _show(document: dict[str, Any], out: Path | None) -> None:
    from frbias.cli.evaluation_view import show_comparison, show_evaluation

    if document["schema"] == "frbias.comparison":
        show_comparison(document)
    else:
        show_evaluation(document)
    if out is not None:
        console.say(f"Written to [bold]{out}[/bold].")
