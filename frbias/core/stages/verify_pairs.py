"""The pairs of published protocols: lists or verification sets and a recogniser in, accuracy over folds and TAR at FAR out.

The folder holds ``pairs.json`` (accuracy, TAR at FAR, EER, d', all and per group), and what the evaluate stage writes of
the same comparisons at one threshold for all groups (``evaluation.json``, ``rates.csv``, figures).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from frbias.core.data.binsets import read_bin
from frbias.core.data.datasets.packed import unpack_pictures
from frbias.core.data.datasets.resolving import resolve_with_rejected
from frbias.core.data.embeddings import Embeddings
from frbias.core.data.pairfiles import read_pairs
from frbias.core.data.pairs import PairList, cacdvs_pairs, find_rows
from frbias.core.data.samples import make_table, read_samples, write_rejected, write_samples
from frbias.core.foundation.devices import World
from frbias.core.foundation.errors import BadInputError
from frbias.core.foundation.files import sha256_file
from frbias.core.foundation.group import process_group
from frbias.core.foundation.machine import LOCAL, Machine
from frbias.core.foundation.plans import Plan
from frbias.core.foundation.provenance import Work, claim_together
from frbias.core.stages.outcomes import Measured, Writing, write_outcome
from frbias.core.stages.pairing import Paired, pair_everything, pair_up
from frbias.core.stages.protocol_documents import ProtocolTask, plan_document, settle_document
from frbias.core.stages.requests.embed import EmbedOptions
from frbias.core.stages.requests.protocols import ALL_PAIRS, CACDVS, PairsRequest, is_bin
from frbias.core.stages.shared import shared_cache
from frbias.core.stages.sources import EmbeddingsFile, ImageSource, Source, embedded_set, file_safe
from frbias.core.stages.telling import told_of
from frbias.core.verification.assembling import EvaluationOptions, evaluate
from frbias.core.verification.pair_judging import judge_pairs
from frbias.core.verification.pair_results import PairOptions
from frbias.core.verification.results import Evaluation
from frbias.core.verification.scores.scoresets import comparisons_from_scores

STAGE, VERSION = "evaluate-pairs", 1
DOCUMENT, PICTURES = "pairs.json", "pictures"


def verify_pairs(
    request: PairsRequest, out: Path | None = None, *, machine: Machine = LOCAL, force: bool = False
) -> Measured:
    """Judge a recogniser by lists of pairs; the call behind ``frbias evaluate --pairs``.

    Args:
        request: Lists, pictures, and what to measure.
        out: Folder to write; default: ``evaluations/<lists>-<recogniser>-<key>``.
        machine: What may be used.
        force: Replace an earlier result in ``out``.

    Raises:
        UnsafePickleError: A ``.bin`` set asks for more than data.
        UsageError: ``out`` holds something else, or a group, fold or target makes no sense for the lists.
        BadInputError: A list cannot be read, or none of its pictures is there.
        AssetMissingError: The data set or the weights are not installed.
    """
    return settle_document(_task(request, machine), out, machine=machine, force=force)


def plan_pairs(request: PairsRequest, out: Path | None = None, *, machine: Machine = LOCAL) -> Plan:
    """What :func:`verify_pairs` would do; raises as it does. Verification sets are unpacked into the cache."""
    return plan_document(_task(request, machine), out, machine)


def _task(request: PairsRequest, machine: Machine) -> ProtocolTask:
    packed = {Path(text).stem: Path(text).expanduser() for text in request.pairs if is_bin(text)}
    if packed:
        lists = {name: read_bin(path).pairs(prefix=f"{name}/") for name, path in packed.items()}
        sources = _packed_sources(packed, request, machine)
    else:
        lists, source = _lists_and_source(request, machine)
        sources = {"": source}
    title = request.name or next(iter(sources.values())).name
    inputs = {"models": [source.identity() for source in sources.values()], "lists": _hashes(request)}
    work = Work(STAGE, VERSION, request.identity(), inputs, told_of(request, "evaluate", request.data))

    def make(world: World, folder: Path) -> dict[str, Any]:
        embeddings = _joined({name: source.load(machine, world) for name, source in sources.items()})
        if not world.leader:
            return {}
        everything = request.pairs == (ALL_PAIRS,)
        paired = pair_everything(embeddings, request) if everything else pair_up(lists, embeddings, request)
        return _judge(paired, embeddings, request, title, folder, machine)

    stems = [Path(text).stem for text in request.pairs[:3]]
    name = f"evaluations/{file_safe('-'.join([*stems, title]))}"
    return ProtocolTask(work, name, DOCUMENT, make, tuple(sources.values()), request.fail_if)


def _judge(
    paired: Paired, embeddings: Embeddings, request: PairsRequest, title: str, folder: Path, machine: Machine
) -> dict[str, Any]:
    machine.tell("judging pairs")
    scored = paired.scored(embeddings.matrix)
    options = PairOptions(request.at_fmr, request.thresholds, request.bootstrap, request.seed, request.confidence)
    judged = judge_pairs(scored, options)
    evaluation = _evaluation(paired, 1 - scored.distances / 2, request, title)
    write_outcome(folder, evaluation, Writing(False, 1, request.figures), tell=machine.tell)
    return {
        **judged.to_json(),
        "name": title,
        "lists": [Path(text).name for text in request.pairs],
        "pairs": {
            "listed": paired.listed,
            "judged": len(paired.mated),
            "missing_pictures": paired.missing_pictures,
            "groups_left_out": list(paired.left_out),
        },
        "folds": paired.fold_rule,
        "flip": request.flip,
        "provenance": embeddings.provenance,
    }


def _evaluation(paired: Paired, cosines: Any, request: PairsRequest, title: str) -> Evaluation:
    sides = paired.subjects or (None, None)
    comparisons, grouping = comparisons_from_scores(
        cosines, paired.mated, groups=paired.grouping, subject_ref=sides[0], subject_probe=sides[1]
    )
    settings = EvaluationOptions(
        targets=request.at_fmr,
        alpha=request.alpha,
        replicates=request.bootstrap,
        seed=request.seed,
        confidence=request.confidence,
    )
    provenance = {"kind": "pairs", "lists": [Path(text).name for text in request.pairs]}
    return evaluate(comparisons, grouping, settings, name=title, provenance=provenance)


def _lists_and_source(request: PairsRequest, machine: Machine) -> tuple[dict[str, PairList], Source]:
    """The lists by name, and the embeddings of their pictures (of no others, where they have to be made)."""
    if request.data is None:
        assert request.embeddings is not None
        file = EmbeddingsFile(request.embeddings.expanduser())
        return _lists(request, file.load(machine, World()).frame["file_name"].astype(str).tolist()), file
    table, refused = resolve_with_rejected(request.data)
    names = table.frame["file_name"].astype(str).tolist()
    lists = _lists(request, names)
    if lists:
        rows = np.unique([row for listed in lists.values() for row in find_rows(listed.files, names)])
        if rows[-1] < 0:
            first = next(iter(lists.values())).files[0]
            raise BadInputError(f"{request.data} holds none of the pictures of the list; there is no {first}.")
        table = table.select([int(row) for row in rows if row >= 0])
    images = ImageSource(request.data, table, tuple(refused) if not lists else ())
    return lists, _embedded(images, request, machine)


def _embedded(images: ImageSource, request: PairsRequest, machine: Machine) -> Source:
    options = EmbedOptions(flip=request.flip)
    return embedded_set(images, request.weights, request.input_format(), machine, options)


def _packed_sources(packed: Mapping[str, Path], request: PairsRequest, machine: Machine) -> dict[str, Source]:
    """Verification sets, their pictures unpacked into the cache once."""
    found: dict[str, Source] = {}
    for name, path in packed.items():
        work = Work("unpack", 1, {"form": "bin"}, {"file": sha256_file(path)})
        with process_group(World()) as barrier, shared_cache().using(PICTURES, work.key) as folder:
            claimed = claim_together(folder, work, World(), barrier)
            if not claimed.finished:
                unpacked = unpack_pictures(path, folder, progress=machine.progress)
                write_samples(make_table(folder, unpacked.rows))
                write_rejected(folder, unpacked.rejected)
                claimed.finish({"images": len(unpacked.rows), "rejected": len(unpacked.rejected)})
            images = ImageSource(name, read_samples(folder), ())
        found[name] = _embedded(images, request, machine)
    return found


def _lists(request: PairsRequest, names: list[str]) -> dict[str, PairList]:
    """The lists by name; that of CACD-VS is made of the names of the images, and ``all`` needs none."""
    found: dict[str, PairList] = {}
    for text in request.pairs:
        if text == ALL_PAIRS:
            return {}
        path = Path(text).expanduser()
        found[path.stem] = cacdvs_pairs(names, Path(CACDVS)) if text == CACDVS else read_pairs(path)
    return found


def _joined(loaded: Mapping[str, Embeddings]) -> Embeddings:
    """The embeddings of several sets as one, their names prefixed with the set's."""
    if list(loaded) == [""]:
        return loaded[""]
    frames = []
    for name, found in loaded.items():
        frame = found.frame.assign(file_name=[f"{name}/{file}" for file in found.frame["file_name"]])
        frames.append(frame.drop(columns=["source_file"], errors="ignore"))
    whole = pd.concat(frames, ignore_index=True)
    provenance = {"kind": "several", "sets": {name: found.provenance for name, found in loaded.items()}}
    return Embeddings(whole, np.concatenate([found.matrix for found in loaded.values()]), provenance)


def _hashes(request: PairsRequest) -> list[str]:
    """What decides besides the options: contents and names of the lists."""
    found = []
    for text in request.pairs:
        if text in (ALL_PAIRS, CACDVS):
            found.append(text)
        else:
            path = Path(text).expanduser()
            found.append(f"{path.name} {sha256_file(path)}")
    return found
