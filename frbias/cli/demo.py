"""``frbias demo``: the whole experiment, small, on what frbias embeds."""

from pathlib import Path
from typing import Annotated

import typer

from frbias.cli.options import Device, Out, Seed, Workers


def command(
    out: Out = Path("demo-out"),
    train_subjects: Annotated[int, typer.Option("--train-subjects", min=8, help="People to fine-tune on.")] = 80,
    test_subjects: Annotated[int, typer.Option("--test-subjects", min=8, help="Other people to measure on.")] = 64,
    epochs: Annotated[int, typer.Option("--epochs", min=1, help="Passes over the training faces.")] = 12,
    bootstrap: Annotated[int, typer.Option("--bootstrap", min=0, help="Subject bootstrap replicates.")] = 1000,
    seed: Seed = 0,
    device: Device = "auto",
    workers: Workers = 0,
) -> None:
    """Run the whole experiment, small, with nothing to download by hand.

    Faces of known identity and age are made, aligned, and used to fine-tune SFace with stages 1-3 frozen; then age
    bias is measured before and after on other people. Everything ends in one report.
    """
    from frbias.cli.run import run_and_tell
    from frbias.experiment.demo import demo_plan

    plan = demo_plan(
        train_subjects=train_subjects, test_subjects=test_subjects, epochs=epochs, bootstrap=bootstrap, seed=seed
    )
    run_and_tell(plan, out, device=device, workers=workers)
