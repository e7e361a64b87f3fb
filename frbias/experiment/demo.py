"""The built-in experiment behind ``frbias demo``: embedded generator, embedded recogniser, minutes on a laptop."""

from typing import Any

from frbias.core.training.recipes import USUAL
from frbias.experiment.plan import ExperimentPlan, make_plan

TRAIN_AGES = (3.0, 10.0, 20.0, 35.0, 52.0, 72.0)
TEST_AGES = (4.0, 11.0, 13.0, 19.0, 22.0, 37.0, 42.0, 58.0, 62.0, 76.0)


def demo_plan(
    *, train_subjects: int, test_subjects: int, bootstrap: int, seed: int, recipe: str = USUAL
) -> ExperimentPlan:
    """The demo's experiment; arguments as for :func:`demo_document`."""
    document = demo_document(
        train_subjects=train_subjects, test_subjects=test_subjects, bootstrap=bootstrap, seed=seed, recipe=recipe
    )
    return make_plan(document, "the demo")


def demo_document(
    *, train_subjects: int, test_subjects: int, bootstrap: int, seed: int, recipe: str = USUAL
) -> dict[str, Any]:
    """The demo's experiment as a file would say it.

    Test people are numbered from 0, people to train on from 10 000, so that neither set depends on the size of the
    other. Every test person is seen at two ages in each age group, years apart: the mated comparison of a group has
    to bridge the ageing within it. No test age is trained on. Faces are cut out by the points that the generator knows:
    a detector is less sure of renders than of photographs, of children above all, and its errors are not the recogniser's.

    Args:
        train_subjects: People to learn from (a fifth of them is held out).
        test_subjects: People to measure on.
        bootstrap: Subject bootstrap replicates.
        seed: Seed of everything.
        recipe: How the recogniser is fine-tuned.
    """
    return {
        "name": "frbias demo",
        "seed": seed,
        "train": {
            "backend": "mesh",
            "subjects": train_subjects,
            "first_subject": 10_000,
            "ages": list(TRAIN_AGES),
            "variants": 1,
        },
        "test": {"backend": "mesh", "subjects": test_subjects, "ages": list(TEST_AGES), "variants": 2},
        "align": {"detector": "points"},
        "finetune": {"weights": "sface", "recipe": recipe},
        "evaluate": {
            "groups": "0-12,13-19,20-39,40-59,60+",
            "at-fmr": [0.1, 0.01, 0.001],
            "bootstrap": bootstrap,
            "figures": False,  # the page draws them
        },
    }
