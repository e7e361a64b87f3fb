"""The stages as functions of keywords: what ``import frbias`` offers.

Each builds the same request as the command line and an experiment file, so names, defaults and checks are theirs; an
unknown keyword is refused with a suggestion. Requests can be given instead of keywords, too.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from frbias.core.foundation.errors import UsageError
from frbias.core.foundation.machine import Machine, Resources
from frbias.core.foundation.requests import Request, facts_of, option_fields, option_name, option_types, suggestion
from frbias.core.stages.requests.adapt import AdaptRequest
from frbias.core.stages.requests.align import AlignRequest
from frbias.core.stages.requests.audit import AuditRequest
from frbias.core.stages.requests.compare import CompareRequest
from frbias.core.stages.requests.embed import EmbedRequest
from frbias.core.stages.requests.evaluate import EvaluateRequest
from frbias.core.stages.requests.export import ExportRequest
from frbias.core.stages.requests.finetune import FinetuneRequest
from frbias.core.stages.requests.report import ReportRequest
from frbias.synth.backends import BACKENDS

MACHINE = ("device", "workers", "threads", "batch_size")
CHOOSER = "backend"


@dataclass(frozen=True)
class Verb:
    """A stage, and how it is called from Python.

    Attributes:
        name: Name of the function.
        requests: Requests it can make, by the value of ``backend`` that chooses one (a single one needs none).
        run: ``module:function`` of the stage.
        result: ``module:class`` of what it returns.
        first: Keywords that may be given by position before ``out``.
        out: Default of ``out``; None when the stage names its folder itself.
        forced: Whether an earlier result can be replaced with ``force=True``.
        doc: Documentation, with an example.
    """

    name: str
    requests: Mapping[str, type[Request]]
    run: str
    result: str
    doc: str
    first: tuple[str, ...] = ()
    out: str | None = None
    forced: bool = True
    usual: str = field(default="")

    def options(self) -> dict[str, Field[Any]]:
        """Every keyword of every request, without those of the machine that a request does not have itself."""
        found: dict[str, Field[Any]] = {}
        for kind in self.requests.values():
            for given in option_fields(kind):
                found.setdefault(option_name(given).replace("-", "_"), given)
        return found

    def machine_options(self) -> list[str]:
        """Keywords that say what may be used."""
        return [name for name in MACHINE if name not in self.options()]

    def call(self, positional: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
        """Run the stage.

        Raises:
            UsageError: Everything that is wrong with the keywords, before any work is done.
        """
        given = {**self._by_position(positional, keywords), **keywords}
        out, force, tell = given.pop("out", self.out), given.pop("force", False), given.pop("tell", None)
        settings: dict[str, Any] = {name: given.pop(name) for name in list(given) if name in self.machine_options()}
        machine = Machine(Resources.read(settings, label=_label, where=f"frbias.{self.name}()"))
        if tell is not None:
            machine = Machine(machine.resources, machine.progress, tell)
        request = self._request(given)
        more = {"force": force} if self.forced else {}
        return _load(self.run)(request, None if out is None else Path(out).expanduser(), machine=machine, **more)

    def signature(self) -> inspect.Signature:
        """What an editor or ``help()`` shows."""
        return inspect.Signature(list(self._parameters()))

    def _by_position(self, positional: Sequence[Any], keywords: Mapping[str, Any]) -> dict[str, Any]:
        names = [*self.first, "out"]
        if len(positional) > len(names):
            raise TypeError(f"{self.name}() takes {', '.join(names)} by position, and the rest as keywords")
        found = dict(zip(names, positional, strict=False))
        if twice := next((name for name in found if name in keywords), None):
            raise TypeError(f"{self.name}() got {twice!r} twice")
        return found

    def _request(self, given: dict[str, Any]) -> Request:
        chosen = next((v for v in given.values() if isinstance(v, Request)), None)
        if chosen is not None:
            if len(given) > 1 or not isinstance(chosen, tuple(self.requests.values())):
                raise UsageError(f"frbias.{self.name}() takes a request alone, or keywords.")
            return chosen
        kind = self.requests[self.usual]
        if self.usual:
            name = str(given.pop(CHOOSER, self.usual))
            if name not in self.requests:
                known = ", ".join(self.requests)
                raise UsageError(
                    f"{CHOOSER} {name!r} is unknown; use {known}{suggestion(name, self.requests, end='.')}"
                )
            kind = self.requests[name]
        return kind.read({k: _plain(v) for k, v in given.items()}, label=_label, where=f"frbias.{self.name}()")

    def _parameters(self) -> Iterator[inspect.Parameter]:
        options = self.options()
        either, only = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY
        for name in self.first:
            yield self._parameter(name, options[name], either)
        yield inspect.Parameter("out", either, default=self.out, annotation="str | Path | None")
        if self.usual:
            yield inspect.Parameter(CHOOSER, only, default=self.usual, annotation=str)
        for name, given in options.items():
            if name not in self.first:
                yield self._parameter(name, given, only)
        resources = {f.name: f for f in option_fields(Resources)}
        for name in self.machine_options():
            yield inspect.Parameter(name, only, default=resources[name].default, annotation=resources[name].type)
        if self.forced:
            yield inspect.Parameter("force", only, default=False, annotation=bool)
        yield inspect.Parameter("tell", only, default=None, annotation="Callable[[str], None] | None")

    def _parameter(self, name: str, given: Field[Any], kind: Any) -> inspect.Parameter:
        owner = next(r for r in self.requests.values() if given in option_fields(r))
        default = inspect.Parameter.empty if given.default is MISSING else given.default
        if told := owner.shown_defaults().get(given.name):
            default = _Decided(told)
        return inspect.Parameter(name, kind, default=default, annotation=option_types(owner)[given.name])  # type: ignore[arg-type]


class _Decided(str):
    """What a signature shows where another option decides: words, not a value."""

    __repr__ = str.__str__


def function_of(verb: Verb) -> Callable[..., Any]:
    """The function of a stage, with its signature and documentation."""

    def stage(*positional: Any, **keywords: Any) -> Any:
        return verb.call(positional, keywords)

    stage.__name__ = stage.__qualname__ = verb.name
    stage.__module__ = "frbias"
    stage.__signature__ = verb.signature()  # type: ignore[attr-defined]
    described = {name: facts_of(given).help for name, given in verb.options().items()}
    listed = "\n".join(f"    {name}: {text}" for name, text in described.items())
    stage.__doc__ = f"{inspect.cleandoc(verb.doc)}\n\nArgs:\n{listed}\n"
    return stage


def _label(name: str) -> str:
    return name.replace("-", "_")


def _plain(value: Any) -> Any:
    """Values as people give them in Python, as a request reads them."""
    if isinstance(value, list | tuple | range):
        return [_plain(v) for v in value]
    return str(value) if isinstance(value, Path) else value


def _load(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)


_STAGES = "frbias.core.stages"
VERBS: dict[str, Verb] = {
    verb.name: verb
    for verb in (
        Verb(
            "generate",
            {name: backend.request for name, backend in BACKENDS.items()},
            "frbias.synth.generate:generate",
            "frbias.core.data.imagesets:ImageSetResult",
            """Make synthetic faces of known identity and age into the image set ``out``.

            >>> made = frbias.generate("people", subjects=3, ages=[5, 40], variants=1, size=64, workers=1)
            >>> made.images, made.subjects
            (6, 3)
            """,
            out="generated",
            usual="mesh",
        ),
        Verb(
            "align",
            {"": AlignRequest},
            f"{_STAGES}.align:align",
            f"{_STAGES}.align_result:AlignResult",
            """Find the faces of an image set and bring them to a template, into the image set ``out``.

            >>> made = frbias.generate("portraits", subjects=2, ages=[30], variants=1, workers=1)
            >>> frbias.align("portraits", "aligned", workers=1).images
            2
            """,
            first=("data",),
            out="aligned",
        ),
        Verb(
            "finetune",
            {"": FinetuneRequest},
            f"{_STAGES}.finetune:finetune",
            f"{_STAGES}.finetune:FinetuneResult",
            """Fine-tune a recogniser on aligned faces, with chosen stages frozen, into the run folder ``out``.

            >>> made = frbias.generate("trainees", subjects=8, ages=[5, 40], variants=1, size=112, workers=1)
            >>> options = {"frozen": "1,2,3,4", "epochs": 1, "batch_size": 6, "device": "cpu"}
            >>> run = frbias.finetune("trainees", "runs/first", **options)
            >>> run.epochs
            1
            """,
            first=("data",),
            out="runs/finetune",
        ),
        Verb(
            "adapt",
            {"": AdaptRequest},
            f"{_STAGES}.adapt:adapt",
            f"{_STAGES}.adapt:Adapted",
            """Learn what tells no people apart and take it out of a recogniser's embeddings, into the folder ``out``.

            >>> made = frbias.generate("grown-up", subjects=6, ages=[5, 40], variants=1, size=112, workers=1)
            >>> frbias.adapt("grown-up", "adapted", remove="common", damage="none", device="cpu").people
            6
            """,
            first=("data",),
            out="adapted",
        ),
        Verb(
            "embed",
            {"": EmbedRequest},
            f"{_STAGES}.embed:embed",
            f"{_STAGES}.embed:EmbeddingResult",
            """Turn aligned faces into embeddings, into the folder ``out``.

            >>> made = frbias.generate("grown", subjects=2, ages=[30], variants=1, workers=1)
            >>> faces = frbias.align("grown", "grown-aligned", workers=1)
            >>> done = frbias.embed("grown-aligned", "embeddings", weights="sface", device="cpu")
            >>> done.images, done.dimension
            (2, 128)
            """,
            first=("data",),
            out="embeddings",
        ),
        Verb(
            "evaluate",
            {"": EvaluateRequest},
            f"{_STAGES}.evaluate:evaluate",
            f"{_STAGES}.outcomes:Measured",
            """Measure how equally a recogniser works over groups.

            >>> with open("scores.csv", "w") as file:
            ...     count = file.write("score,mated\\n" + "".join(f"{k % 7 + 5 * (k % 2)},{k % 2}\\n" for k in range(200)))
            >>> result = frbias.evaluate(scores="scores.csv", at_fmr=0.1, bootstrap=0, figures=False)
            >>> result.evaluation.at(0.1).target
            0.1
            """,
            first=("data",),
        ),
        Verb(
            "compare",
            {"": CompareRequest},
            f"{_STAGES}.compare:compare",
            f"{_STAGES}.outcomes:Measured",
            """Compare recognisers with the first of them, paired, on the same images.

            >>> made = frbias.generate("others", subjects=6, ages=[5, 40], variants=2, size=112, workers=1)
            >>> plain = frbias.embed("others", "plain", device="cpu")
            >>> mirrored = frbias.embed("others", "mirrored", flip="add", device="cpu")
            >>> options = {"groups": "0-19,20+", "at_fmr": 0.1, "bootstrap": 0, "figures": False}
            >>> result = frbias.compare(["plain", "mirrored"], name=["as it is", "with mirror"], **options)
            >>> result.document["other"]["name"]
            'with mirror'
            """,
            first=("models",),
        ),
        Verb(
            "audit",
            {"": AuditRequest},
            f"{_STAGES}.audit:audit",
            f"{_STAGES}.audit:AuditResult",
            """Find copies, swapped people, impossible ages and images without a face in an image set.

            >>> made = frbias.generate("doubtful", subjects=6, ages=[5, 40], variants=1, size=112, workers=1)
            >>> found = frbias.audit("doubtful", "audited", apparent_ages=False, bootstrap=100, device="cpu")
            >>> found.document["images"]
            12
            """,
            first=("data",),
            out="audit",
        ),
        Verb(
            "export",
            {"": ExportRequest},
            f"{_STAGES}.export:export",
            f"{_STAGES}.export:Exported",
            """Write a recogniser in the forms that other tools load: ONNX, safetensors, an insightface pack.

            >>> frbias.export("sface", "exported", onnx=False, pack=False).files
            ['README.md', 'backbone.safetensors']
            """,
            first=("run",),
        ),
        Verb(
            "report",
            {"": ReportRequest},
            f"{_STAGES}.report:report",
            f"{_STAGES}.report:Reported",
            """Write the self-contained page about an evaluation or a comparison.

            >>> with open("s.csv", "w") as file:
            ...     count = file.write("score,mated\\n" + "".join(f"{k % 7 + 5 * (k % 2)},{k % 2}\\n" for k in range(200)))
            >>> result = frbias.evaluate(scores="s.csv", out="ev", at_fmr=0.1, bootstrap=0, figures=False)
            >>> frbias.report("ev").page.name
            'report.html'
            """,
            first=("evaluation",),
            forced=False,
        ),
    )
}
