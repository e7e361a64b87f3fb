"""Renders in blocks of people, so that a set can grow, and maps learned from the first people of one.

A person does not depend on the others, so a set made in blocks is the one that ``frbias generate`` makes at once, and
``adapt`` learns from the embeddings of its images alone: each block is rendered, aligned and embedded once, however
many sets and recipes are made of it.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from frbias.core.data.embeddings import FILE_NAME, Embeddings, read_embeddings
from frbias.core.data.samples import SampleTable, read_samples, write_samples
from frbias.core.foundation.machine import Machine, Resources
from frbias.core.recognisers.base import Recogniser
from frbias.core.recognisers.maps import EmbeddingMap
from frbias.core.stages.embed import embed_table
from frbias.core.stages.requests.adapt import AdaptRequest
from frbias.core.training.adaptation import LabelledUnits, fitted_map, pooled
from frbias.core.training.damage import SeesDamaged
from frbias.core.training.nuisance import labelled_units, nuisance_directions

BLOCK = 50  # people


def frbias(*words: object) -> None:
    """Run ``frbias`` with these words."""
    subprocess.run([sys.executable, "-m", "frbias", *(str(word) for word in words)], check=True)


@dataclass(frozen=True)
class Renders:
    """Default renders, made as they are asked for.

    Attributes:
        work: Folder they are kept in.
        detector: How they are aligned, as for ``frbias align``.
        workers: Worker processes; 0: one per core.
    """

    work: Path
    detector: str = "yunet"
    workers: int = 0

    def blocks(self, seed: int, people: int) -> list[Path]:
        """Aligned blocks that hold at least the first ``people`` of a seed."""
        return [self._block(seed, first) for first in range(0, people, BLOCK)]

    def of(self, seed: int, people: int) -> Path:
        """The aligned set of the first ``people``."""
        folder = self.work / "sets" / f"{self.detector}-{people}-of-{seed}"
        return first_people(self.blocks(seed, people), folder, people)

    def _block(self, seed: int, first: int) -> Path:
        name, here = f"{seed}-{first:05d}", self.work / "renders"
        aligned = here / f"{name}-{self.detector}"
        if not (aligned / "metadata.csv").is_file():
            few = ("--workers", self.workers)
            who = ("--subjects", BLOCK, "--first-subject", first, "--seed", seed)
            frbias("generate", *who, "--out", here / name, *few)
            frbias("align", here / name, "--detector", self.detector, "--out", aligned, *few)
        return aligned

    def labelled(self, recogniser: Recogniser, tag: str, damage: str, seed: int, people: int) -> LabelledUnits:
        """Embeddings of the first ``people`` and of their damaged copies, as ``frbias adapt`` learns from them."""
        shown: dict[str, Recogniser] = {}
        if damage != "strong":
            shown["plain"] = recogniser
        if damage != "none":
            shown["damaged"] = SeesDamaged(recogniser, seed)
        views = []
        for how, one in shown.items():
            found = [self._embedded(block, one, f"{tag}-{how}") for block in self.blocks(seed, people)]
            views.append(labelled_units(first_rows(found, people), f"renders of {people}"))
        return pooled(views)

    def _embedded(self, block: Path, recogniser: Recogniser, tag: str) -> Embeddings:
        out = self.work / "embeddings" / f"{tag}-{block.name}"
        if not (out / FILE_NAME).is_file():
            embed_table(read_samples(block), recogniser, out, machine=Machine(Resources(workers=self.workers)))
        return read_embeddings(out / FILE_NAME)

    def learned(
        self, recogniser: Recogniser, tag: str, options: Mapping[str, Any], seed: int, people: int
    ) -> EmbeddingMap:
        """The map that ``frbias adapt`` with these options learns from the first ``people``."""
        request = AdaptRequest.read({**options, "data": ("renders",), "seed": seed})
        sets = [self.labelled(recogniser, tag, request.damage, seed, people)]
        return learned_from(request, sets, recogniser)


def learned_from(request: AdaptRequest, sets: Sequence[LabelledUnits], recogniser: Recogniser) -> EmbeddingMap:
    """What ``frbias adapt`` makes of embeddings, without a guard."""
    return fitted_map(
        nuisance_directions(request, sets, recogniser).vectors,
        sets,
        normalise=request.normalise,
        shrinkage=request.shrinkage,
        dimensions=request.dimensions,
    )


def _people(subjects: Sequence[str], people: int) -> Callable[[str], bool]:
    taken = set(sorted(set(subjects))[:people])
    return taken.__contains__


def first_rows(parts: Sequence[Embeddings], people: int) -> Embeddings:
    """The embeddings of the first ``people`` of several files, one below the other."""
    frame = pd.concat([part.frame for part in parts], ignore_index=True)
    rows = frame["subject"].astype(str).map(_people(frame["subject"].astype(str).tolist(), people)).to_numpy(bool)
    matrix = np.concatenate([part.matrix for part in parts])
    return replace(parts[0], frame=frame[rows].reset_index(drop=True), matrix=matrix[rows])


def first_people(parts: Sequence[Path], out: Path, people: int) -> Path:
    """The set of the first ``people`` of several aligned sets, made once; images are linked."""
    if not (out / "metadata.csv").is_file():
        tables = [read_samples(part) for part in parts]
        known = _people([subject for table in tables for subject in table.subjects], people)
        frames = []
        for table in tables:
            chosen = table.select([row for row, subject in enumerate(table.subjects) if known(subject)])
            frames.append(chosen.frame)
            for name, path in zip(chosen.frame["file_name"], chosen.paths, strict=True):
                (out / name).parent.mkdir(parents=True, exist_ok=True)
                if not (out / name).exists():
                    os.link(path, out / name)
        write_samples(SampleTable(out, pd.concat(frames, ignore_index=True)))
    return out
