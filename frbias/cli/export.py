"""``frbias export``: write a recogniser in the forms that other tools load."""

from typing import TYPE_CHECKING

from frbias.cli import console
from frbias.cli.takes import Part, ResultFolder, takes
from frbias.core.foundation.machine import Machine
from frbias.core.stages.requests.export import ExportRequest

if TYPE_CHECKING:
    from frbias.core.stages.export import Exported


@takes(
    Part(ExportRequest),
    Part(ResultFolder, helps={"out": "Folder to write; default: exports/<name>."}),
)
def command(request: ExportRequest, output: ResultFolder) -> None:
    """Export a recogniser to a folder that can be uploaded: safetensors, ONNX, insightface pack, model card.

    What the ONNX file computes is compared with the recogniser before it is kept. The card (README.md, as Hugging Face
    shows it) is filled from what the run and the evaluation recorded.

    [bold]Examples[/bold]

        frbias export runs/finetune

        frbias export runs/finetune --evaluation comparison --out upload

        frbias export runs/finetune --out packs/fair --detector insightface:buffalo_l
    """
    from frbias.core.stages.export import export, plan_export

    machine = Machine(progress=console.ConsoleProgress(), tell=console.note)
    if output.dry_run:
        console.plan(plan_export(request, output.out, machine=machine))
        return
    done = export(request, output.out, machine=machine, force=output.force)
    summary = {"out": str(done.out), "files": done.files, "largest_difference": done.largest_difference}
    console.result(summary, lambda: _tell(done))


def _tell(done: "Exported") -> None:
    console.say(f"Written to [bold]{done.out}[/bold]: {', '.join(done.files)}.")
    if done.largest_difference is not None:
        console.say(f"ONNX and recogniser differ by at most {done.largest_difference:.1e} of the largest value.")
