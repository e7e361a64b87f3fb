"""``frbias align``: find faces and bring them to a template."""

from dataclasses import asdict
from typing import TYPE_CHECKING

from frbias.cli import console
from frbias.cli.takes import OUTPUT, Output, Part, takes
from frbias.core.foundation.machine import Machine, Resources
from frbias.core.foundation.words import counted
from frbias.core.stages.requests.align import AlignRequest

if TYPE_CHECKING:
    from frbias.core.data.doubtful import DoubtfulFace
    from frbias.core.faces.point_errors import PointErrorReport


@takes(Part(AlignRequest), OUTPUT.named("aligned"), Part(Resources, only=("workers",)))
def command(request: AlignRequest, output: Output, resources: Resources) -> None:
    """Find faces and bring them to a template.

    Images without a usable face are skipped, counted and listed in rejected.csv.

    [bold]Examples[/bold]

        frbias align people --out aligned

        frbias align fgnet --out fgnet-aligned --detector points

        frbias align photos --template ffhq --size 512

        frbias align fgnet --out fgnet-aligned --against-points
    """
    from frbias.core.stages.align import align, plan_align

    machine = Machine(resources, console.ConsoleProgress(), console.note)
    if output.dry_run:
        console.plan(plan_align(request, output.out))
        return
    result = align(request, output.out, machine=machine, force=output.force)

    def human() -> None:
        console.say(
            f"{counted(result.images, 'face')} of {counted(result.subjects, 'subject')} in [bold]{result.out}[/bold]."
        )
        if result.rejected:
            console.say(f"{counted(result.rejected, 'image')} rejected; see {result.out / 'rejected.csv'}.")
        if result.doubtful:
            _say_doubtful(result.doubtful)
        if request.against_points and result.point_errors is not None:
            _say_errors(result.point_errors)

    console.result(
        {
            "out": str(result.out),
            "images": result.images,
            "subjects": result.subjects,
            "rejected": result.rejected,
            "reused": result.reused,
            "doubtful": [asdict(face) for face in result.doubtful],
            **({"point_errors": result.point_errors.to_json()} if result.point_errors else {}),
        },
        human,
    )


def _say_doubtful(faces: "tuple[DoubtfulFace, ...]") -> None:
    worst = ", ".join(f"{face.source_file} ({', '.join(face.reasons)})" for face in faces[:3])
    console.say(f"Crops not to be trusted: {len(faces)} (all of them with --json); the worst: {worst}.")


def _say_errors(report: "PointErrorReport") -> None:
    from frbias.core.faces.point_errors import BOUNDS

    heads = ["faces", "mean", "median", *(f"> {bound:g}" for bound in BOUNDS)]
    rows = [("all", report.overall), *report.groups.items()]
    console.say("Error of the points against the annotated ones (root mean square of five, eye distances):")
    console.say(f"{'':8}" + "".join(f"{head:>9}" for head in heads))
    for name, errors in rows:
        figures = [f"{errors.faces:,}", f"{errors.mean:.3f}", f"{errors.median:.3f}"]
        figures += [f"{share:.1%}" for share in errors.shares]
        console.say(f"{name:8}" + "".join(f"{figure:>9}" for figure in figures))
