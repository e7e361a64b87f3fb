"""How an evaluation looks on a terminal, from its JSON document; whole at 80 columns."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from frbias.cli import console
from frbias.cli.doubtful_view import doubtful_notes
from frbias.cli.numerals import digits, escaped, interval_title, number, percent
from frbias.core.foundation.words import counted

if TYPE_CHECKING:
    from frbias.core.stages.outcomes import Measured
    from frbias.core.verification.counted import Rate
    from frbias.core.verification.results import AtTarget, Evaluation

FLAGS_EXPLAINED = (
    "* fewer than 30 errors: the rate is imprecise; ** no error seen: the interval's upper end is what counts"
)
_SHOWN_GALLERY = 1_000
_FEW_ERRORS, _NO_ERROR = "*", "**"


def show_measured(result: "Measured", *, brief: bool = False) -> None:
    """Print what an evaluation or a comparison left, and where."""
    from frbias.cli.comparison_view import show_comparison

    for document in result.documents:
        if document["schema"] == "frbias.comparison":
            show_comparison(document, brief=brief)
        else:
            show_evaluation(document, brief=brief)
    before = " (made before)" if result.reused else ""
    console.say(f"In [bold]{result.out}[/bold]{before}.")


def show_evaluation(document: dict[str, Any], *, brief: bool = False) -> None:
    """Print an evaluation: what was compared, EER and d', then rates and fairness at every target (not if brief)."""
    from frbias.core.verification.results import Evaluation

    evaluation = Evaluation.from_json(document)
    _head(evaluation)
    if brief:
        return
    for record in evaluation.targets:
        _rates(evaluation, record)
    _fairness(evaluation)
    console.say("")
    for note in _notes(evaluation):
        console.say(f"[dim]{escaped(note)}[/dim]")


def flag(rate: "Rate") -> str:
    """``**`` where no error was seen, ``*`` where fewer than 30 were, else nothing."""
    if "rule_of_3" in rate.flags:
        return _NO_ERROR
    return _FEW_ERRORS if rate.flags else ""


def _head(evaluation: "Evaluation") -> None:
    samples, groups, comparisons = evaluation.samples, evaluation.groups, evaluation.comparisons
    people = counted(samples.subjects or 0, "subject")
    images = f"{counted(samples.samples, 'image')} of {people}, " if samples.samples else ""
    by = f" by {groups.by}" if groups.by != "nothing" else ""
    many = len(groups.evaluated)
    protocol = f", protocol {groups.protocol}" if groups.protocol else ""
    console.say(f"[bold]{escaped(evaluation.name)}[/bold]: {images}{counted(many, 'group')}{by}{protocol}")
    if groups.note:
        console.say(f"[bold yellow]{escaped(groups.note)}[/bold yellow]")
    console.say(
        f"{comparisons.mated:,} mated and {comparisons.non_mated:,} non-mated comparisons "
        f"(non-mated rule: {comparisons.non_mated_rule}); accepted when score >= threshold, one threshold for all groups"
    )
    overall = evaluation.overall
    prime = overall.d_prime
    bands = [
        "" if band is None or band.low is None or band.high is None else f" ({show(band.low)} .. {show(band.high)})"
        for band, show in ((overall.eer.bootstrap, percent), (overall.d_prime_bootstrap, number))
    ]
    console.say(
        f"EER {percent(overall.eer.value)}{bands[0]}, d' {'undefined' if prime is None else f'{prime:.2f}'}{bands[1]}"
    )


def _rates(evaluation: "Evaluation", record: "AtTarget") -> None:
    console.say("")
    console.say(f"[bold]At FMR {percent(record.target)}[/bold]: threshold {record.tau:.6g}")
    kinds = (
        ("FMR", "false matches", [(group.name, group.fmr) for group in record.groups], record.fmr),
        ("FNMR", "false non-matches", [(group.name, group.fnmr) for group in record.groups], record.fnmr),
    )
    for short, words, groups, pooled in kinds:
        if short == "FNMR":
            console.say("")
        console.table(
            "",
            ["group", words, short, interval_title(evaluation.confidence), ""],
            [_rate_cells(name, rate) for name, rate in (*groups, ("all groups", pooled))],
            numeric=(1, 2, 3),
            whole=True,
        )


def _rate_cells(name: str, rate: "Rate") -> list[str]:
    low, high = digits(100 * rate.interval.low, 3), digits(100 * rate.interval.high, 3)
    counts = f"{rate.errors:,} / {rate.trials:,}"
    return [escaped(name), counts, percent(rate.value), f"{low} .. {high}%", flag(rate)]


def _fairness(evaluation: "Evaluation") -> None:
    console.say("")
    if len(evaluation.groups.evaluated) < 2:
        console.say("Fairness measures need two groups or more.")
        return
    console.say(
        f"[bold]Fairness[/bold] (alpha {evaluation.alpha:g}; 'by chance' is what truly equal groups reach in 95% of cases)"
    )
    for record in evaluation.targets:
        console.table(
            f"At FMR {percent(record.target)}",
            ["measure", "value", interval_title(evaluation.confidence), "by chance", "", "fairer"],
            list(_fairness_rows(record)),
            numeric=(1, 2, 3),
            whole=True,
        )


def _fairness_rows(record: "AtTarget") -> Iterator[list[str]]:
    from frbias.core.verification.measures.table import measures_shown

    for entry in measures_shown("terminal"):
        result = record.measures.get(entry.name)
        if result is None:
            continue
        show = percent if entry.is_rate else number
        band = result.bootstrap
        words = (
            "" if band is None or band.low is None or band.high is None else f"{show(band.low)} .. {show(band.high)}"
        )
        if result.value is None:
            words = _why(result.reason or "")
        chance = _chance(record, entry.name, result.value)
        yield [entry.label, show(result.value), words, *chance, entry.direction.split()[0]]


def _why(reason: str) -> str:
    """Why a measure is undefined, in a few words."""
    if reason.endswith("mean_zero") and "geometric" not in reason:
        return "no error in any group"
    return "a group has no error" if reason.endswith("zero") else reason.replace("_", " ")


def _chance(record: "AtTarget", name: str, value: float | None) -> tuple[str, str]:
    floor = None if record.floor is None else record.floor.floors.get(name)
    if floor is None or floor.p95 is None:
        return "", ""
    if value is None:
        return number(floor.p95), ""
    return number(floor.p95), "[bold]above[/bold]" if value > floor.p95 else "within"


def _notes(evaluation: "Evaluation") -> list[str]:
    groups, samples = evaluation.groups, evaluation.samples
    synthetic = evaluation.provenance.get("synthetic")
    notes = [str(synthetic)] if synthetic else []
    notes += [f"excluded: {g.name} ({g.reason.replace('_', ' ')})" for g in groups.excluded]
    if samples.without_group:
        gaps = f" (ages {', '.join(groups.gaps)})" if groups.gaps and groups.by == "age" else ""
        notes.append(f"{counted(samples.without_group, 'image')} in no group{gaps}")
    if samples.near_duplicates is not None and samples.near_duplicates.dropped:
        notes.append(f"{samples.near_duplicates.dropped:,} near-duplicate images left out")
    notes += doubtful_notes(evaluation)
    notes += _acquisition_notes(evaluation)
    notes += _crossing_notes(evaluation)
    notes += [
        f"FMR {refused.target:g} cannot be resolved with these comparisons; the smallest usable target is "
        f"{refused.smallest_usable:.3g}"
        for refused in evaluation.refused
    ]
    drawn = evaluation.bootstrap
    if drawn is None:
        notes.append("no subject bootstrap: intervals treat comparisons as independent and are too narrow")
    elif drawn.replicates_missing_a_group:
        notes.append(f"{drawn.replicates_missing_a_group} of {drawn.replicates} replicates missed a group")
    if any(flag(rate) for record in evaluation.targets for g in record.groups for rate in (g.fmr, g.fnmr)):
        notes.append(FLAGS_EXPLAINED)
    return notes


def _crossing_notes(evaluation: "Evaluation") -> list[str]:
    """The pair of groups with the most false matches, and what a gallery makes of the FMR, at the headline's target."""
    from frbias.core.verification.headline import headline_target

    record = evaluation.at(headline_target([evaluation]))
    notes, at = [], f"at FMR {percent(record.target)}"
    cell = None if record.cross_groups is None else record.cross_groups.worst_cell
    if cell is not None:
        one, two = cell.groups
        pair = f"within {one}" if one == two else f"between {one} and {two}"
        notes.append(f"largest FMR {at}: {percent(cell.fmr)} {pair} ({cell.false_matches:,} / {cell.non_mated:,})")
    notes += [
        f"projected to a gallery of {projected.gallery:,} people {at}: a false positive in "
        f"{percent(projected.fpir)} of searches, {percent(projected.fpir_worst_group)} for {projected.worst_group}"
        for projected in record.fpir
        if projected.gallery == _SHOWN_GALLERY
    ]
    return notes


def _acquisition_notes(evaluation: "Evaluation") -> list[str]:
    record = evaluation.targets[0]
    notes = []
    if record.failure_to_acquire:
        whole = record.transactions
        notes.append(
            f"failure to acquire {percent(record.failure_to_acquire)}: with it, FAR {percent(whole.far)} and "
            f"FRR {percent(whole.frr)} at FMR {percent(record.target)}"
        )
    for group in record.groups:
        if group.acquisition is not None and group.acquisition.failures:
            counts, whole = group.acquisition, group.transactions
            notes.append(
                f"{group.name}: {counts.failures} of {counts.attempts} images failed to acquire; FAR "
                f"{percent(whole.far)}, FRR {percent(whole.frr)} at FMR {percent(record.target)}"
            )
    return notes
