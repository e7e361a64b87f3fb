"""``frbias compare``: compare two or more recognisers on the same samples, paired."""

from pathlib import Path
from typing import Annotated, Any

import typer

from frbias.cli import console
from frbias.cli.evaluate import (
    Alpha,
    AtFmr,
    Bootstrap,
    Confidence,
    Curves,
    DropDuplicates,
    Figures,
    Groups,
    MatchedAge,
    NonMated,
    OutFolder,
    ProtocolName,
    product_on,
    read_named,
    selection_of,
)
from frbias.cli.options import BatchSize, Device, Force, Seed


def command(
    models: Annotated[
        list[str],
        typer.Argument(
            help="Two or more: embeddings (files or folders of 'frbias embed'), or recognisers together with --data. "
            "The first is the baseline.",
        ),
    ],
    data: Annotated[str | None, typer.Option("--data", help="Image set on which the recognisers are compared.")] = None,
    groups: Groups = None,
    protocol: ProtocolName = None,
    at_fmr: AtFmr = "0.1,0.01,0.001",
    alpha: Alpha = 0.5,
    bootstrap: Bootstrap = 1000,
    confidence: Confidence = 0.95,
    non_mated: NonMated = "within",
    matched_age: MatchedAge = None,
    drop_duplicates: DropDuplicates = None,
    out: OutFolder = None,
    figures: Figures = True,
    curves: Curves = False,
    seed: Seed = 0,
    device: Device = "auto",
    batch_size: BatchSize = 128,
    threads: Annotated[int, typer.Option("--threads", min=0, help="Threads; 0 means one per core.")] = 0,
    force: Force = False,
) -> None:
    """Compare two or more recognisers on the same samples: differences with paired intervals.

    Every recogniser is judged at its own threshold for the target FMR, and at the baseline's threshold.
    """
    from frbias.core.foundation.errors import UsageError

    if len(models) < 2:
        raise UsageError("Give two or more embeddings files, or two or more recognisers with --data.")
    documents = _run(locals())
    if documents is None:
        return
    shown = documents if curves else [_trim(d) for d in documents]

    def human() -> None:
        from frbias.cli.evaluation_view import show_comparison

        for document in documents:
            show_comparison(document)
        if out is not None:
            console.say(f"Written to [bold]{out}[/bold].")

    console.result(shown[0] if len(shown) == 1 else {"schema": "frbias.comparisons", "comparisons": shown}, human)


def _run(given: dict[str, Any]) -> list[dict[str, Any]] | None:
    """One document per model beside the baseline, from --out when finished there; None on ranks that do not report."""
    from frbias.core.foundation.devices import process_group, world_from_environment
    from frbias.core.foundation.files import read_json
    from frbias.core.foundation.provenance import claim_together
    from frbias.core.stages.evaluate import COMPARISON_NAME, write_outcome

    world, out, count = world_from_environment(), given["out"], len(given["models"]) - 1
    if out is None and given["data"] is not None:
        out = given["out"] = Path("comparisons") / Path(given["data"]).name
    with process_group(world) as barrier:
        if out is None:
            outcomes = _outcomes(given, world)
            return [outcome.to_json() for outcome in outcomes] if world.leader else None
        arguments = {**selection_of(given).to_json(), "figures": given["figures"]}
        folder = claim_together(
            out, world, barrier, stage="compare", arguments=arguments, inputs=_inputs(given), force=given["force"]
        )
        places = [out] if count == 1 else [out / f"{k + 1:02d}" for k in range(count)]
        if not folder.finished:
            outcomes = _outcomes(given, world)
            if world.leader:
                written = [
                    write_outcome(place, outcome, figures=given["figures"], announce=console.detail)
                    for place, outcome in zip(places, outcomes, strict=True)
                ]
                folder.finish({"comparisons": written})
            barrier()
        return [read_json(place / COMPARISON_NAME) for place in places] if world.leader else None


def _inputs(given: dict[str, Any]) -> dict[str, Any]:
    from frbias.core.data.embeddings import hash_of_embeddings

    if given["data"] is not None:
        return {"data": given["data"], "models": list(given["models"])}
    return {"embeddings": [hash_of_embeddings(Path(path)) for path in given["models"]]}


def _outcomes(given: dict[str, Any], world: Any) -> list[Any]:
    from frbias.core.stages.evaluate import compare_sets, embed_data

    progress = console.ConsoleProgress()
    selection = selection_of(given)
    loaded = []
    for model in given["models"]:
        if given["data"] is None:
            loaded.append(read_named(Path(model)))
        else:
            loaded.append(
                embed_data(
                    given["data"], model, given["out"], device=given["device"], batch_size=given["batch_size"],
                    progress=progress,
                )
            )  # fmt: skip
    titles = _titles([name for _, name in loaded])
    options = {
        "threads": given["threads"],
        "world": world,
        "product": product_on(given["device"]),
        "progress": progress,
    }
    return [
        compare_sets(loaded[0][0], other, selection, names=(titles[0], title), **options)
        for (other, _), title in zip(loaded[1:], titles[1:], strict=True)
    ]


def _titles(names: list[str]) -> list[str]:
    seen: dict[str, int] = {}
    titles = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        titles.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return titles


def _trim(document: dict[str, Any]) -> dict[str, Any]:
    return {
        key: {k: v for k, v in value.items() if k != "curves"} if key in ("baseline", "other") else value
        for key, value in document.items()
    }
