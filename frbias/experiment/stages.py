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
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from frbias.core.data.datasets.resolving import resolve_data
from frbias.core.data.samples import SampleTable, read_samples
from frbias.core.foundation.errors import AssetMissingError, BadInputError
from frbias.core.foundation.files import write_json
from frbias.core.foundation.machine import Machine as StageMachine
from frbias.core.foundation.machine import Resources
from frbias.core.foundation.progress import SILENT, Progress
from frbias.core.foundation.provenance import read_provenance
from frbias.core.recognisers.loading import load_recogniser
from frbias.core.reporting.html import write_report
from frbias.core.reporting.verdict import Verdict, judge
from frbias.core.stages.align import STAGE as ALIGN_STAGE
from frbias.core.stages.align import align_table
from frbias.core.stages.compare import compare
from frbias.core.stages.embed import embed_table
from frbias.core.stages.finetune import FinetuneResult, finetune
from frbias.core.stages.requests.align import AlignOptions
from frbias.core.stages.requests.compare import CompareRequest
from frbias.core.training.options import options_from
from frbias.experiment.plan import ExperimentPlan, SetPlan
from frbias.synth.backends import make_backend
from frbias.synth.generation import generate

DEFAULT_WEIGHTS = "sface"
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
    """

    paths: ExperimentPaths
    document: Document
    verdict: Verdict
    training: FinetuneResult
    train_images: int
    test_images: int


@dataclass(frozen=True)
class Machine:
    """What an experiment may use; none of it changes the result on a CPU.

    Attributes:
        device: ``auto``, ``cpu`` or ``cuda[:i]``.
        workers: Worker processes; 0 means one per core.
        progress: Where to report.
        tell: Called with one sentence as each stage begins.
    """

    device: str = "auto"
    workers: int = 0
    progress: Progress = SILENT
    tell: Callable[[str], None] = lambda message: None


def run_experiment(plan: ExperimentPlan, out: Path, machine: Machine | None = None) -> ExperimentResult:
    """Run an experiment, or what is left of it, into ``out``.

    Raises:
        BadInputError: Train and test share subjects, or a stage cannot use its input.
        UsageError: ``out`` holds another experiment, or an option is unknown.
        AssetMissingError: Weights or a data set are not installed.
    """
    machine = machine or Machine()
    paths = ExperimentPaths(Path(out))
    options = dict(plan.finetune)
    weights = str(options.pop("weights", DEFAULT_WEIGHTS))
    settings = options_from({"seed": plan.seed, **options})
    _require_assets(plan, weights, machine)
    train = _faces(plan, plan.train, "train", paths, machine)
    test = _faces(plan, plan.test, "test", paths, machine)
    _refuse_shared_subjects(plan, train, test)
    machine.tell(f"fine-tuning {weights} on {len(train)} faces of {len(set(train.subjects))} people")
    training = finetune(settings, train, paths.run, weights=weights, device=machine.device, progress=machine.progress)
    machine.tell(f"embedding {len(test)} faces of {len(set(test.subjects))} other people, before and after")
    _embed(test, weights, paths.embeddings("baseline"), machine)
    _embed(test, str(paths.run), paths.embeddings("finetuned"), machine)
    machine.tell("measuring age bias, before and after")
    document = _compare(plan, load_recogniser(weights).name, paths, machine)
    machine.tell("writing the report")
    _report(plan, document, test, paths)
    return ExperimentResult(paths, document, judge(document, held_out=True), training, len(train), len(test))


def _require_assets(plan: ExperimentPlan, weights: str, machine: Machine) -> None:
    """Refuse an experiment before its first long stage when something is not installed; names all that is missing."""
    needs: list[Callable[[], object]] = [lambda: load_recogniser(weights)]
    needs.extend(partial(_source, plan, part, machine) for part in (plan.train, plan.test))
    missing = []
    for need in needs:
        try:
            need()
        except AssetMissingError as error:
            missing.append(error)
    if missing:
        texts = list(dict.fromkeys(str(error) for error in missing))
        raise AssetMissingError("\n\n".join(texts))


def _source(plan: ExperimentPlan, part: SetPlan, machine: Machine) -> object:
    if part.backend:
        return make_backend(part.backend, {"seed": plan.seed, **part.options}, machine.device)
    return resolve_data(part.data)


def _faces(plan: ExperimentPlan, part: SetPlan, name: str, paths: ExperimentPaths, machine: Machine) -> SampleTable:
    if part.backend:
        machine.tell(f"making faces to {name} with {part.backend}")
        backend = make_backend(part.backend, {"seed": plan.seed, **part.options}, machine.device)
        generate(backend, paths.images(name), workers=machine.workers, progress=machine.progress)
        table = read_samples(paths.images(name))
    else:
        table = resolve_data(part.data)
    if (read_provenance(table.root) or {}).get("stage") == ALIGN_STAGE:
        return table
    align_table(
        table,
        paths.aligned(name),
        options=AlignOptions.read(plan.align, where="[align]"),
        machine=_for_stages(machine),
    )
    return read_samples(paths.aligned(name))


def _refuse_shared_subjects(plan: ExperimentPlan, train: SampleTable, test: SampleTable) -> None:
    if plan.train.backend != plan.test.backend and not (plan.train.data and plan.train.data == plan.test.data):
        return  # labels of different sources name different people
    shared = sorted(set(train.subjects) & set(test.subjects))
    seeds = {str(p.options.get("seed", plan.seed)) for p in (plan.train, plan.test)}
    if shared and len(seeds) == 1:
        raise BadInputError(f"Subject {shared[0]} is in both the train and the test set; they must be other people.")


def _embed(test: SampleTable, weights: str, out: Path, machine: Machine) -> None:
    embed_table(test, load_recogniser(weights), out, machine=_for_stages(machine))


def _compare(plan: ExperimentPlan, weights: str, paths: ExperimentPaths, machine: Machine) -> Document:
    request = CompareRequest.read(
        {
            "seed": plan.seed,
            **plan.evaluate,
            "models": [str(paths.embeddings("baseline")), str(paths.embeddings("finetuned"))],
            "name": [weights, "fine-tuned"],
        },
        where="[evaluate]",
    )
    measured = compare(request, paths.comparison, machine=_for_stages(machine))
    write_json(paths.evaluation, measured.document)
    return measured.document


def _for_stages(machine: Machine) -> StageMachine:
    return StageMachine(Resources(device=machine.device, workers=machine.workers), machine.progress)


def _report(plan: ExperimentPlan, document: Document, test: SampleTable, paths: ExperimentPaths) -> None:
    stages = [paths.images("train"), paths.aligned("train"), paths.images("test"), paths.aligned("test"), paths.run]
    stages += [paths.embeddings("baseline"), paths.embeddings("finetuned"), paths.comparison]
    people = read_samples(paths.images("test")) if plan.test.backend else test
    write_report(
        paths.report,
        document,
        source=paths.evaluation.name,
        people=people,
        stages=[folder for folder in stages if folder.is_dir()],
        held_out=True,
        title=plan.name,
    )
