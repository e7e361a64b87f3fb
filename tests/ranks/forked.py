"""Starts launches of processes that are forked from one which has imported everything: each costs its work alone.

It reads lines of JSON, ``{"ranks", "place", "commands", "environment"}``, and answers each with the exit codes of the ranks.
Every rank runs the commands in the folder ``place``: ``["-c", CODE, ...]`` as Python does, all others as ``frbias`` does, up to
the first that fails. What rank R says is in the files ``place``-R.out and .err. The environment is that of torchrun.

Parts of an embedding are smaller than usual, so that ranks share a few images too. Drawings of figures, which one rank
makes while the others wait, are a few words instead.
"""
# ruff: noqa: F401

import atexit
import json
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

LIMIT = 240.0  # seconds until a launch that hangs is ended


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


def launch(ranks: int, place: str, commands: Sequence[Sequence[str]], environment: dict[str, str]) -> list[int]:
    """Run the commands in ``ranks`` processes; their exit codes."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    world = {"WORLD_SIZE": ranks, "LOCAL_WORLD_SIZE": ranks, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    started = []
    for rank in range(ranks):
        child = os.fork()
        if child == 0:
            _become(Path(place), {**world, "RANK": rank, "LOCAL_RANK": rank, **environment}, commands)
        started.append(child)
    until, ended = time.monotonic() + LIMIT, dict[int, int]()
    while len(ended) < ranks:
        for child in started:
            if child not in ended and (found := os.waitpid(child, os.WNOHANG))[0]:
                ended[child] = os.waitstatus_to_exitcode(found[1])
            elif child not in ended and time.monotonic() > until:
                os.kill(child, signal.SIGKILL)
        time.sleep(0.005)
    return [ended[child] for child in started]


def _become(folder: Path, environment: dict[str, Any], commands: Sequence[Sequence[str]]) -> None:
    """Be a rank, and end."""
    code = 1
    try:
        rank, write = environment["RANK"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        for number, name in enumerate((os.devnull, f"{folder}-{rank}.out", f"{folder}-{rank}.err")):
            os.dup2(os.open(name, write if number else os.O_RDONLY, 0o644), number)
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
            if arguments[0] == "-c":
                sys.argv = ["-c", *arguments[2:]]
                exec(compile(arguments[1], "<string>", "exec"), {"__name__": "__main__"})
            else:
                main(list(arguments))
        except SystemExit as ended:
            if ended.code:
                return int(ended.code)
    return 0


if __name__ == "__main__":
    import_all()
    make_small()
    for line in sys.stdin:
        print(json.dumps(launch(**json.loads(line))), flush=True)  # noqa: T201
