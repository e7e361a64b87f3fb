"""The adapt stage: a map of a recogniser's embeddings, learned in seconds from images of known people."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from frbias.core.data.datasets.resolving import resolve_data
from frbias.core.data.samples import SampleTable
from frbias.core.foundation.devices import World, choose_device, describe_device
from frbias.core.foundation.errors import BadInputError, FrbiasError
from frbias.core.foundation.group import led
from frbias.core.foundation.machine import LOCAL, Machine
from frbias.core.foundation.plans import Plan, step_of
from frbias.core.foundation.provenance import Work, claim_work
from frbias.core.foundation.words import counted
from frbias.core.recognisers.adapted import write_adapted
from frbias.core.recognisers.base import Recogniser
from frbias.core.recognisers.loading import load_recogniser
from frbias.core.recognisers.maps import EmbeddingMap, Matrix, unit
from frbias.core.stages.align import hash_of_images, photographs_of
from frbias.core.stages.guards import GuardPhotographs, guard_lists, guard_photographs
from frbias.core.stages.requests.adapt import AdaptRequest
from frbias.core.stages.shared import embeddings_of, faces_for
from frbias.core.training.adaptation import LabelledUnits, fitted_map, pooled
from frbias.core.training.damage import SeesDamaged
from frbias.core.training.guarding import STEPS_BACK, Guard, GuardReading, said
from frbias.core.training.nuisance import labelled_units, nuisance_directions

STAGE, VERSION = "adapt", 4


@dataclass(frozen=True)
class Adapted:
    """What an adaptation left.

    Attributes:
        out: The folder; give it to ``load_recogniser``.
        made_of: What was taken out or normalised, in words, in order.
        left_out: Directions that could not be had, a sentence each.
        strength: Of the map: 1 as learned, less where a guard asked for it.
        guarded: What became of the guards, a sentence each; or that there was none.
        images: Images it was learned from.
        people: People it was learned from.
        dimension: Numbers in an adapted embedding.
        reused: True when the same work had been finished before.
    """

    out: Path
    made_of: tuple[str, ...]
    left_out: tuple[str, ...]
    strength: float
    guarded: tuple[str, ...]
    images: int
    people: int
    dimension: int
    reused: bool


@led
def adapt(request: AdaptRequest, out: Path, *, machine: Machine = LOCAL, force: bool = False) -> Adapted:
    """Adapt a recogniser into the folder ``out``; the call behind ``frbias adapt``.

    Args:
        request: What to learn from, and what to take out.
        out: Output folder.
        machine: What may be used.
        force: Replace an earlier result in ``out``.

    Raises:
        UsageError: ``out`` holds something else, or the device is not there.
        BadInputError: The images do not show what is to be learned, or cannot be used.
        AssetMissingError: An image set or the recogniser is not installed.
    """
    choose_device(machine.resources.device)
    sources = _sources(request, machine)
    work = sources.work(request)
    folder = claim_work(out, work, force=force)
    if not folder.finished:
        try:
            learned = _learn(request, sources, out, machine)
            if sources.work(request).inputs != work.inputs:
                raise BadInputError("Files vanished or changed meanwhile; put them back and run the command again.")
            folder.finish(learned)
        except FrbiasError:
            folder.abandon()
            raise
    return _result(out, folder.results(), reused=folder.finished)


def plan_adapt(request: AdaptRequest, out: Path, *, machine: Machine = LOCAL) -> Plan:
    """What :func:`adapt` would do; raises as it does before it learns."""
    device = describe_device(choose_device(machine.resources.device))
    sources = _sources(request, machine)
    images = sum(len(table) for table in sources.tables)
    what = f"Learn a map of {sources.recogniser.name}'s embeddings from {counted(images, 'image')}"
    return Plan((step_of(what, sources.work(request), out),), device)


@dataclass(frozen=True, eq=False)
class _Sources:
    recogniser: Recogniser
    tables: list[SampleTable]
    photos: SampleTable | None
    guards: list[GuardPhotographs]

    def work(self, request: AdaptRequest) -> Work:
        """What the result depends on."""
        inputs: dict[str, Any] = {
            "weights": self.recogniser.sha256,
            "data": [hash_of_images(table) for table in self.tables],
            "guard": [hash_of_images(one.table) for one in self.guards],
            "photos": None if self.photos is None else hash_of_images(self.photos),
        }
        inputs |= {"guard-pairs": guard_lists(request)} if request.guard_pairs else {}
        return Work(STAGE, VERSION, request.identity(), inputs)


def _sources(request: AdaptRequest, machine: Machine) -> _Sources:
    recogniser = load_recogniser(request.weights, progress=machine.progress)
    tables = [resolve_data(name) for name in request.data]
    photos = None if request.photos is None else photographs_of(request.photos, machine.progress)[0]
    return _Sources(recogniser, tables, photos, guard_photographs(request, machine.progress))


def _learn(request: AdaptRequest, sources: _Sources, out: Path, machine: Machine) -> dict[str, Any]:
    recogniser, tables, photos = sources.recogniser, sources.tables, sources.photos
    sets = [
        _labelled(request, recogniser, table, Path(name).name or name, machine)
        for table, name in zip(tables, request.data, strict=True)
    ]
    plain = None if photos is None else _units(recogniser, photos, machine)
    found = nuisance_directions(request, sets, recogniser, plain)
    learned = fitted_map(
        found.vectors,
        sets,
        normalise=request.normalise,
        shrinkage=request.shrinkage,
        dimensions=request.dimensions,
    )
    made_of = [direction.name for direction in found.directions]
    if request.normalise != "none":
        made_of.append(f"{request.normalise}, shrinkage {request.shrinkage:g}")
    strength, learned, readings = _held_back(request, sources, learned, machine)
    made_of += [] if strength == 1 else [f"all at {strength:.0%} of their strength, for the guard"]
    write_adapted(out, request.weights, recogniser, learned, made_of)
    return {
        "made_of": made_of,
        "left_out": list(found.left_out),
        "strength": strength,
        "guard": [reading.to_json() for reading in readings],
        "guarded": said(readings),
        "images": sum(len(one.units) for one in sets) // (2 if request.damage == "both" else 1),
        "people": sum(len(set(one.people.tolist())) for one in sets),
        "dimension": int(learned.matrix.shape[0]),
        "map_sha256": learned.sha256,
    }


def _held_back(
    request: AdaptRequest, sources: _Sources, learned: EmbeddingMap, machine: Machine
) -> tuple[float, EmbeddingMap, tuple[GuardReading, ...]]:
    """The strongest form of the map at which the guards hold.

    Raises:
        BadInputError: There is none but leaving the embeddings as they are.
    """
    if not sources.guards:
        return 1.0, learned, ()
    sets, plain = [], []
    for one in sources.guards:
        faces = one.faces(sources.recogniser.input_size, machine, World()).table
        found = embeddings_of(faces, sources.recogniser, machine, World())
        plain.append(found.matrix)
        sets.append(one.seen(found.frame, found.matrix))
    guard = Guard(tuple(sets), request.guard_fall, request.guard_drift, request.guard_fmr)
    readings: tuple[GuardReading, ...] = ()
    for strength in STEPS_BACK[:-1]:
        weaker = learned.weakened(strength)
        if weaker is None:
            break
        readings = guard.readings([weaker.apply(matrix) for matrix in plain])
        if not any(reading.broken for reading in readings):
            return strength, weaker, readings
    raise BadInputError(
        f"The map makes the guard worse at any strength ({'; '.join(r.sentence() for r in readings)}); learn from other "
        "images, take out less (--remove), or allow more (--guard-fall, --guard-drift)."
    )


def _labelled(
    request: AdaptRequest, recogniser: Recogniser, table: SampleTable, name: str, machine: Machine
) -> LabelledUnits:
    faces = faces_for(table, recogniser.input_size, machine, World())
    shown: list[Recogniser] = []
    if request.damage != "strong":
        shown.append(recogniser)
    if request.damage != "none":
        shown.append(SeesDamaged(recogniser, request.seed))
    return pooled([labelled_units(embeddings_of(faces, one, machine, World()), name) for one in shown])


def _units(recogniser: Recogniser, table: SampleTable, machine: Machine) -> Matrix:
    faces = faces_for(table, recogniser.input_size, machine, World())
    return unit(embeddings_of(faces, recogniser, machine, World()).matrix)


def _result(out: Path, results: dict[str, Any], *, reused: bool) -> Adapted:
    return Adapted(
        out=out,
        made_of=tuple(results["made_of"]),
        left_out=tuple(results["left_out"]),
        strength=results["strength"],
        guarded=tuple(results["guarded"]),
        images=results["images"],
        people=results["people"],
        dimension=results["dimension"],
        reused=reused,
    )
