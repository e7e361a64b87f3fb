"""How a comparison looks on a terminal, from its JSON document: verdict, EER and d', then tables; whole at 80 columns."""

from typing import TYPE_CHECKING, Any

from frbias.cli import console
from frbias.cli.doubtful_view import doubtful_notes
from frbias.cli.numerals import decimals, escaped, interval_title, number, percent, points, signed

if TYPE_CHECKING:
    from frbias.core.verification.differences import Difference, PairedAtTarget
    from frbias.core.verification.paired import Comparison
    from frbias.core.verification.verdict import Verdict

_COLOURS = {
    "fairer": "green",
    "better_for_all": "green",
    "levelling_down": "red",
    "less_fair": "red",
    "worse_for_all": "red",
}


def show_comparison(document: dict[str, Any], *, brief: bool = False) -> None:
    """Print a paired comparison: verdict, EER and d', then every target's differences (not with ``brief``)."""
    from frbias.core.verification.paired import Comparison

    found = Comparison.from_json(document)
    baseline, other = found.baseline.name, found.other.name
    console.say(
        f"[bold]{escaped(other)}[/bold] against [bold]{escaped(baseline)}[/bold], each at its own threshold for the target FMR"
    )
    _verdict(found.verdict)
    _separation(found)
    _guarded(found)
    if brief:
        return
    for record, verdict in zip(found.targets, found.verdicts, strict=True):
        _differences(found, record, verdict)
    console.say("")
    for note in _shared_notes(found):
        console.say(f"[dim]{escaped(note)}[/dim]")


def _verdict(verdict: "Verdict") -> None:
    colour = _COLOURS.get(verdict.outcome, "yellow")
    console.say("")
    console.say(f"[bold {colour}]{escaped(verdict.sentence)}[/bold {colour}]")
    for reason in verdict.reasons:
        console.say(f"  - {escaped(reason)}")
    console.say(f"[dim]At FMR {percent(verdict.target)}: {verdict.outcome}.[/dim]")


def _separation(found: "Comparison") -> None:
    from frbias.core.verification.measures.table import label_of

    console.say("")
    for name, change in found.overall.items():
        rate = name == "eer"
        show = percent if rate else number
        band = _band(change, rate)
        console.say(
            f"{label_of(name)} {show(change.baseline)} -> {show(change.other)} ({_change(change, rate)}"
            f"{f'; {interval_title(found.baseline.confidence)} {band}' if band else ''}): {_judged(change)}, {change.direction}"
        )


def _guarded(found: "Comparison") -> None:
    """Which photographs were looked at while a recogniser was learned, where it says so."""
    for side in (found.baseline, found.other):
        for sentence in (side.provenance.get("backbone") or {}).get("guarded") or ():
            console.say(f"[dim]{escaped(side.name)}: {escaped(sentence)}[/dim]")


def _differences(found: "Comparison", record: "PairedAtTarget", verdict: "Verdict") -> None:
    from frbias.core.verification.measures.table import is_rate, label_of, measures_shown

    names = [entry.name for entry in measures_shown("paired") if entry.name in record.differences]
    lines = [(label_of(n), record.differences[n], is_rate(n)) for n in names]
    lines += [("FNMR, all", record.differences["fnmr"], True)]
    lines += [(f"FNMR, {group.name}", group.fnmr, True) for group in record.groups]
    lines += [(f"FMR, {group.name}", group.fmr, True) for group in record.groups]
    console.say("")
    console.say(f"[bold]At FMR {percent(record.target)}[/bold]: {verdict.outcome}")
    console.table(
        "",
        ["", "before", "after", "change", interval_title(found.baseline.confidence), ""],
        [_difference_cells(*line) for line in lines],
        numeric=(1, 2, 3, 4),
        whole=True,
    )
    kept = record.at_baseline_tau
    if kept is not None:
        console.say(
            f"[dim]At the baseline's threshold {kept.tau:.4f}, {escaped(found.other.name)} has FMR "
            f"{percent(kept.fmr)} and FNMR {percent(kept.fnmr)}.[/dim]"
        )


def _shared_notes(found: "Comparison") -> list[str]:
    notes = [
        f"before: {found.baseline.name}; after: {found.other.name}; points: percentage points",
        "no clear difference: the paired interval holds 0",
        *doubtful_notes(found.baseline),
    ]
    return notes if found.paired else [*notes, "no subject bootstrap, so there are no intervals"]


def _difference_cells(label: str, change: "Difference", rate: bool) -> list[str]:
    show = percent if rate else decimals
    return [
        escaped(label),
        show(change.baseline),
        show(change.other),
        _change(change, rate),
        _band(change, rate),
        _judged(change),
    ]


def _judged(change: "Difference") -> str:
    return f"[bold]{change.verdict}[/bold]" if change.verdict in ("better", "worse") else change.verdict


def _change(change: "Difference", rate: bool) -> str:
    if change.value is None:
        return ""
    return points(change.value) if rate else signed(change.value, rate=False)


def _band(change: "Difference", rate: bool) -> str:
    band = change.interval
    if band is None or band.low is None or band.high is None:
        return ""
    return f"{signed(band.low, rate=rate)} .. {signed(band.high, rate=rate)}"
