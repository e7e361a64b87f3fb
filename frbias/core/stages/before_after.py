"""What a fine-tuning did to an evaluation set: the kept model against the start model, paired, in the run's folder."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from frbias.core.data.samples import SampleTable
from frbias.core.foundation.errors import FrbiasError
from frbias.core.foundation.files import read_object
from frbias.core.foundation.machine import Machine
from frbias.core.stages.embed import embed_images
from frbias.core.stages.measuring import compare_embeddings
from frbias.core.stages.outcomes import COMPARISON_NAME, Writing, write_outcome
from frbias.core.stages.requests.measuring import MeasureOptions

if TYPE_CHECKING:
    from frbias.core.recognisers.base import Recogniser

FOLDER = "comparison"


@dataclass(frozen=True)
class BeforeAfter:
    """Whether the evaluation set could be judged.

    Attributes:
        folder: Folder of the comparison in the run's; empty when there is none.
        reason: Why there is none; empty when there is one.
    """

    folder: str
    reason: str = ""

    def to_json(self) -> dict[str, str]:
        """JSON object."""
        return {"folder": self.folder, "reason": self.reason}


def judge_before_after(
    faces: SampleTable, models: "tuple[Recogniser, Recogniser]", run: Path, *, seed: int, machine: Machine
) -> BeforeAfter:
    """Compare two models on aligned faces, with the default groups and targets, and write ``comparison/`` in the run.

    Args:
        faces: Evaluation set.
        models: The start model, and what was kept.
        run: The run's folder.
        seed: Seed of the bootstrap.
        machine: What may be used.
    """
    machine.tell("judging the evaluation set, before and after")
    before, after = (embed_images(faces, model, machine=machine) for model in models)
    try:
        options = MeasureOptions(seed=seed)
        found = compare_embeddings(before, after, options, names=(models[0].name, run.name), machine=machine)
    except FrbiasError as error:  # no group has both kinds of comparison, or no target can be resolved
        return BeforeAfter("", error.message)
    write_outcome(run / FOLDER, found, Writing(True, figures=False))
    return BeforeAfter(FOLDER)


def read_before_after(run: Path, results: dict[str, Any]) -> tuple[dict[str, Any] | None, str]:
    """The comparison that a finished run holds (None without one), and why there is none when it was asked for."""
    found = results.get("evaluation_set")
    if found is None or not found["folder"]:
        return None, "" if found is None else str(found["reason"])
    return read_object(run / found["folder"] / COMPARISON_NAME), ""
