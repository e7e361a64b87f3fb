"""``frbias export``: write a recogniser in the forms that other tools load."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from frbias.cli import console
from frbias.cli.options import Force

if TYPE_CHECKING:
    from frbias.core.stages.export import Exported


def command(
    run: Annotated[str, typer.Argument(help="Run folder of 'frbias finetune', or any recogniser as for --weights.")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder to write; default exports/<name>.")] = None,
    onnx: Annotated[bool, typer.Option("--onnx/--no-onnx", help="ONNX as insightface loads it.")] = True,
    pack: Annotated[bool, typer.Option("--pack/--no-pack", help="Manifest that makes the folder a pack.")] = True,
    detector: Annotated[
        str | None,
        typer.Option(
            "--detector", help="Detector for the pack: an .onnx file or insightface:<pack>; FaceAnalysis needs one."
        ),
    ] = None,
    force: Force = False,
) -> None:
    """Export a recogniser to ONNX, safetensors and an insightface pack.

    What the ONNX file computes is compared with the recogniser before it is kept.
    """
    from frbias.core.recognisers.loading import load_trainable
    from frbias.core.stages.export import export

    backbone = load_trainable(run, "export")
    found = None if detector is None else _detector(detector)
    done = export(backbone, out or Path("exports") / backbone.name, onnx=onnx, pack=pack, detector=found, force=force)
    summary = {"out": str(done.out), "files": done.files, "largest_difference": done.largest_difference}
    console.result(summary, lambda: _tell(done))


def _detector(spec: str) -> Path:
    from frbias.core.foundation.errors import BadInputError
    from frbias.core.recognisers.loading import insightface_pack

    if not spec.startswith("insightface:"):
        if Path(spec).suffix == ".onnx" and Path(spec).is_file():
            return Path(spec)
        raise BadInputError(f"--detector {spec} is no .onnx file; give one, or insightface:<pack>.")
    folder = insightface_pack(spec.removeprefix("insightface:"))
    files = sorted(folder.glob("det*.onnx")) + sorted(folder.glob("scrfd*.onnx"))
    if not files:
        raise BadInputError(f"{folder} holds no detector (det_10g.onnx or the like).")
    return files[0]


def _tell(done: "Exported") -> None:
    console.say(f"Written to [bold]{done.out}[/bold]: {', '.join(done.files)}.")
    if done.largest_difference is not None:
        console.say(f"ONNX and recogniser differ by at most {done.largest_difference:.1e} of the largest value.")
