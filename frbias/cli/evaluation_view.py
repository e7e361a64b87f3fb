"""How an evaluation or a comparison looks on a terminal, from its JSON document."""

from typing import TYPE_CHECKING, Any

from frbias.cli import console

if TYPE_CHECKING:
    from frbias.core.stages.outcomes import Measured

Document = dict[str, Any]

_MEASURES = (
    ("garbe", "GARBE"),
    ("gini_fmr", "Gini of FMR"),
    ("gini_fnmr", "Gini of FNMR"),
    ("fdr", "FDR"),
    ("ir", "IR"),
    ("fmr_max_over_min", "max/min FMR"),
    ("fnmr_max_over_min", "max/min FNMR"),
)


def show_measured(result: "Measured") -> None:
    """Print what an evaluation or a comparison left, and where."""
    for document in result.documents:
        if document["schema"] == "frbias.comparison":
            show_comparison(document)
        else:
            show_evaluation(document)
    before = " (made before)" if result.reused else ""
    console.say(f"In [bold]{result.out}[/bold]{before}.")


def show_evaluation(document: Document) -> None:
    """Print an evaluation: what was compared, rates by group and fairness at every target."""
    _head(document)
    for record in document["targets"]:
        _rates(document, record)
    _fairness(document)
    _notes(document)


def show_comparison(document: Document) -> None:
    """Print a paired comparison: every target's differences, then the rates by group."""
    baseline, other = document["baseline"]["name"], document["other"]["name"]
    console.say(f"[bold]{other}[/bold] against [bold]{baseline}[/bold], each at its own threshold for the target FMR")
    for record in document["targets"]:
        lines = [("GARBE", record["garbe"]), ("Gini of FMR", record["gini_fmr"]), ("Gini of FNMR", record["gini_fnmr"])]
        lines += [("FDR", record["fdr"]), ("FNMR, all groups", record["fnmr"])]
        lines += [(f"FNMR, {g['name']}", g["fnmr"]) for g in record["groups"]]
        lines += [(f"FMR, {g['name']}", g["fmr"]) for g in record["groups"]]
        console.say("")
        console.table(
            f"At FMR {_percent(record['target'])}",
            ["", baseline, other, "difference", _interval_title(document["baseline"]), "better in", "verdict"],
            [[label, *_difference_cells(label, change)] for label, change in lines],
            numeric=(1, 2, 3, 4, 5),
        )
        _old_threshold(record, document)


def _old_threshold(record: Document, document: Document) -> None:
    kept = record["at_baseline_tau"]
    if kept is not None:
        console.say(
            f"[dim]At the baseline's threshold {kept['tau']:.4f}, {document['other']['name']} has FMR "
            f"{_percent(kept['fmr'])} and FNMR {_percent(kept['fnmr'])}.[/dim]"
        )


def _head(document: Document) -> None:
    samples, groups, comparisons = document["samples"], document["groups"], document["comparisons"]
    counted = f"{samples['samples']:,} images of {samples['subjects']:,} subjects, " if samples["samples"] else ""
    by = f" by {groups['by']}" if groups["by"] != "nothing" else ""
    protocol = f", protocol {groups['protocol']}" if groups["protocol"] else ""
    console.say(f"[bold]{document['name']}[/bold]: {counted}{len(groups['evaluated'])} groups{by}{protocol}")
    console.say(
        f"{comparisons['mated']:,} mated and {comparisons['non_mated']:,} non-mated comparisons "
        f"(non-mated rule: {comparisons['non_mated_rule']}); accepted when score >= threshold, one threshold for all groups"
    )
    eer, prime = document["overall"]["eer"], document["overall"]["d_prime"]
    console.say(f"EER {_percent(eer['value'])}, d' {'undefined' if prime is None else f'{prime:.2f}'}")


def _rates(document: Document, record: Document) -> None:
    rows = [_rate_cells(group) for group in record["groups"]]
    pooled = [
        "all groups",
        f"{record['false_matches']:,} / {record['non_mated']:,}",
        _percent(record["achieved_fmr"]),
        "",
        f"{record['false_non_matches']:,} / {record['mated']:,}",
        _percent(record["fnmr"]),
        _bounds(record, "fnmr"),
        "",
    ]
    console.say("")
    interval = _interval_title(document)
    console.table(
        f"At FMR {_percent(record['target'])}: threshold {record['tau']:.6g}",
        ["group", "false matches", "FMR", interval, "false non-matches", "FNMR", interval, ""],
        [*rows, pooled],
        numeric=(1, 2, 3, 4, 5, 6),
    )


def _rate_cells(group: Document) -> list[str]:
    return [
        group["name"],
        f"{group['false_matches']:,} / {group['non_mated']:,}",
        _percent(group["fmr"]),
        _bounds(group, "fmr"),
        f"{group['false_non_matches']:,} / {group['mated']:,}",
        _percent(group["fnmr"]),
        _bounds(group, "fnmr"),
        _flag(group),
    ]


def _fairness(document: Document) -> None:
    if len(document["groups"]["evaluated"]) < 2:
        console.say("")
        console.say("Fairness measures need two groups or more.")
        return
    rows = []
    for record in document["targets"]:
        for position, (name, label) in enumerate(_MEASURES):
            measure = record["measures"][name]
            booted = measure.get("bootstrap") or {}
            rows.append(
                [
                    f"FMR {_percent(record['target'])}" if position == 0 else "",
                    label,
                    f"undefined ({measure['reason']})" if measure["value"] is None else f"{measure['value']:.4g}",
                    _pair(booted.get("low"), booted.get("high"), "{:.3g}"),
                    *_chance(record, name, measure["value"]),
                    measure["direction"].split()[0],
                ]
            )
    console.say("")
    title = f"Fairness (alpha {document['alpha']:g}; 'by chance' is what truly equal groups reach in 95% of cases)"
    console.table(
        title,
        ["", "measure", "value", _interval_title(document), "by chance", "", "fairer is"],
        rows,
        numeric=(2, 3, 4),
    )


def _chance(record: Document, name: str, value: float | None) -> tuple[str, str]:
    floors = record["noise_floor"]
    floor = (floors.get("clustered") or floors.get("independent") or {}).get(name)
    if floor is None or floor["p95"] is None:
        return "", ""
    if value is None:
        return f"{floor['p95']:.3g}", ""
    return f"{floor['p95']:.3g}", "[bold]above[/bold]" if value > floor["p95"] else "within"


def _notes(document: Document) -> None:
    groups, samples = document["groups"], document["samples"]
    synthetic = (document.get("provenance") or {}).get("synthetic")
    notes = [synthetic] if synthetic else []
    notes += [f"excluded: {g['name']} ({g['reason'].replace('_', ' ')})" for g in groups["excluded"]]
    if samples["without_group"]:
        gaps = f" (ages {', '.join(groups['gaps'])})" if groups["gaps"] and groups["by"] == "age" else ""
        notes.append(f"{samples['without_group']:,} images are in no group{gaps}")
    if (samples.get("near_duplicates") or {}).get("dropped"):
        notes.append(f"{samples['near_duplicates']['dropped']:,} near-duplicate images left out")
    if samples["failure_to_acquire"]:
        record = document["targets"][0]
        notes.append(
            f"failure to acquire {_percent(samples['failure_to_acquire'])}: with it, FAR {_percent(record['far'])} and "
            f"FRR {_percent(record['frr'])} at FMR {_percent(record['target'])}"
        )
    notes += [
        f"FMR {refused['target']:g} cannot be resolved with these comparisons; the smallest usable target is "
        f"{refused['smallest_usable']:.3g}"
        for refused in document["refused_targets"]
    ]
    booted = document["bootstrap"]
    if booted is None:
        notes.append("no subject bootstrap: intervals treat comparisons as independent and are too narrow")
    elif booted["replicates_missing_a_group"]:
        notes.append(f"{booted['replicates_missing_a_group']} of {booted['replicates']} replicates missed a group")
    if any(_flag(g) for t in document["targets"] for g in t["groups"]):
        notes.append(
            "* fewer than 30 errors: the rate is imprecise; ** no error seen: the interval's upper end is what counts"
        )
    console.say("")
    for note in notes:
        console.say(f"[dim]{note}[/dim]")


def _difference_cells(label: str, change: Document) -> list[str]:
    show = _percent if label.startswith(("FNMR", "FMR")) else _number
    booted = change["bootstrap"] or {}
    share = change["improved_share"]
    return [
        show(change["baseline"]),
        show(change["other"]),
        _signed(change["difference"], show),
        "" if booted.get("low") is None else f"{_signed(booted['low'], show)} .. {_signed(booted['high'], show)}",
        "" if share is None else f"{100 * share:.0f}%",
        f"[bold]{change['verdict']}[/bold]" if change["verdict"] in ("better", "worse") else change["verdict"],
    ]


def _bounds(group: Document, rate: str) -> str:
    errors = group["false_matches" if rate == "fmr" else "false_non_matches"]
    found = group[f"{rate}_bootstrap"]
    low, high = (
        (found["low"], found["high"]) if errors and found and found["low"] is not None else group[f"{rate}_wilson"]
    )
    return f"{100 * low:.2g} .. {100 * high:.2g}%"


def _interval_title(document: Document) -> str:
    return f"{100 * document['confidence']:g}% interval"


def _flag(group: Document) -> str:
    flags = {*group["fmr_flags"], *group["fnmr_flags"]}
    return "**" if "rule_of_3" in flags else "*" if flags else ""


def _pair(low: float | None, high: float | None, form: str) -> str:
    return "" if low is None or high is None else f"{form.format(low)} .. {form.format(high)}"


def _percent(value: float | None) -> str:
    return "undefined" if value is None else f"{100 * value:.3g}%"


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4g}"


def _signed(value: float | None, show: Any) -> str:
    return "" if value is None else f"{'+' if value > 0 else ''}{show(value)}"
