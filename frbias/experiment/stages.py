"""Running an experiment: every stage in order, each into its own folder, each skipped when it is fresh.

::

    <out>/train/images, <out>/train/aligned      the set to fine-tune on
    <out>/test/images, <out>/test/aligned        the set to evaluate on, other people
    <out>/run                                    the fine-tuned recogniser
    <out>/embeddings/baseline, .../finetuned     test faces seen by either
    <out>/comparison                             rates, figures
    <out>/evaluation.json                        both recognisers and their differences: every number of the report
    <out>/report.html                            what came out, self-contained
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from frbias.core.data.datasets.resolving import resolve_data
from frbias.core.faces.detect import describe_detector
from frbias.core.foundation.errors import AssetMissingError, BadInputError, FrbiasError
from frbias.core.foundation.files import write_json
from frbias.core.foundation.group import led
from frbias.core.foundation.machine import LOCAL, Machine
from frbias.core.recognisers.base import Recogniser
from frbias.core.recognisers.loading import load_trainable
from frbias.core.reporting.verdict import Verdict, judge
from frbias.core.stages.align import align, photographs_of
from frbias.core.stages.compare import compare
from frbias.core.stages.embed import embed
from frbias.core.stages.finetune import FinetuneResult, finetune
from frbias.core.stages.guards import guard_photographs
from frbias.core.stages.report import report
from frbias.core.stages.requests.align import AlignRequest
from frbias.core.stages.requests.embed import EmbedRequest
from frbias.core.stages.requests.report import ReportRequest
from frbias.core.stages.shared import is_aligned
from frbias.experiment.plan import ExperimentPlan, SetPlan
from frbias.synth.backends import make_backend
from frbias.synth.generate import generate

Document = dict[str, Any]


@dataclass(frozen=True)
class ExperimentPaths:
    """Where the parts of an experiment lie.

    Attributes:
        out: The experiment's folder.
    """

    out: Path

    def images(self, part: str) -> Path:
        """Generated images of ``train`` or ``test``."""
        return self.out / part / "images"

    def aligned(self, part: str) -> Path:
        """Aligned faces of ``train`` or ``test``."""
        return self.out / part / "aligned"

    @property
    def run(self) -> Path:
        """The fine-tuning run."""
        return self.out / "run"

    def embeddings(self, name: str) -> Path:
        """Embeddings of the test faces by ``baseline`` or ``finetuned``."""
        return self.out / "embeddings" / name

    @property
    def comparison(self) -> Path:
        """Evaluation of both recognisers and their paired differences."""
        return self.out / "comparison"

    @property
    def evaluation(self) -> Path:
        """Every number of the report."""
        return self.out / "evaluation.json"

    @property
    def report(self) -> Path:
        """The self-contained page."""
        return self.out / "report.html"


@dataclass(frozen=True)
class ExperimentResult:
    """What an experiment left.

    Attributes:
        paths: Where everything is.
        document: Both recognisers and their paired differences on the test set (schema ``frbias.comparison``).
        verdict: What the document says, in words.
        training: What fine-tuning reports of itself.
        train_images, test_images: Aligned faces used.
        broken_gates: One sentence for every condition of ``[evaluate] fail-if`` that is not met.
    """

    paths: ExperimentPaths
    document: Document
    verdict: Verdict
    training: FinetuneResult
    train_images: int
    test_images: int
    broken_gates: tuple[str, ...]


def run_experiment(plan: ExperimentPlan, out: Path, machine: Machine = LOCAL) -> ExperimentResult:
    """Run an experiment, or what is left of it, into ``out``.

    Raises:
        BadInputError: Train and test share subjects, or a stage cannot use its input.
        UsageError: ``out`` holds another experiment.
        AssetMissingError: Weights or data sets are not installed; names all of them, before any work.
    """
    paths, weights = ExperimentPaths(Path(out)), plan.finetune.weights
    start = _require_assets(plan, machine)
    train = _faces(plan, plan.train, "train", start, paths, machine)
    test = _faces(plan, plan.test, "test", start, paths, machine)
    people, others = resolve_data(train), resolve_data(test)
    if people.root.resolve() == others.root.resolve() and (shared := set(people.subjects) & set(others.subjects)):
        raise BadInputError(f"Subject {min(shared)} is in both the train and the test set; they must be other people.")
    doing = "fine-tuning" if plan.finetune.epochs else "learning a map for"
    machine.tell(f"{doing} {weights} on {len(people)} faces of {len(set(people.subjects))} people")
    training = finetune(replace(plan.finetune, data=train), paths.run, machine=machine)
    machine.tell(f"embedding {len(others)} faces of {len(set(others.subjects))} other people, before and after")
    for name, model in (("baseline", weights), ("finetuned", str(paths.run))):
        embed(EmbedRequest(data=test, weights=model), paths.embeddings(name), machine=machine)
    machine.tell("measuring age bias, before and after")
    models = (str(paths.embeddings("baseline")), str(paths.embeddings("finetuned")))
    request = replace(plan.evaluate, models=models, names=(start.name, "fine-tuned"))
    measured = compare(request, paths.comparison, machine=machine)
    machine.tell("writing the report")
    _report(plan, test, paths, measured.document, machine)
    verdict = judge(measured.document, held_out=True)
    return ExperimentResult(
        paths, measured.document, verdict, training, len(people), len(others), measured.broken_gates
    )


def _require_assets(plan: ExperimentPlan, machine: Machine) -> Recogniser:
    """The start model; refuses an experiment before its first long stage when something is not there.

    Raises:
        AssetMissingError: Names everything that is missing.
        BadInputError: Something is there and cannot be used.
    """
    needs: list[Callable[[], object]] = [lambda: load_trainable(plan.finetune.weights, "finetune")]
    needs += [partial(_source, part, machine) for part in (plan.train, plan.test)]
    needs.append(lambda: describe_detector(plan.align.detector))
    if plan.finetune.eval_data is not None:
        needs.append(partial(resolve_data, plan.finetune.eval_data))
    needs += [partial(photographs_of, name) for name in plan.finetune.guard]
    needs.append(partial(guard_photographs, plan.finetune))
    if plan.finetune.keep_photos is not None:
        needs.append(partial(photographs_of, plan.finetune.keep_photos))
    missing: list[str] = []
    wrong: list[str] = []
    for need in needs:
        try:
            need()
        except AssetMissingError as error:
            missing.append(str(error))
        except FrbiasError as error:
            wrong.append(str(error))
    texts = "\n\n".join(dict.fromkeys([*wrong, *missing]))
    if wrong:
        raise BadInputError(texts)
    if missing:
        raise AssetMissingError(texts)
    return load_trainable(plan.finetune.weights, "finetune", progress=machine.progress)


def _source(part: SetPlan, machine: Machine) -> None:
    if part.generated is None:
        resolve_data(part.data)
    else:
        make_backend(part.generated, machine.resources.device).prepare()


def _faces(
    plan: ExperimentPlan, part: SetPlan, name: str, start: Recogniser, paths: ExperimentPaths, machine: Machine
) -> str:
    """Aligned faces of a part, as a name that requests take; generated and aligned unless they are there."""
    data = part.data
    if part.generated is not None:
        machine.tell(f"making faces to {name} with {part.generated.backend}")
        generate(part.generated, paths.images(name), machine=machine)
        data = str(paths.images(name))
    elif is_aligned(resolve_data(data), start.input_size):
        return data
    align(plan.align.extended(AlignRequest, data=data), paths.aligned(name), machine=machine)
    return str(paths.aligned(name))


@led
def _report(plan: ExperimentPlan, test: str, paths: ExperimentPaths, document: Document, machine: Machine) -> None:
    write_json(paths.evaluation, document)
    stages = [paths.images("train"), paths.aligned("train"), paths.images("test"), paths.aligned("test"), paths.run]
    stages += [paths.embeddings("baseline"), paths.embeddings("finetuned"), paths.comparison]
    request = ReportRequest(
        evaluation=paths.evaluation,
        people=str(paths.images("test")) if plan.test.generated else test,
        stage=tuple(folder for folder in stages if folder.is_dir()),
        held_out=True,
        heading=plan.name,
    )
    report(request, paths.report, machine=machine)
