"""Who is trained on and who is held out; nobody is on both sides."""

import hashlib
from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from frbias.core.foundation.errors import BadInputError, UsageError
from frbias.core.foundation.words import counted
from frbias.core.training.pixels import FaceSet

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """Rows of an image set by what they are used for.

    Attributes:
        train: Rows trained on.
        labels: Class number of every trained row, 0..C-1.
        classes: Subject of every class, sorted.
        validation: Rows of the held-out subjects; empty without validation.
        left_out: Rows of subjects with too few images, and rows without a subject.
    """

    train: Rows
    labels: Rows
    classes: list[str]
    validation: Rows
    left_out: int


def split_by_subject(subjects: list[str], *, validation: float, min_images: int, seed: int) -> Split:
    """Split rows so that all images of a subject are on one side.

    Args:
        subjects: Subject of every row; empty where unknown.
        validation: Fraction of the subjects held out, rounded, at least two when above 0.
        min_images: Subjects with fewer images are left out; 0 or 1 refuses subjects with one image.
        seed: Which subjects are held out.

    Raises:
        BadInputError: Fewer than two subjects remain to train on, or a class has one image.
    """
    counts = Counter(s for s in subjects if s)
    names = sorted(name for name, count in counts.items() if count >= max(min_images, 1))
    held_out = _held_out(names, counts, validation, seed)
    classes = [name for name in names if name not in held_out]
    if len(classes) < 2:
        raise BadInputError(
            f"{counted(len(classes), 'subject')} to train on ({len(held_out)} held out of {len(counts)}); at least 2 are needed."
        )
    single = [name for name in classes if counts[name] == 1]
    if single and min_images < 2:
        raise BadInputError(
            f"Of {counted(len(classes), 'subject')} {len(single)} with a single image (e.g. {single[0]}), which teaches nothing about "
            "what stays the same; leave them out with --min-images 2."
        )
    numbers = {name: number for number, name in enumerate(classes)}
    train = np.array([row for row, s in enumerate(subjects) if s in numbers], np.int64)
    labels = np.array([numbers[subjects[row]] for row in train], np.int64)
    kept = np.array([row for row, s in enumerate(subjects) if s in held_out], np.int64)
    return Split(train, labels, classes, kept, len(subjects) - len(train) - len(kept))


def check_no_leak(
    split: Split,
    faces: FaceSet,
    other: FaceSet | None,
    *,
    names_unrelated: bool,
    what: str = "the evaluation set",
) -> None:
    """Refuse an image or a person that is both trained on and held out or evaluated.

    Args:
        split: Rows of ``faces``.
        faces: Image set that is trained on.
        other: Image set to evaluate on, or None.
        names_unrelated: Equal subject names in the two sets mean different people.
        what: The other set in messages.

    Raises:
        UsageError: A pixel-identical image, or a subject of that name, is on both sides.
    """
    trained = {_digest(faces.pixels[row]): int(row) for row in split.train}
    _refuse_same_images(trained, faces, faces, split.validation, "the held-out subjects")
    if other is None:
        return
    _refuse_same_images(trained, faces, other, np.arange(len(other.table)), what)
    shared = sorted(set(split.classes) & set(other.table.subjects))
    if shared and not names_unrelated:
        raise UsageError(
            f"{counted(len(shared), 'subject')} of the evaluation set (e.g. {shared[0]}) would be trained on; evaluate on other people, or "
            "add --eval-names-unrelated if the names mean different people there."
        )


def check_apart(photographs: FaceSet, guard: FaceSet) -> None:
    """Refuse a photograph that is both held near the start model and watched by a guard, which would then see nothing.

    Raises:
        UsageError: A pixel-identical image is in both sets.
    """
    held = {_digest(image) for image in photographs.pixels}
    for row, image in enumerate(guard.pixels):
        if _digest(image) in held:
            raise UsageError(
                f"{guard.table.frame['file_name'].iloc[row]} of the guard is one of --keep-photos too, so it could not fall; "
                "guard other photographs."
            )


def _held_out(names: list[str], counts: Counter[str], validation: float, seed: int) -> set[str]:
    """Held-out subjects; those with several images come first, single images give no mated comparison."""
    if validation == 0:
        return set()
    wanted = max(2, round(validation * len(names)))
    order = np.random.default_rng([seed, 1]).permutation(len(names))
    shuffled = sorted((names[i] for i in order), key=lambda name: counts[name] == 1)
    return set(shuffled[:wanted])


def _refuse_same_images(trained: dict[str, int], faces: FaceSet, other: FaceSet, rows: Rows, what: str) -> None:
    for row in rows:
        twin = trained.get(_digest(other.pixels[row]))
        if twin is not None:
            names = faces.table.frame["file_name"].iloc[twin], other.table.frame["file_name"].iloc[int(row)]
            raise UsageError(
                f"{names[1]} of {what} is the same picture as {names[0]}, which is trained on; remove one."
            )


def _digest(image: npt.NDArray[np.uint8]) -> str:
    return hashlib.blake2b(image.tobytes(), digest_size=16).hexdigest()
