"""How the published protocols look on a terminal: lists of pairs and identification, from their JSON documents."""

from typing import TYPE_CHECKING, Any

from frbias.cli import console
from frbias.core.foundation.errors import GateError
from frbias.core.foundation.words import counted
from frbias.core.stages.requests.protocols import IdentifyRequest, PairsRequest

if TYPE_CHECKING:
    from frbias.cli.takes import ResultFolder
    from frbias.core.foundation.machine import Machine

Document = dict[str, Any]


def run_protocol(request: PairsRequest | IdentifyRequest, output: "ResultFolder", machine: "Machine") -> None:
    """Run the protocol that is asked for and print its result.

    Raises:
        GateError: A condition is not met.
    """
    if isinstance(request, PairsRequest):
        from frbias.core.stages.verify_pairs import plan_pairs, verify_pairs

        if output.dry_run:
            console.plan(plan_pairs(request, output.out, machine=machine))
            return
        result = verify_pairs(request, output.out, machine=machine, force=output.force)
    else:
        from frbias.core.stages.identify import identify, plan_identify

        if output.dry_run:
            console.plan(plan_identify(request, output.out, machine=machine))
            return
        result = identify(request, output.out, machine=machine, force=output.force)
    if not result.documents:
        return
    document = result.document

    def shown() -> None:
        show_protocol(document)
        console.say(f"In [bold]{result.out}[/bold]{' (made before)' if result.reused else ''}.")

    console.result(document, shown)
    if result.broken_gates:
        raise GateError("; ".join(result.broken_gates) + ".")


def show_protocol(document: Document) -> None:
    """Print the document of either protocol."""
    (show_pairs if document["schema"] == "frbias.pairs" else show_identification)(document)


def show_pairs(document: Document) -> None:
    """Print accuracy over folds, TAR at FAR, EER and d' for all pairs and per group."""
    pairs = document["pairs"]
    console.say(
        f"[bold]{document['name']}[/bold] on {', '.join(document['lists'])}: {pairs['judged']:,} of {pairs['listed']:,} "
        f"pairs; folds {document['folds']}; thresholds: {document['thresholds']}; intervals by {document['bootstrap']['unit']}"
    )
    if pairs["missing_pictures"]:
        console.say(
            f"[yellow]{counted(pairs['missing_pictures'], 'picture')} of the list without an embedding; such pairs are left out.[/yellow]"
        )
    if pairs["groups_left_out"]:
        console.say(f"[dim]Without mated or without non-mated pairs: {', '.join(pairs['groups_left_out'])}.[/dim]")
    targets = [one["target_far"] for one in document["all"]["tar_at_far"]]
    groups = (document["all"], *document["groups"])
    if document["all"]["accuracy"] is not None:
        heads = ["", "mated", "non-mated", "accuracy", "std", "interval"]
        console.table("Accuracy over folds", heads, [_accuracy_cells(g) for g in groups], numeric=(1, 2, 3, 4, 5))
    heads = ["", "mated", "non-mated", "EER", "d'", *(f"TAR at {console_percent(t)}" for t in targets)]
    rows = [_rate_cells(group, targets) for group in groups]
    console.table("Every group at its own threshold: TAR at FAR", heads, rows, numeric=tuple(range(1, len(heads))))
    for refused in document["all"]["refused_targets"]:
        console.say(f"[dim]{refused['reason']}[/dim]")
    for key, what in (
        ("groups_at_own_thresholds", "own thresholds"),
        ("groups_at_one_threshold", "one threshold for all"),
    ):
        summary = document[key]
        if summary is not None:
            ratio = summary["skewed_error_ratio"]
            console.say(
                f"Groups, {what}: mean {summary['mean']:.2f} %, std {summary['std']:.2f}, skewed error ratio "
                f"{'undefined' if ratio is None else f'{ratio:.2f}'}, trade-off {summary['trade_off']:.2f} %, "
                f"worst {summary['worst']['name']} ({summary['worst']['accuracy']:.2f} %)"
            )


def show_identification(document: Document) -> None:
    """Print rank-1 and FNIR at FPIR for all searches, per group of the probe and per age gap."""
    gallery, searches = document["gallery"], document["searches"]
    console.say(
        f"[bold]{document['name']}[/bold]: gallery {gallery['rule']}, {counted(gallery['images'], 'image')} of "
        f"{counted(gallery['subjects'], 'subject')}; {searches['mated']:,} mated and {searches['non_mated']:,} non-mated searches"
    )
    ranks = [r for r in (1, 5, 10, 20) if r <= len(document["cmc"])]
    console.say(", ".join(f"rank-{r} {console_percent(document['cmc'][r - 1])}" for r in ranks))
    targets = [one["target_fpir"] for one in document["thresholds"]]
    heads = ["", "searches", "rank-1", "interval", *(f"FNIR at {console_percent(t)}" for t in targets)]
    numeric = tuple(range(1, len(heads)))
    rows = [_search_cells(one) for one in (document["all"], *document["groups"])]
    console.table("Searches by group of the probe: rank-1, FNIR at FPIR", heads, rows, numeric=numeric)
    if document["age_gaps"]:
        rows = [_search_cells(one) for one in document["age_gaps"]]
        console.table("Searches with one mate, by years between the two", heads, rows, numeric=numeric)
    for refused in document["refused_targets"]:
        console.say(f"[dim]FPIR {console_percent(refused['target_fpir'])} {refused['reason']}.[/dim]")


def console_percent(value: float | None) -> str:
    """A share in percent with what digits it needs."""
    return "undefined" if value is None else f"{100 * value:.3g} %"


def _accuracy_cells(group: Document) -> list[str]:
    accuracy = group["accuracy"]
    return [
        group["name"],
        f"{group['mated']:,}",
        f"{group['non_mated']:,}",
        f"{100 * accuracy['accuracy']:.2f} %",
        f"{100 * accuracy['std']:.2f}",
        _bounds(group["accuracy_bootstrap"]),
    ]


def _rate_cells(group: Document, targets: list[float]) -> list[str]:
    found = {one["target_far"]: one["tar"] for one in group["tar_at_far"]}
    return [
        group["name"],
        f"{group['mated']:,}",
        f"{group['non_mated']:,}",
        console_percent(group["eer"]["value"]),
        "undefined" if group["d_prime"] is None else f"{group['d_prime']:.2f}",
        *(console_percent(found[t]) if t in found else "too few pairs" for t in targets),
    ]


def _search_cells(one: Document) -> list[str]:
    rank_1 = one["rank_1"]
    return [
        one["name"],
        f"{one['mated_searches']:,}",
        console_percent(rank_1["value"]),
        _bounds(rank_1["bootstrap"]),
        *(console_percent(at["fnir"]["value"]) for at in one["open_set"]),
    ]


def _bounds(interval: Document | None) -> str:
    if interval is None or interval["low"] is None:
        return ""
    return f"{100 * interval['low']:.2f} .. {100 * interval['high']:.2f}"
