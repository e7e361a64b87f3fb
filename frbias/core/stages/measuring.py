"""From scores or embeddings to an evaluation or a paired comparison, with the options of a request."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from frbias.core.assets.paths import data_home
from frbias.core.foundation.devices import World
from frbias.core.foundation.errors import BadInputError, UsageError
from frbias.core.foundation.machine import LOCAL, Machine
from frbias.core.foundation.words import counted
from frbias.core.stages.doubting import doubtful_samples
from frbias.core.stages.requests.measuring import MeasureOptions
from frbias.core.verification.acquisition import AcquisitionCounts, FailureCount, count_acquisition
from frbias.core.verification.assembling import EvaluationOptions, evaluate
from frbias.core.verification.evaluation import evaluate_embeddings
from frbias.core.verification.groups import DEFAULT_GROUPS, Grouping, group_all, group_by_protocol, grouping_named
from frbias.core.verification.records import from_json
from frbias.core.verification.results import Evaluation
from frbias.core.verification.scores.laps import Laps
from frbias.core.verification.scores.scorefiles import ScoreFile

if TYPE_CHECKING:
    from frbias.core.data.embeddings import Embeddings
    from frbias.core.verification.paired import Comparison


def measure_scores(source: ScoreFile, options: MeasureOptions, *, name: str | None = None) -> Evaluation:
    """Evaluate somebody else's scores.

    Args:
        source: The scores.
        options: What to measure.
        name: Title; default: the file's name.
    """
    comparisons, grouping = source.comparisons(options.groups)
    settings = EvaluationOptions(
        targets=options.at_fmr,
        alpha=options.alpha,
        replicates=options.bootstrap,
        seed=options.seed,
        confidence=options.confidence,
    )
    provenance = {"kind": "scores", "file": source.path.name, "sha256": source.sha256, "form": source.form}
    return evaluate(comparisons, grouping, settings, name=name or source.path.stem, provenance=provenance)


def measure_embeddings(
    embeddings: "Embeddings",
    options: MeasureOptions,
    *,
    name: str,
    machine: Machine = LOCAL,
    world: World | None = None,
    laps: Laps | None = None,
) -> Evaluation:
    """Evaluate embeddings of an image set.

    Args:
        embeddings: Rows with ``subject`` and ``age`` and any other column to group by.
        options: What to measure.
        name: Title.
        machine: What may be used; a CUDA device only when it is asked for by name.
        world: Place among torchrun's processes.
        laps: Where parts of long scans are kept, by somebody who clears it; None: in the data root, cleared at the end.

    Raises:
        BadInputError: No image has a subject, or no group has both kinds of comparison.
        UsageError: A column to group by is not there, or no target is usable.
    """
    frame = embeddings.frame
    known = frame["subject"].astype(str).str.strip().ne("").to_numpy()
    if not known.any():
        raise BadInputError("No image has a subject, so there is nothing to verify.")
    frame, matrix = frame[known].reset_index(drop=True), embeddings.matrix[known]
    columns = {str(c): frame[c].to_numpy() for c in frame.columns if c not in ("file_name", "subject", "embedding")}
    grouping = grouping_of(options, columns)
    kept = laps or _laps()
    done = evaluate_embeddings(
        matrix,
        frame["subject"].astype(str).to_numpy(),
        frame["age"].to_numpy(dtype=np.float64),
        groups=grouping,
        targets=options.at_fmr,
        alpha=options.alpha,
        bootstrap=options.bootstrap,
        seed=options.seed,
        confidence=options.confidence,
        non_mated=options.non_mated,
        matched_age=options.matched_age,
        drop_duplicates=options.drop_duplicates,
        failure_to_acquire=failure_to_acquire(embeddings.provenance),
        acquisition=acquisition(embeddings.provenance, options, grouping),
        name=name,
        threads=machine.resources.threads,
        world=world,
        product=_product_on(machine.resources.device),
        laps=kept,
        progress=machine.progress,
    )
    if laps is None:
        kept.clear()
    told = replace(done, samples=replace(done.samples, doubtful=doubtful_samples(frame, grouping)))
    return told.described({"kind": "embeddings", **embeddings.provenance})


def compare_embeddings(
    baseline: "Embeddings",
    other: "Embeddings",
    options: MeasureOptions,
    *,
    names: tuple[str, str],
    machine: Machine = LOCAL,
    world: World | None = None,
) -> "Comparison":
    """Compare two recognisers on the images both have embeddings of, paired.

    Raises:
        BadInputError: They share no image.
    """
    from frbias.core.verification.paired import compare_evaluations

    first, second, dropped = same_images(baseline, other)
    if dropped:
        machine.progress.note(f"{counted(dropped, 'image')} in one of the two sets only, left out.")
    laps = _laps()
    pair = [
        measure_embeddings(found, options, name=name, machine=machine, world=world, laps=laps)
        for found, name in zip((first, second), names, strict=True)
    ]
    done = compare_evaluations(*pair)
    laps.clear()
    return done


def grouping_of(options: MeasureOptions, columns: dict[str, npt.NDArray[Any]]) -> Grouping:
    """Groups of samples with these columns (``age`` in years).

    Raises:
        UsageError: A column to group by is not there.
    """
    if options.protocol is not None:
        return group_by_protocol(columns["age"], options.protocol)
    return grouping_named(options.groups or DEFAULT_GROUPS, columns)


def same_images(one: "Embeddings", two: "Embeddings") -> "tuple[Embeddings, Embeddings, int]":
    """Both sets cut down to the images they share, in the order of the first, and how many were left out.

    Raises:
        BadInputError: They share none, or an image is of one person in the one and of another in the other.
    """
    position = {name: k for k, name in enumerate(two.frame["file_name"])}
    shared = [(k, position[name]) for k, name in enumerate(one.frame["file_name"]) if name in position]
    if not shared:
        raise BadInputError("The two sets of embeddings share no file name, so they cannot be compared, paired.")
    first, second = (np.array(column) for column in zip(*shared, strict=True))
    left_out = len(one.matrix) + len(two.matrix) - 2 * len(shared)
    people = [e.frame["subject"].astype(str).to_numpy()[rows] for e, rows in ((one, first), (two, second))]
    if (differ := people[0] != people[1]).any():
        row = int(np.argmax(differ))
        raise BadInputError(
            f"The image {one.frame['file_name'].iloc[first[row]]} is of {people[0][row]} in one set of embeddings and of "
            f"{people[1][row]} in the other; they do not belong to the same images (rows without file_name are numbered)."
        )
    cut = [
        replace(e, frame=e.frame.iloc[rows].reset_index(drop=True), matrix=e.matrix[rows])
        for e, rows in ((one, first), (two, second))
    ]
    return cut[0], replace(cut[1], frame=cut[0].frame), left_out


def failure_to_acquire(provenance: dict[str, Any]) -> float | None:
    """Share of the images that gave no embedding, from the embeddings' provenance; None when it does not say."""
    record = provenance.get("failure_to_acquire")
    return record["failures"] / record["attempts"] if record and record["attempts"] else None


def acquisition(
    provenance: dict[str, Any], options: MeasureOptions, grouping: Grouping
) -> tuple[AcquisitionCounts, ...]:
    """Attempts and failures by group, from the embeddings' provenance; empty when it does not say who failed.

    Args:
        provenance: Of the embeddings; ``failure_to_acquire.by`` counts failures by age and sex.
        options: What to measure; says how the failed images are grouped.
        grouping: Groups of the images that were embedded.

    Raises:
        BadInputError: The counts are not such counts.
    """
    given = (provenance.get("failure_to_acquire") or {}).get("by")
    if given is None:
        return ()
    failed: tuple[FailureCount, ...] = from_json(tuple[FailureCount, ...], given, "failure_to_acquire.by")
    times = [row.failures for row in failed]
    if min(times, default=0) < 0 or sum(times) > provenance["failure_to_acquire"]["failures"]:
        raise BadInputError("The embeddings say that more images of an age and sex failed than images in all.")
    if grouping.by == "nothing":
        return count_acquisition(grouping, group_all(len(failed)), times)
    if not failed:
        return count_acquisition(grouping, replace(grouping, codes=np.empty(0, np.int64)), times)
    columns: dict[str, npt.NDArray[Any]] = {
        "age": np.array([np.nan if row.age is None else row.age for row in failed]),
        "sex": np.array([row.sex for row in failed], dtype=object),
    }
    try:
        rejected = grouping_of(options, columns)
    except UsageError:  # grouped by something that is not known of any image that failed
        return ()
    return count_acquisition(grouping, rejected, times) if rejected.by == grouping.by else ()


def _laps() -> Laps:
    return Laps(data_home() / "cache" / "scans")


def _product_on(device: str) -> Any:
    """A tile product on CUDA when asked for by name, else None (the CPU's, also for ``auto``)."""
    if not device.startswith("cuda"):
        return None
    from frbias.core.foundation.devices import choose_device
    from frbias.core.stages.accelerator import device_product

    return device_product(str(choose_device(device)))
