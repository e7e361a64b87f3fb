"""``frbias plan``: how many people a group needs."""

from typing import TYPE_CHECKING

from frbias.cli import console
from frbias.cli.numerals import decimals, percent
from frbias.cli.takes import Part, takes
from frbias.core.stages.requests.plan import PlanRequest

if TYPE_CHECKING:
    from frbias.core.stages.plan import SizePlan


@takes(Part(PlanRequest))
def command(request: PlanRequest) -> None:
    """Say how many people every group needs before its rates, GARBE or a change of them can be known.

    People count, not comparisons: those of one person hang together. With --people, says what so many people give.

    [bold]Examples[/bold]

        frbias plan --groups 0-12,13-19,20-39,40-59,60+ --fmr 1e-3

        frbias plan --fmr 1% --fnmr 30%,20%,10%,10%,10% --images 6 --change 5%

        frbias plan --like evaluation-folder --people 200
    """
    from frbias.core.stages.plan import plan_sizes

    found = plan_sizes(request)
    console.result(found.to_json(), lambda: _tell(found, request))


def _tell(found: "SizePlan", request: PlanRequest) -> None:
    if request.people is None:
        heads = ["group", f"FNMR within {percent(request.fnmr_within)}", f"FMR within {percent(request.fmr_within)} of it",
                 f"FNMR falls by {percent(request.change)}", "30 false matches"]  # fmt: skip
        keys = ("fnmr", "fmr", "change", "thirty_false_matches")
        rows = [(one.group.name, *(_people(one.people[key]) for key in keys)) for one in found.groups]
        console.table("People that a group needs", heads, rows, numeric=(1, 2, 3, 4))
    else:
        heads = ["group", "FNMR", "FMR", "smallest visible fall of FNMR"]
        rows = [
            (
                one.group.name,
                f"{percent(one.group.fnmr)} +- {percent(one.widths['fnmr'])}",
                f"{percent(one.group.fmr)} +- {percent(one.widths['fmr'])}",
                percent(one.widths["change"]) if one.widths["change"] < one.group.fnmr else "none",
            )
            for one in found.groups
        ]
        console.table(f"With {request.people:,} people in a group", heads, rows, numeric=(1, 2, 3))
    if found.garbe is None:
        console.say(f"GARBE within {request.garbe_within:g}: more than ten million people a group.")
    else:
        people = request.people if request.people is not None else found.garbe_people
        share = f"{100 * request.confidence:g}%"
        low, high = found.garbe
        console.say(
            f"GARBE with {people:,} people a group: {share} of measurements between {decimals(low)} and {decimals(high)}."
        )
    for note in found.notes:
        console.say(f"[dim]{note}[/dim]")


def _people(count: int | None) -> str:
    return "-" if count is None else f"{count:,}"
