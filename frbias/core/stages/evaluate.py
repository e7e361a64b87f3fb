"""The evaluate stage: scores, embeddings or images in; one evaluation (or paired comparison) and its folder out."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from frbias.core.foundation.devices import World
from frbias.core.foundation.errors import BadInputError, UsageError
from frbias.core.foundation.files import atomic_path, write_json, write_text
from frbias.core.foundation.machine import Machine
from frbias.core.foundation.progress import SILENT, Progress
from frbias.core.verification.evaluation import DEFAULT_TARGETS, EvaluationOptions, evaluate, evaluate_embeddings
from frbias.core.verification.groups import DEFAULT_GROUPS, Grouping, group_by_protocol, grouping_named
from frbias.core.verification.results import Evaluation
from frbias.core.verification.scores.scorefiles import ScoreFile

if TYPE_CHECKING:
    from frbias.core.data.embeddings import Embeddings
    from frbias.core.data.samples import SampleTable
    from frbias.core.verification.paired import Comparison

EVALUATION_NAME = "evaluation.json"
COMPARISON_NAME = "comparison.json"
RATES_NAME = "rates.csv"
SCORES_NAME = "scores.parquet"
RATE_COLUMNS = (
    "target", "tau", "achieved_fmr", "group", "non_mated", "false_matches", "fmr", "fmr_low", "fmr_high",
    "mated", "false_non_matches", "fnmr", "fnmr_low", "fnmr_high", "interval", "flags",
)  # fmt: skip


@dataclass(frozen=True)
class Selection:
    """What to measure, as given by a person.

    Attributes:
        groups: Text of ``--groups``, None for the default.
        protocol: Named protocol instead of groups.
        targets: Target FMRs.
        alpha: Weight of FMR.
        replicates: Bootstrap replicates.
        seed: Seed.
        confidence: Coverage of intervals.
        non_mated: Non-mated rule.
        matched_age: Tolerance of age-matched non-mated pairs, None: all.
        drop_duplicates: Cosine of near-duplicates, None: keep all.
    """

    groups: str | None = None
    protocol: str | None = None
    targets: tuple[float, ...] = DEFAULT_TARGETS
    alpha: float = 0.5
    replicates: int = 1000
    seed: int = 0
    confidence: float = 0.95
    non_mated: str = "within"
    matched_age: float | None = None
    drop_duplicates: float | None = None

    def __post_init__(self) -> None:
        if self.groups is not None and self.protocol is not None:
            raise UsageError("Give --groups or --protocol, not both.")

    def to_json(self) -> dict[str, Any]:
        """JSON object, for provenance."""
        return {**asdict(self), "targets": list(self.targets)}

    def grouping(self, columns: dict[str, Any]) -> Grouping:
        """Groups of samples with these columns (``age`` in years)."""
        if self.protocol is not None:
            return group_by_protocol(columns["age"], self.protocol)
        return grouping_named(self.groups or DEFAULT_GROUPS, columns)


def evaluate_scores(source: ScoreFile, selection: Selection, *, name: str | None = None) -> Evaluation:
    """Evaluate somebody else's scores.

    Raises:
        UsageError: An option needs embeddings (protocols, age matching, near-duplicates).
    """
    for option, value in (
        ("--protocol", selection.protocol),
        ("--matched-age", selection.matched_age),
        ("--drop-duplicates", selection.drop_duplicates),
        ("--non-mated", None if selection.non_mated == "within" else selection.non_mated),
    ):
        if value is not None:
            raise UsageError(f"{option} needs embeddings; a file of scores has its comparisons already.")
    comparisons, grouping = source.comparisons(selection.groups)
    options = EvaluationOptions(
        targets=selection.targets,
        alpha=selection.alpha,
        replicates=selection.replicates,
        seed=selection.seed,
        confidence=selection.confidence,
    )
    provenance = {"kind": "scores", "file": source.path.name, "sha256": source.sha256, "form": source.form}
    return evaluate(comparisons, grouping, options, name=name or source.path.stem, provenance=provenance)


def evaluate_set(
    embeddings: "Embeddings",
    selection: Selection,
    *,
    name: str,
    threads: int = 0,
    world: World | None = None,
    product: Any = None,
    progress: Progress = SILENT,
) -> Evaluation:
    """Evaluate embeddings of an image set.

    Args:
        embeddings: Rows with ``subject`` and ``age`` and any other column to group by.
        selection: What to measure.
        name: Title.
        threads, world, product, progress: See :func:`frbias.core.verification.scores.engine.compare_all`.
    """
    frame = embeddings.frame
    known = frame["subject"].astype(str).str.strip().ne("").to_numpy()
    if not known.any():
        raise BadInputError("No image has a subject, so there is nothing to verify.")
    frame, matrix = frame[known].reset_index(drop=True), embeddings.matrix[known]
    columns = {str(c): frame[c].to_numpy() for c in frame.columns if c not in ("file_name", "subject", "embedding")}
    done = evaluate_embeddings(
        matrix,
        frame["subject"].astype(str).to_numpy(),
        frame["age"].to_numpy(dtype=np.float64),
        groups=selection.grouping(columns),
        targets=selection.targets,
        alpha=selection.alpha,
        bootstrap=selection.replicates,
        seed=selection.seed,
        confidence=selection.confidence,
        non_mated=selection.non_mated,
        matched_age=selection.matched_age,
        drop_duplicates=selection.drop_duplicates,
        failure_to_acquire=failure_to_acquire(embeddings.provenance),
        name=name,
        threads=threads,
        world=world,
        product=product,
        progress=progress,
    )
    return done.described({"kind": "embeddings", **embeddings.provenance})


def compare_sets(
    baseline: "Embeddings", other: "Embeddings", selection: Selection, *, names: tuple[str, str], **options: Any
) -> "Comparison":
    """Compare two recognisers on the images both have embeddings of, paired.

    Raises:
        BadInputError: They share no image.
    """
    from frbias.core.verification.paired import compare_evaluations

    first, second, dropped = same_images(baseline, other)
    if dropped:
        options.get("progress", SILENT).note(f"{dropped} images are in one of the two sets only and left out.")
    pair = [evaluate_set(e, selection, name=n, **options) for e, n in zip((first, second), names, strict=True)]
    return compare_evaluations(*pair)


def same_images(one: "Embeddings", two: "Embeddings") -> "tuple[Embeddings, Embeddings, int]":
    """Both sets cut down to the images they share, in the order of the first, and how many were left out."""
    from dataclasses import replace

    position = {name: k for k, name in enumerate(two.frame["file_name"])}
    shared = [(k, position[name]) for k, name in enumerate(one.frame["file_name"]) if name in position]
    if not shared:
        raise BadInputError("The two sets of embeddings share no file name, so they cannot be compared, paired.")
    first, second = (np.array(column) for column in zip(*shared, strict=True))
    left_out = len(one.matrix) + len(two.matrix) - 2 * len(shared)
    cut = [
        replace(e, frame=e.frame.iloc[rows].reset_index(drop=True), matrix=e.matrix[rows])
        for e, rows in ((one, first), (two, second))
    ]
    return cut[0], replace(cut[1], frame=cut[0].frame), left_out


def failure_to_acquire(provenance: dict[str, Any]) -> float | None:
    """Share of the images that gave no embedding, from the embeddings' provenance; None when it does not say."""
    record = provenance.get("failure_to_acquire")
    return record["failures"] / record["attempts"] if record and record["attempts"] else None


def embed_data(
    data: str,
    weights: str,
    work: Path,
    *,
    device: str = "auto",
    batch_size: int = 128,
    progress: Progress = SILENT,
) -> "tuple[Embeddings, str]":
    """Embeddings of an image set below ``work`` (aligned there first when it is not), and the recogniser's name.

    Args:
        data: Folder or registered name.
        weights: Recogniser, see :func:`frbias.core.recognisers.loading.load_recogniser`.
        work: Folder for ``aligned`` and ``embeddings-<name>``; finished work there is used again.
        device, batch_size, progress: See :func:`frbias.core.stages.embed.embed`.

    Raises:
        AssetMissingError: The data set or the weights are not installed.
    """
    from frbias.core.data.datasets.resolving import resolve_data
    from frbias.core.data.embeddings import read_embeddings
    from frbias.core.data.samples import read_samples
    from frbias.core.foundation.devices import choose_device
    from frbias.core.recognisers.loading import load_recogniser
    from frbias.core.stages.embed import embed

    table = resolve_data(data)
    recogniser = load_recogniser(weights, device=choose_device(device))
    if not _is_aligned(table, recogniser.input_size):
        from frbias.core.stages.align import align_table

        progress.note(f"{data} is not aligned; aligning it into {work / 'aligned'}")
        align_table(table, work / "aligned", machine=Machine(progress=progress))
        table = read_samples(work / "aligned")
    folder = work / f"embeddings-{_file_safe(recogniser.name)}"
    embed(table, recogniser, folder, device=device, batch_size=batch_size, progress=progress)
    return read_embeddings(folder), recogniser.name


def _is_aligned(table: "SampleTable", size: tuple[int, int]) -> bool:
    """Whether the first readable image has the recogniser's input size."""
    from frbias.core.data.images import read_image
    from frbias.core.foundation.errors import BadImageError

    for path in table.paths:
        try:
            return bool(read_image(path).shape[:2] == size)
        except BadImageError:
            continue
    raise BadInputError(f"{table.root} has no image that can be read.")


def _file_safe(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in name)


def write_outcome(
    folder: Path,
    outcome: "Evaluation | Comparison",
    *,
    figures: bool = True,
    scores: bool = False,
    announce: Callable[[str], None] = lambda message: None,
) -> dict[str, Any]:
    """Write the documents, ``rates.csv`` and the figures of an outcome; returns the results for provenance."""
    folder, document = Path(folder), outcome.to_json()
    paired = document["schema"] == "frbias.comparison"
    write_json(folder / EVALUATION_NAME, document["other"] if paired else document)
    write_text(folder / RATES_NAME, rates_csv(document["other"] if paired else document))
    if paired:
        write_json(folder / COMPARISON_NAME, document)
    if scores:
        announce("writing scores")
        write_scores(folder / SCORES_NAME, outcome)
    drawn: list[str] = []
    if figures:
        from frbias.core.reporting.figures.every import draw_all

        announce("drawing figures")
        sources = [document["other"], document] if paired else [document]
        drawn = [figure.name for source in sources for figure in draw_all(source, folder / "figures")]
    return {"figures": drawn}


def write_scores(path: Path, outcome: "Evaluation | Comparison") -> None:
    """Write every comparison score as Parquet, with bob's column names; mated comparisons first.

    Columns: ``bio_ref_sample``, ``probe_sample`` (row of the evaluated embeddings), ``bio_ref_subject_id``,
    ``probe_subject_id``, ``group`` (empty across groups), ``mated``, ``score``. The file can be given to ``--scores``.

    Raises:
        UsageError: The comparisons do not come from embeddings, or are too many to be held.
    """
    import pandas as pd

    evaluation = outcome if isinstance(outcome, Evaluation) else outcome.other
    source = evaluation.source
    if source is None or source.weights is None:
        raise UsageError("--save-scores needs embeddings; a file of scores is saved already.")
    if not source.tally.complete(np.arange(source.classes.count)):
        raise UsageError("--save-scores: there are too many comparisons to write them all; evaluate fewer images.")
    tally, mated = source.tally, source.mated
    names, groups = np.array(source.subject_names), np.array([*source.groups, ""])
    first, second = np.r_[mated.first, tally.first], np.r_[mated.second, tally.second]
    frame = pd.DataFrame(
        {
            "bio_ref_sample": first,
            "probe_sample": second,
            "bio_ref_subject_id": names[source.subject_of[first]],
            "probe_subject_id": names[source.subject_of[second]],
            "group": groups[np.r_[mated.group, np.minimum(tally.kind, len(groups) - 1)]],
            "mated": np.r_[np.ones(len(mated.score), bool), np.zeros(len(tally.score), bool)],
            "score": np.r_[mated.score, tally.score],
        }
    )
    with atomic_path(path) as temporary:
        frame.to_parquet(temporary, index=False)


def rates_csv(document: dict[str, Any]) -> str:
    """One line per target and group: counts, rates and intervals of an evaluation's document."""
    from frbias.core.reporting.figures.drawing import Points

    rows: list[tuple[Any, ...]] = []
    for record in document["targets"]:
        for group in record["groups"]:
            booted = group["fnmr_bootstrap"] is not None
            fmr, fnmr = (_bounds(group, rate) for rate in ("fmr", "fnmr"))
            flags = [f"fmr:{f}" for f in group["fmr_flags"]] + [f"fnmr:{f}" for f in group["fnmr_flags"]]
            rows.append(
                (
                    record["target"], record["tau"], record["achieved_fmr"], group["name"],
                    group["non_mated"], group["false_matches"], group["fmr"], *fmr,
                    group["mated"], group["false_non_matches"], group["fnmr"], *fnmr,
                    "subject bootstrap" if booted else "wilson", " ".join(flags),
                )
            )  # fmt: skip
    return Points(RATE_COLUMNS, rows).to_csv()


def _bounds(group: dict[str, Any], rate: str) -> tuple[float | None, float | None]:
    found = group[f"{rate}_bootstrap"]
    return (found["low"], found["high"]) if found is not None else tuple(group[f"{rate}_wilson"])
