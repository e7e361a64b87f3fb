"""Launches of processes that are forked from one which has imported everything, so that each costs its work alone.

``python forked.py JOBS`` reads JSON, a list of launches ``{"ranks", "place", "commands"}``, and does them one after the other:
every rank runs the commands in the folder ``place``, its output goes to ``place``-RANK.out and .err. It prints the
exit codes of each launch as JSON. The environment is that of torchrun.

Parts of an embedding are smaller than usual, so that ranks share a few images too. Drawings of figures, which one rank
makes while the others wait, are a few words instead.
"""

# ruff: noqa: F401

import atexit
import json
import os
import socket
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def import_all() -> None:
    """What the commands import lazily."""
    import onnx
    import onnxruntime
    import scipy.stats
    import torch._dynamo
    import torch.distributed
    import torch.nn.parallel
    import torch.onnx
    import torch.profiler

    import frbias.core.data.png_filters
    import frbias.core.installing.models
    import frbias.core.reporting.figures.every
    import frbias.core.stages.adapt
    import frbias.core.stages.audit
    import frbias.core.stages.compare
    import frbias.core.stages.embed
    import frbias.core.stages.evaluate
    import frbias.core.stages.export
    import frbias.core.stages.finetune
    import frbias.core.verification.bootstrap
    import frbias.core.verification.scores.kernels
    import frbias.experiment.stages
    import frbias.synth.eg3d.synthesizer
    import frbias.synth.generate


def make_small() -> None:
    """Smaller parts, and no drawings."""
    from matplotlib.figure import Figure

    from frbias.core.stages import embed

    def in_words(figure: Figure, place: Path, **options: Any) -> None:
        Path(place).write_text(f"{options.get('format', '')} of {len(figure.axes)} axes", encoding="utf-8")

    embed.PART = 16
    Figure.savefig = in_words  # type: ignore[method-assign, assignment]


def launch(ranks: int, place: str, commands: Sequence[Sequence[str]]) -> list[int]:
    """Run the commands in ``ranks`` processes; their exit codes."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    folder = Path(place)
    folder.mkdir()
    world = {"WORLD_SIZE": ranks, "LOCAL_WORLD_SIZE": ranks, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    started = []
    for rank in range(ranks):
        child = os.fork()
        if child == 0:
            _become(folder, {**world, "RANK": rank, "LOCAL_RANK": rank, "FRBIAS_HOME": folder / "home"}, commands)
        started.append(child)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in started]


def _become(folder: Path, environment: dict[str, Any], commands: Sequence[Sequence[str]]) -> None:
    """Be a rank, and end."""
    code = 70
    try:
        for number, suffix in ((1, "out"), (2, "err")):
            handle = os.open(f"{folder}-{environment['RANK']}.{suffix}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(handle, number)
        os.environ.update({name: str(value) for name, value in environment.items()})
        os.chdir(folder)
        code = _run(commands)
        atexit._run_exitfuncs()
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _run(commands: Sequence[Sequence[str]]) -> int:
    from frbias.cli.app import main

    for arguments in commands:
        try:
            main(["--json", *arguments])
        except SystemExit as ended:
            if ended.code:
                sys.stderr.write(f"{arguments[0]} ended with {ended.code}\n")
                return int(ended.code)
    return 0


if __name__ == "__main__":
    import_all()
    make_small()
    for job in json.loads(sys.argv[1]):
        print(json.dumps(launch(**job)), flush=True)  # noqa: T201
