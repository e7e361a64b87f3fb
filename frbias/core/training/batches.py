"""Which images come when. The order of an epoch follows from seed and epoch alone, so any step can be resumed."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from frbias.core.foundation.errors import UsageError

FRESH = 1_000_000  # views from here on are used in one epoch each
Rows = npt.NDArray[np.int64]
AGE_EDGES = (0.0, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 65.0, 151.0)


@dataclass(frozen=True)
class EpochOrder:
    """Positions and views of an epoch.

    Attributes:
        positions: Index into the training rows, (steps, batch size).
        views: View of each, same shape.
    """

    positions: Rows
    views: Rows


@dataclass(frozen=True)
class Sampler:
    """Draws the order of epochs.

    Attributes:
        kind: ``uniform``: every image once, in random order, an incomplete last batch left out;
            ``per-subject``: batches of different subjects with ``per_subject`` images each;
            ``age-balanced``: with replacement, each age group with the same probability.
        labels: Class of every training image, (n,).
        ages: Age of every training image in years, (n,), NaN unknown.
        batch_size: Images per step.
        per_subject: See ``kind``.
        views: Numbers of the views to draw from; none: a view of its own for every epoch.
        seed: Of all draws.
    """

    kind: str
    labels: Rows
    ages: npt.NDArray[np.float64]
    batch_size: int
    per_subject: int
    views: tuple[int, ...]
    seed: int

    def __post_init__(self) -> None:
        count, classes = len(self.labels), len(np.unique(self.labels))
        if count < self.batch_size:
            raise UsageError(f"--batch-size {self.batch_size} is more than the {count} training images.")
        if self.kind == "per-subject" and self.batch_size // self.per_subject > classes:
            raise UsageError(
                f"--batch-size {self.batch_size} with --per-subject {self.per_subject} needs "
                f"{self.batch_size // self.per_subject} subjects; there are {classes}."
            )
        if self.kind == "age-balanced" and np.isnan(self.ages).any():
            raise UsageError("--sampler age-balanced needs the age of every training image; some are unknown.")

    @property
    def steps(self) -> int:
        """Steps in an epoch."""
        return len(self.labels) // self.batch_size

    def order(self, epoch: int) -> EpochOrder:
        """Order of epoch 1, 2, ...; the same every time."""
        rng = np.random.default_rng([self.seed, 2, epoch])
        draw = {"uniform": self._uniform, "per-subject": self._per_subject, "age-balanced": self._age_balanced}
        positions = draw[self.kind](rng)
        if not self.views:
            return EpochOrder(positions, np.full(positions.shape, FRESH + epoch, np.int64))
        views = rng.choice(np.asarray(self.views, np.int64), size=positions.shape)
        return EpochOrder(positions, views)

    def _uniform(self, rng: np.random.Generator) -> Rows:
        return rng.permutation(len(self.labels))[: self.steps * self.batch_size].reshape(-1, self.batch_size)

    def _age_balanced(self, rng: np.random.Generator) -> Rows:
        groups = np.digitize(self.ages, AGE_EDGES)
        present, member = np.unique(groups, return_inverse=True)
        weight = 1.0 / (len(present) * np.bincount(member)[member])
        return rng.choice(len(self.labels), size=(self.steps, self.batch_size), p=weight)

    def _per_subject(self, rng: np.random.Generator) -> Rows:
        members = [np.flatnonzero(self.labels == label) for label in range(int(self.labels.max()) + 1)]
        subjects = self.batch_size // self.per_subject
        rows = []
        for _ in range(self.steps):
            chosen = rng.choice(len(members), size=subjects, replace=False)
            rows.append(np.concatenate([self._images(members[c], rng) for c in chosen]))
        return np.stack(rows)

    def _images(self, members: Rows, rng: np.random.Generator) -> Rows:
        """``per_subject`` images of one subject, different ones as long as there are enough."""
        return rng.choice(members, size=self.per_subject, replace=len(members) < self.per_subject)
