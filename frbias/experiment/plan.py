"""The description of an experiment: a TOML file whose sections are the requests of the stages.

::

    name = "demo"
    seed = 0                     # of every stage that does not say otherwise

    [train]                      # image set to fine-tune on
    backend = "mesh"             # generate it: the options of frbias generate follow ...
    subjects = 80
    ages = [5, 12, 25, 40, 65]

    [test]                       # image set to evaluate on, other people
    data = "fgnet"               # ... or name one that is there

    [align]                      # options of frbias align
    detector = "yunet"

    [finetune]                   # options of frbias finetune
    weights = "sface"
    frozen = "1,2,3"

    [evaluate]                   # options of frbias compare
    at-fmr = [0.1, 0.01, 0.001]

    [identify]                   # and, if wanted, published protocols: [pairs], [identify]

Keys are the names of the options, with dashes or underscores; everything that is wrong with a file is said at once.
``eval-data = "test"`` in ``[finetune]`` means the experiment's own test set. Lists make a grid of experiments: see
:mod:`frbias.experiment.grid`.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from frbias.core.foundation.errors import BadInputError, UsageError, reason_of
from frbias.core.foundation.files import os_error_sentence
from frbias.core.foundation.requests import Request, attempt, option, suggestion
from frbias.core.stages.requests.align import AlignOptions
from frbias.core.stages.requests.compare import CompareRequest
from frbias.core.stages.requests.finetune import FinetuneRequest
from frbias.core.stages.requests.protocols import PairsRequest, is_bin
from frbias.experiment.protocols import OF_TEST, ProtocolRequest
from frbias.experiment.protocols import SECTIONS as PROTOCOLS
from frbias.synth.backends import backend_named
from frbias.synth.requests import GenerateRequest, Population

_SECTIONS = ("train", "test", "align", "finetune", "evaluate", *PROTOCOLS)
_FROM_ELSEWHERE = {
    "finetune": ("data",),
    "evaluate": ("models", "data", "name"),
    **dict.fromkeys(PROTOCOLS, ("weights", "embeddings", "name")),
}
_MODELS = ("baseline", "finetuned")
_LARGEST = 1_000_000
R = TypeVar("R", bound=Request)


@dataclass(frozen=True, kw_only=True)
class ExperimentOptions(Request):
    """What an experiment says outside of its sections.

    Attributes:
        name: Title of the report.
        seed: Seed of every stage that has none of its own.
    """

    title = "the experiment"
    name: str = option("experiment", help="Title of the report.")
    seed: int = option(0, help="Seed of every stage that has none of its own.", low=0)


@dataclass(frozen=True)
class SetPlan:
    """An image set: asked of a generator, or found by name.

    Attributes:
        generated: What to generate; None when ``data`` is given.
        data: Folder or registered name of an existing set, or empty.
    """

    generated: GenerateRequest | None = None
    data: str = ""

    def population(self) -> Population | None:
        """Who is in it, as far as the plan tells."""
        return self.generated.population() if self.generated else Population(f"data {self.data}")


@dataclass(frozen=True)
class ExperimentPlan:
    """Everything an experiment depends on.

    Attributes:
        name: Title of the report.
        train: Image set to fine-tune on.
        test: Image set to evaluate on; its people are not in ``train``.
        align: How both are aligned, unless they are.
        finetune: How the recogniser is fine-tuned; its ``weights`` are the baseline.
        evaluate: What is measured, of the recogniser before and after.
        protocols: Published protocols that judge both, by the names of their sections.
    """

    name: str
    train: SetPlan
    test: SetPlan
    align: AlignOptions
    finetune: FinetuneRequest
    evaluate: CompareRequest
    protocols: Mapping[str, ProtocolRequest] = field(default_factory=dict)


def read_plan(path: Path) -> ExperimentPlan:
    """Read the file of a single experiment.

    Raises:
        BadInputError: It cannot be read; or says everything that is wrong with it.
    """
    return make_plan(read_document(path), str(path))


def read_document(path: Path) -> dict[str, object]:
    """The content of an experiment file, whatever it says.

    Raises:
        BadInputError: It cannot be read.
    """
    path = Path(path).expanduser()
    try:
        if path.stat().st_size > _LARGEST:
            raise BadInputError(f"{path} is too large to be an experiment.")
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except RecursionError:
        raise BadInputError(f"{path} cannot be read as an experiment: its values are nested too deeply.") from None
    except OSError as error:
        raise BadInputError(os_error_sentence(error)) from error
    except ValueError as error:
        raise BadInputError(f"{path} cannot be read as an experiment: {reason_of(error)}") from error


def make_plan(document: Mapping[str, object], where: str = "the experiment") -> ExperimentPlan:
    """Build a plan from the content of an experiment file.

    Raises:
        BadInputError: Says everything that is wrong with it.
    """
    reader = _Reader(document)
    found = reader.plan()
    if len(reader.problems) == 1:
        raise BadInputError(f"{where}: {reader.problems[0]}")
    if found is None:
        listed = "\n  ".join(reader.problems)
        raise BadInputError(f"{len(reader.problems)} things are wrong with {where}:\n  {listed}")
    return found


@dataclass
class _Reader:
    """Reads the sections of a document and gathers what is wrong with them."""

    document: Mapping[str, object]
    problems: list[str] = field(default_factory=list)

    def plan(self) -> ExperimentPlan | None:
        """The plan, or None when there are problems."""
        for key, value in self.document.items():
            if key not in (*_SECTIONS, "name", "seed"):
                hint = suggestion(key, (*_SECTIONS, "name", "seed")) or f"; sections are {', '.join(_SECTIONS)}."
                self.problems.append(f"{key!r} is unknown{hint}")
            elif key in _SECTIONS and not isinstance(value, Mapping):
                self.problems.append(f"[{key}] is a single value, not a section with options.")
        general = {key: self.document[key] for key in ("name", "seed") if key in self.document}
        options, wrong = attempt(ExperimentOptions, general, label=str)
        self.problems += wrong
        self.seed = 0 if options is None else options.seed
        train, test = self._set("train"), self._set("test")
        align = self._request("align", AlignOptions, {})
        finetune = self._request("finetune", FinetuneRequest, {"seed": self.seed})
        evaluate = self._request("evaluate", CompareRequest, {"seed": self.seed, "models": list(_MODELS)})
        protocols = {name: self._protocol(name) for name in PROTOCOLS if name in self.document}
        if train and test:
            self._check_people(train, test)
        if self.problems or not (options and train and test and align and finetune and evaluate):
            return None
        judged = {name: request for name, request in protocols.items() if request is not None}
        return ExperimentPlan(options.name, train, test, align, finetune, evaluate, judged)

    def _section(self, name: str) -> Mapping[str, object]:
        found = self.document.get(name, {})
        return {str(k): v for k, v in found.items()} if isinstance(found, Mapping) else {}

    def _request(self, section: str, kind: type[R], given: Mapping[str, object]) -> R | None:
        values = dict(self._section(section))
        for key in _FROM_ELSEWHERE.get(section, ()):
            if values.pop(key, None) is not None:
                self.problems.append(f"[{section}] has no option {key!r}; the other sections say it.")
        return self._made(section, kind, {**given, **values})

    def _protocol(self, section: str) -> ProtocolRequest | None:
        values, kind = self._section(section), PROTOCOLS[section]
        given: dict[str, object] = {"seed": self.seed}
        packed = kind is PairsRequest and any(is_bin(text) for text in _texts(values.get("pairs")))
        if "data" not in values and not packed:
            given["embeddings"] = OF_TEST
        return self._request(section, kind, given)

    def _set(self, section: str) -> SetPlan | None:
        if section not in self.document:
            self.problems.append(f"the section [{section}] is missing.")
            return None
        if not isinstance(self.document[section], Mapping):
            return None
        values = dict(self._section(section))
        backend, data = values.pop("backend", None), values.pop("data", None)
        if (backend is None) == (data is None):
            self.problems.append(f"[{section}] needs either backend (to generate it) or data (to use what is there).")
            return None
        if data is not None:
            self.problems += [f"[{section}] {key!r} has no meaning beside data." for key in values]
            if not isinstance(data, str) or not data.strip():
                self.problems.append(f"[{section}] data is not the name of an image set.")
                return None
            return SetPlan(data=data)
        try:
            kind = backend_named(str(backend), f"[{section}] backend").request
        except UsageError as error:
            self.problems.append(error.message)
            return None
        made = self._made(section, kind, {"seed": self.seed, **values})
        return None if made is None else SetPlan(made)

    def _made(self, section: str, kind: type[R], values: Mapping[str, object]) -> R | None:
        found, wrong = attempt(kind, values, label=str, where=f"[{section}]")
        self.problems += [text if text.startswith(f"[{section}]") else f"[{section}] {text}" for text in wrong]
        return found

    def _check_people(self, train: SetPlan, test: SetPlan) -> None:
        one, two = train.population(), test.population()
        if one and two and one.shares_people_with(two):
            self.problems.append(
                f"train and test share people ({one.source}); choose other data, another first-subject or another seed "
                "for one of them."
            )


def _texts(value: object) -> list[str]:
    """The texts of an option that takes one or several."""
    found = value if isinstance(value, list) else [value]
    return [text for text in found if isinstance(text, str)]
