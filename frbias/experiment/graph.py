"""The stages of an experiment as a graph: what each is asked for, where its result goes, and what it waits for.

A node's key is a hash of its stage, its request, the contents that it reads from outside and the keys of the nodes it
reads from. So equal work has one node, whichever cells want it, and a changed option changes the keys of what depends
on it and nothing else.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from frbias.core.foundation.files import sha256_json
from frbias.core.foundation.requests import Request
from frbias.core.stages.align import VERSION as ALIGN_VERSION
from frbias.core.stages.compare import VERSION as COMPARE_VERSION
from frbias.core.stages.embed import VERSION as EMBED_VERSION
from frbias.core.stages.finetune import VERSION as FINETUNE_VERSION
from frbias.core.stages.requests.align import AlignRequest
from frbias.core.stages.requests.embed import EmbedRequest
from frbias.experiment.contents import ABSENT, Amount, Contents
from frbias.experiment.plan import ExperimentPlan, SetPlan

Stage = Literal["generate", "align", "finetune", "embed", "compare"]
Part = Literal["train", "test"]
Places = Callable[[Stage, str, str], Path]
"""(stage, role, key) -> folder; the role is ``train``, ``test``, ``run``, ``baseline``, ``finetuned`` or ``comparison``."""
OWN_TEST_SET = "test"


@dataclass(frozen=True)
class Node:
    """One piece of work.

    Attributes:
        stage: Which stage does it.
        key: Hash of everything it depends on.
        place: Folder of its result.
        request: What the stage is asked for.
        needs: Keys of the nodes that come before.
        what: A few words: generator, detector, recogniser.
        units: How much it is (images, times epochs where there are some), for estimates; 0 when not known.
    """

    stage: Stage
    key: str
    place: Path
    request: Request
    needs: tuple[str, ...] = ()
    what: str = ""
    units: int = 0


@dataclass(frozen=True)
class Faces:
    """A part's faces, aligned.

    Attributes:
        data: Name or folder that requests take.
        key: Hash of what they are.
        images: How many there are at most.
        nodes: Keys of the nodes that make them, in order; none when they are there.
    """

    data: str
    key: str
    images: int
    nodes: tuple[str, ...] = ()


@dataclass(frozen=True)
class CellNodes:
    """Keys of the nodes of one cell, in order, and where its results are.

    Attributes:
        keys: All of them; the last one compares.
        train, test: The faces.
        run, baseline, finetuned, comparison: Folders.
        start: Name of the start model.
    """

    keys: tuple[str, ...]
    train: Faces
    test: Faces
    run: Path
    baseline: Path
    finetuned: Path
    comparison: Path
    start: str


@dataclass
class Graph:
    """Nodes of any number of cells, equal ones once.

    Attributes:
        contents: What is outside.
        places: Where results go.
        draws: Whether comparisons keep their bootstrap draws.
        nodes: By key, every node after those it needs.
    """

    contents: Contents
    places: Places
    draws: bool = False
    nodes: dict[str, Node] = field(default_factory=dict)

    def add(self, plan: ExperimentPlan) -> CellNodes:
        """Add the nodes of an experiment; what is missing is noted in :attr:`contents`."""
        weights = plan.finetune.weights
        start = self.contents.recogniser(weights)
        name = weights if start is None else start.name
        train, test = self._faces(plan, plan.train, "train"), self._faces(plan, plan.test, "test")
        run = self._run(plan, train, test)
        weights_key = self.contents.weights(weights)
        baseline = self._embed(weights, weights_key, test, (), "baseline", name)
        finetuned = self._embed(str(run.place), run.key, test, (run.key,), "finetuned", name)
        changes: dict[str, Any] = {"models": (str(baseline.place), str(finetuned.place)), "names": (name, "fine-tuned")}
        changes |= {"save_draws": True} if self.draws else {}
        request = replace(plan.evaluate, **changes)
        key = _key("compare", COMPARE_VERSION, request.identity(), baseline.key, finetuned.key)
        comparison = self._node(
            "compare", "comparison", key, request, (baseline.key, finetuned.key), "embeddings", test.images
        )
        keys = [*train.nodes, *test.nodes, run.key, baseline.key, finetuned.key, comparison.key]
        return CellNodes(
            tuple(dict.fromkeys(keys)),
            train,
            test,
            run.place,
            baseline.place,
            finetuned.place,
            comparison.place,
            name,
        )

    def _faces(self, plan: ExperimentPlan, part: SetPlan, role: Part) -> Faces:
        """Aligned faces of a part, generated and aligned unless they are there."""
        weights, needs = plan.finetune.weights, tuple[str, ...]()
        if part.generated is not None:
            amount, backend = self.contents.generator(part.generated), part.generated.backend
            asked = _key("generate", part.generated.to_json()) if amount.key == ABSENT else amount.key
            made = self._node("generate", role, asked, part.generated, (), backend, amount.images)
            data, amount = str(made.place), Amount(made.key, amount.images)
            needs = (made.key,)
        else:
            data, amount = part.data, self.contents.data(part.data)
            if self.contents.aligned(data, weights):
                return Faces(data, amount.key, amount.images)
        detector = self.contents.detector(plan.align.detector)
        key = _key("align", ALIGN_VERSION, plan.align.identity(), detector, amount.key)
        request = plan.align.extended(AlignRequest, data=data)
        node = self._node("align", role, key, request, needs, plan.align.detector, amount.images)
        return Faces(str(node.place), node.key, amount.images, (*needs, node.key))

    def _run(self, plan: ExperimentPlan, train: Faces, test: Faces) -> Node:
        request, needs = replace(plan.finetune, data=train.data), train.nodes[-1:]
        watched: Any = None
        if request.eval_data == OWN_TEST_SET:
            request, watched = replace(request, eval_data=test.data, eval_names_unrelated=True), test.key
            needs = tuple(dict.fromkeys((*needs, *test.nodes[-1:])))
        elif request.eval_data is not None:
            watched = self.contents.data(request.eval_data).key
        guards: list[Any] = [self.contents.photographs(name).key for name in request.guard]
        guards += self.contents.guard_lists(request) if request.guard_pairs else []
        kept = None if request.keep_photos is None else self.contents.photographs(request.keep_photos).key
        weights = (request.weights, self.contents.weights(request.weights))
        key = _key("finetune", FINETUNE_VERSION, request.identity(), weights, train.key, watched, guards, kept)
        units = train.images * max(1, request.epochs)
        return self._node("finetune", "run", key, request, needs, request.weights, units)

    def _embed(self, weights: str, weights_key: str, test: Faces, needs: tuple[str, ...], role: str, name: str) -> Node:
        request = EmbedRequest(data=test.data, weights=weights)
        key = _key("embed", EMBED_VERSION, request.identity(), weights_key, test.key)
        return self._node("embed", role, key, request, (*test.nodes[-1:], *needs), name, test.images)

    def _node(
        self, stage: Stage, role: str, key: str, request: Request, needs: tuple[str, ...], what: str, units: int
    ) -> Node:
        node = Node(stage, key, self.places(stage, role, key), request, needs, what, units)
        return self.nodes.setdefault(key, node)


def _key(*parts: Any) -> str:
    return sha256_json(list(parts))
