"""A process that has done everything once, from which runs are forked: one try costs its work and nothing else.

Modules are imported, code of numba is loaded, tables of the mesh generator are read and networks have run before the
first fork.
"""

import contextlib
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from faults.remembering import remember_the_slow


def import_all() -> None:
    """Import what the commands import lazily, so that forked children need not."""
    import cv2
    import onnx  # noqa: F401
    import onnxruntime  # noqa: F401
    import torch

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
    import frbias.experiment.stages
    import frbias.synth.generate  # noqa: F401

    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    remember_the_slow()


def run_here(arguments: Sequence[str], folder: Path, environment: Mapping[str, str]) -> int:
    """Run ``frbias ARGUMENTS`` in this very process, with its output thrown away; returns the exit code."""
    from frbias.cli.app import main

    before, place = dict(os.environ), Path.cwd()
    os.environ.update(environment)
    os.chdir(folder)
    try:
        with (
            Path(os.devnull).open("w") as nowhere,
            contextlib.redirect_stdout(nowhere),
            contextlib.redirect_stderr(nowhere),
        ):
            main(list(arguments))
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 1
    finally:
        os.chdir(place)
        os.environ.clear()
        os.environ.update(before)
        sys.stdout.flush()
    return 0
