"""Several experiments in one file: lists in its sections, or a section given several times, make a grid of cells.

::

    seeds = [0, 1, 2]            # of faces to train on and of fine-tuning, where they have no seed of their own
    seed = 0                     # of everything else: the test set and the bootstrap draws stay the same

    [[train]]                    # a section given several times: each is one choice
    label = "mesh"               # what to call it in tables; left out: its backend or data
    backend = "mesh"
    subjects = 80

    [[train]]
    backend = "eg3d"

    [test]
    data = ["fgnet", "agedb"]    # a list where one value belongs: each is one choice

    [finetune]
    lr = [0.01, 0.003]
    frozen = [[1, 2, 3], [1, 2]] # an option that takes a list: a list of lists, or of texts with commas

Figures of a grid's comparisons are drawn only when ``[evaluate]`` says ``figures = true``.

A cell is one choice of everything, with one seed; cells that differ in the seed alone are runs of one setting. Each cell
is an :class:`~frbias.experiment.plan.ExperimentPlan`, so options, defaults and checks are those of a single experiment.
"""

import itertools
import math
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Union, get_args, get_origin

from frbias.core.foundation.errors import BadInputError, UsageError
from frbias.core.foundation.requests import Request, option_fields, option_name, option_types
from frbias.core.stages.requests.align import AlignOptions
from frbias.core.stages.requests.compare import CompareRequest
from frbias.core.stages.requests.finetune import FinetuneRequest
from frbias.experiment.plan import ExperimentPlan, make_plan, read_document
from frbias.experiment.protocols import SECTIONS as PROTOCOLS
from frbias.synth.backends import backend_named

SEEDS, LABEL = "seeds", "label"
_KINDS: dict[str, type[Request]] = {"align": AlignOptions, "finetune": FinetuneRequest, "evaluate": CompareRequest}
_SECTIONS = ("train", "test", *_KINDS)
_MOST_CELLS = 10_000


@dataclass(frozen=True)
class Cell:
    """One choice of everything.

    Attributes:
        choices: What distinguishes its setting from others: ``section.option`` -> value as written.
        seed: Seed of this run; None when the file has no ``seeds``.
        plan: The experiment.
    """

    choices: dict[str, str]
    seed: int | None
    plan: ExperimentPlan

    @property
    def setting(self) -> str:
        """Name of the setting: its choices, without the seed."""
        short = [name.rpartition(".")[2] for name in self.choices]
        clear = len(set(short)) == len(short)
        named = zip(short if clear else self.choices, self.choices.values(), strict=True)
        return ", ".join(f"{name}={value}" for name, value in named) or "all"

    @property
    def name(self) -> str:
        """Name of the cell."""
        return self.setting if self.seed is None else f"{self.setting}, seed={self.seed}"


@dataclass(frozen=True)
class Grid:
    """The cells of an experiment file.

    Attributes:
        name: Title.
        cells: In the order of the file, seeds last.
    """

    name: str
    cells: tuple[Cell, ...]

    @property
    def single(self) -> bool:
        """Whether it is one plain experiment, with a report of its own."""
        return len(self.cells) == 1 and not self.cells[0].choices and self.cells[0].seed is None

    def settings(self) -> dict[str, list[Cell]]:
        """The cells of every setting, in order."""
        found: dict[str, list[Cell]] = {}
        for cell in self.cells:
            found.setdefault(cell.setting, []).append(cell)
        return found


def read_grid(path: Path) -> Grid:
    """Read an experiment file, a grid or not.

    Raises:
        BadInputError: It cannot be read; or says everything that is wrong with it.
    """
    return make_grid(read_document(path), str(path))


def make_grid(document: Mapping[str, object], where: str = "the experiment") -> Grid:
    """The grid of an experiment file's content.

    Raises:
        BadInputError: Says everything that is wrong with it.

    Example:
        >>> mesh = {"backend": "mesh", "subjects": 5}
        >>> document = {"train": mesh, "test": {**mesh, "first_subject": 5}, "finetune": {"lr": [0.1, 0.01]}}
        >>> [cell.name for cell in make_grid({**document, "seeds": [7, 8]}).cells]
        ['lr=0.1, seed=7', 'lr=0.1, seed=8', 'lr=0.01, seed=7', 'lr=0.01, seed=8']
    """
    problems: list[str] = []
    seeds = _seeds(document, problems)
    sections = [_section(name, document[name], problems) for name in document if name in _SECTIONS]
    general = {k: v for k, v in document.items() if k not in (SEEDS, *_SECTIONS)}
    if (count := math.prod(map(len, sections)) * len(seeds)) > _MOST_CELLS:
        raise BadInputError(f"{where} makes {count:,} cells; {_MOST_CELLS:,} are the most.")
    if count > 1:
        problems += [
            f"[{name}] is not judged in a grid; ask for it in a file without lists."
            for name in document
            if name in PROTOCOLS
        ]
    cells: list[Cell] = []
    for combination in itertools.product(*sections):
        for seed in seeds:
            choices = {name: value for section in combination for name, value in section.choices.items()}
            body = {section.name: section.seeded(seed) for section in combination}
            if seed is not None:
                body.setdefault("finetune", {"seed": seed})
            if count > 1 and isinstance(body.setdefault("evaluate", {}), Mapping):
                body["evaluate"] = {"figures": False, **body["evaluate"]}
            try:
                cells.append(Cell(choices, seed, make_plan({**general, **body}, "")))
            except BadInputError as error:
                problems += _problems_of(error.message)
    if problems:
        _refuse(problems, where)
    return Grid(cells[0].plan.name, tuple(cells))


@dataclass(frozen=True)
class _Section:
    """One choice of a section; ``content`` is what :func:`make_plan` reads, or refuses."""

    name: str
    choices: dict[str, str]
    content: Any

    def seeded(self, seed: int | None) -> Any:
        """The content with the seed of the run, where it has none of its own."""
        takes = isinstance(self.content, Mapping) and (
            self.name == "finetune" or (self.name == "train" and "backend" in self.content)
        )
        return {"seed": seed, **self.content} if takes and seed is not None else self.content


def _seeds(document: Mapping[str, object], problems: list[str]) -> list[int | None]:
    if SEEDS not in document:
        return [None]
    given = document[SEEDS]
    if not isinstance(given, list) or not given or not all(type(v) is int and 0 <= v < 2**63 for v in given):
        problems.append("seeds is no list of whole numbers from 0, such as [0, 1, 2].")
        return [None]
    if len(set(given)) < len(given):
        problems.append("seeds names a seed twice.")
    return list(given)


def _section(name: str, given: object, problems: list[str]) -> list[_Section]:
    """The choices of one section."""
    if isinstance(given, Mapping):
        return list(_expanded(name, given, problems, {}))
    if not isinstance(given, list) or not given or not all(isinstance(part, Mapping) for part in given):
        return [_Section(name, {}, given)]
    labels = [_label(part, k) for k, part in enumerate(given)]
    labels = [f"{label} ({k + 1})" if labels.count(label) > 1 else label for k, label in enumerate(labels)]
    return [
        choice
        for part, label in zip(given, labels, strict=True)
        for choice in _expanded(name, part, problems, {name: label} if len(given) > 1 else {})
    ]


def _label(part: Mapping[str, object], position: int) -> str:
    for key in (LABEL, "backend", "data", "recipe", "protocol"):
        if isinstance(part.get(key), str):
            return str(part[key])
    return str(position + 1)


def _expanded(
    section: str, given: Mapping[str, object], problems: list[str], named: dict[str, str]
) -> Iterator[_Section]:
    """Every choice that the lists of one table make."""
    values = {str(key): value for key, value in given.items() if key != LABEL}
    kinds = _kinds(section, values)
    axes: list[list[tuple[dict[str, str], str, Any]]] = []
    for key, value in values.items():
        if isinstance(value, list) and value and _is_axis(key, value, kinds):
            shown = [_shown(one) for one in value]
            if twice := next((text for text in shown if shown.count(text) > 1), None):
                problems.append(f"[{section}] {key} names {twice} twice.")
            titles = [{f"{section}.{key.replace('_', '-')}": text} if len(value) > 1 else {} for text in shown]
            axes.append([(title, key, one) for title, one in zip(titles, value, strict=True)])
    for combination in itertools.product(*axes):
        choices = {name: text for names, _, _ in combination for name, text in names.items()}
        yield _Section(section, {**named, **choices}, {**values, **{key: one for _, key, one in combination}})


def _kinds(section: str, values: Mapping[str, Any]) -> list[type[Request]]:
    """The requests that a section can make."""
    if section in _KINDS:
        return [_KINDS[section]]
    named = values.get("backend")
    found: list[type[Request]] = []
    for name in named if isinstance(named, list) else [named]:
        try:
            found.append(backend_named(str(name)).request)
        except UsageError:  # said when the cell is made
            continue
    return found


def _is_axis(key: str, value: list[Any], kinds: list[type[Request]]) -> bool:
    """Whether a list holds several values of an option, rather than one value that is a list."""
    fields = [(k, f) for k in kinds for f in option_fields(k) if option_name(f) == key.replace("_", "-")]
    types_of = [option_types(kind)[given.name] for kind, given in fields]  # type: ignore[arg-type]
    if not any(map(_takes_list, types_of)):
        return True
    return any(isinstance(one, list) or (isinstance(one, str) and "," in one) for one in value)


def _takes_list(kind: Any) -> bool:
    arms = get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)
    return any(get_origin(arm) is tuple for arm in arms)


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(_shown(one) for one in value) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _problems_of(message: str) -> list[str]:
    """The sentences of an error of :func:`frbias.experiment.plan.make_plan` that was given no place."""
    if "\n  " in message:
        return message.split("\n  ")[1:]
    return [message.removeprefix(": ")]


def _refuse(problems: list[str], where: str) -> None:
    listed = list(dict.fromkeys(problems))
    if len(listed) == 1:
        raise BadInputError(f"{where}: {listed[0]}")
    raise BadInputError(f"{len(listed)} things are wrong with {where}:\n  " + "\n  ".join(listed))
