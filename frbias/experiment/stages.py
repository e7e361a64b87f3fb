"""Running an experiment: every stage in order, each into its own folder, each skipped when it is fresh.

::

    <out>/train/images, <out>/train/aligned      the set to fine-tune on
    <out>/test/images, <out>/test/aligned        the set to evaluate on, other people
    <out>/run                                    the fine-tuned recogniser
    <out>/embeddings/baseline, .../finetuned     test faces seen by either
    <out>/comparison                             rates, figures
    <out>/pairs/..., <out>/identify/...          published protocols, by either, when they are asked for
    <out>/evaluation.json                        both recognisers and their differences: every number of the report
    <out>/report.html                            what came out, self-contained
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from frbias.core.data.datasets.resolving import resolve_data
from frbias.core.foundation.errors import BadInputError
from frbias.core.foundation.files import write_json
from frbias.core.foundation.group import led
from frbias.core.foundation.machine import LOCAL, Machine
from frbias.core.reporting.verdict import Verdict, judge
from frbias.core.stages.finetune import FinetuneResult
from frbias.core.stages.outcomes import Measured
from frbias.core.stages.report import report
from frbias.core.stages.requests.report import ReportRequest
from frbias.experiment.contents import Contents
from frbias.experiment.doing import do
from frbias.experiment.graph import Graph, Node, Stage
from frbias.experiment.plan import ExperimentPlan
from frbias.experiment.protocols import Model, judge_by, needs_of

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

    def of(self, stage: Stage, role: str, key: str) -> Path:
        """The folder of a stage's result, whatever its key."""
        del key
        folders = {"generate": self.images, "align": self.aligned, "embed": self.embeddings}
        if stage in folders:
            return folders[stage](role)
        return self.run if stage == "finetune" else self.comparison

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
        broken_gates: One sentence for every condition of a ``fail-if`` that is not met.
        protocols: What the published protocols say of both recognisers, by the names of their sections.
    """

    paths: ExperimentPaths
    document: Document
    verdict: Verdict
    training: FinetuneResult
    train_images: int
    test_images: int
    broken_gates: tuple[str, ...]
    protocols: Mapping[str, tuple[Measured, ...]] = field(default_factory=dict)


def run_experiment(plan: ExperimentPlan, out: Path, machine: Machine = LOCAL, *, asked: str = "") -> ExperimentResult:
    """Run an experiment, or what is left of it, into ``out``; the report names the command that ``asked`` for it.

    Raises:
        BadInputError: Train and test share subjects, or a stage cannot use its input.
        UsageError: ``out`` holds another experiment.
        AssetMissingError: Weights or data sets are not installed; names all of them, before any work.
    """
    paths = ExperimentPaths(Path(out))
    graph = Graph(Contents(machine, hashed=False), paths.of)
    cell = graph.add(plan)
    for need in (need for request in plan.protocols.values() for need in needs_of(request)):
        graph.contents.need(need)
    graph.contents.refuse()
    made = [graph.nodes[key] for key in cell.keys]
    results = {node.key: _told(node, plan, machine) for node in made if node.stage in ("generate", "align")}
    people, others = resolve_data(cell.train.data), resolve_data(cell.test.data)
    if people.root.resolve() == others.root.resolve() and (shared := set(people.subjects) & set(others.subjects)):
        raise BadInputError(f"Subject {min(shared)} is in both the train and the test set; they must be other people.")
    results |= {node.key: _told(node, plan, machine) for node in made if node.key not in results}
    training, measured = _results(made, results)
    protocols = {name: _judged_by(plan, name, measured, paths, machine) for name in plan.protocols}
    machine.tell("writing the report")
    _report(plan, paths, measured.document, machine, asked)
    verdict = judge(measured.document, held_out=True)
    broken = [text for found in protocols.values() for one in found for text in one.broken_gates]
    gates = (*measured.broken_gates, *broken)
    return ExperimentResult(paths, measured.document, verdict, training, len(people), len(others), gates, protocols)


def _judged_by(
    plan: ExperimentPlan, protocol: str, compared: Measured, paths: ExperimentPaths, machine: Machine
) -> tuple[Measured, ...]:
    """Both recognisers by one protocol, each into a folder of its own."""
    machine.tell(f"judging by the protocol [{protocol}], before and after")
    name = compared.document["baseline"]["name"] if compared.documents else plan.finetune.weights
    models = (
        Model(name, plan.finetune.weights, paths.embeddings("baseline")),
        Model("fine-tuned", str(paths.run), paths.embeddings("finetuned")),
    )
    request = plan.protocols[protocol]
    return tuple(judge_by(request, one, paths.out / protocol / one.embeddings.name, machine) for one in models)


def _told(node: Node, plan: ExperimentPlan, machine: Machine) -> Any:
    """Do a node, saying what begins."""
    doing = "fine-tuning" if plan.finetune.epochs else "learning a map for"
    part = node.place.parent.name
    sentences: Mapping[str, str] = {
        "generate": f"making faces to {part} with {node.what}",
        "align": f"aligning the faces to {part}",
        "finetune": f"{doing} {plan.finetune.weights}",
        "embed": f"embedding the faces to test, {'before' if node.place.name == 'baseline' else 'after'}",
        "compare": "measuring age bias, before and after",
    }
    machine.tell(sentences[node.stage])
    return do(node, machine)


def _results(made: list[Node], results: Mapping[str, Any]) -> tuple[FinetuneResult, Measured]:
    by_stage = {node.stage: results[node.key] for node in made}
    return by_stage["finetune"], by_stage["compare"]


@led
def _report(plan: ExperimentPlan, paths: ExperimentPaths, document: Document, machine: Machine, asked: str) -> None:
    write_json(paths.evaluation, document)
    stages = [paths.images("train"), paths.aligned("train"), paths.images("test"), paths.aligned("test"), paths.run]
    stages += [paths.embeddings("baseline"), paths.embeddings("finetuned"), paths.comparison]
    request = ReportRequest(
        evaluation=paths.evaluation,
        people=str(paths.images("test")) if plan.test.generated else None,
        stage=tuple(folder for folder in stages if folder.is_dir()),
        held_out=True,
        heading=plan.name,
    )
    report(request, paths.report, asked=asked, machine=machine)
