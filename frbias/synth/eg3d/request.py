"""What the EG3D-Age generator is asked for."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from frbias.core.foundation.errors import UsageError
from frbias.core.foundation.requests import option
from frbias.synth.requests import EG3D, NETWORKS, PEOPLE, GenerateRequest, NetworkOptions, Population


@dataclass(frozen=True, kw_only=True)
class Eg3dRequest(NetworkOptions, GenerateRequest):
    """Make people of a 3-D aware, age-conditioned GAN.

    Attributes:
        weights: ``eg3d``, another registered name, a file, or ``tiny`` for the random test model.
        subjects: Number of identities.
        first_subject: Number of the first one.
        ages: Target ages in years; none for 5, 20, 40, 60 where the generator takes ages.
        age_bins: Age ranges such as ``3-6,20-30``: each person gets one age drawn from each; instead of ``ages``.
        poses: Grid or distribution, as :func:`frbias.synth.eg3d.poses.parse_poses` reads it.
        psi: Truncation, 0 to 1 (or beyond).
        cutoff: Number of leading styles that are truncated; None for all.
        noise: ``const``, ``none`` or ``random`` (from the person's seed).
        jitter: ``random`` (from the person's seed) or ``even``.
        calibration: ``auto`` (the one stored with the weights for this psi, if any), ``none``, or a file.
        calibrate_from: Image set with ``estimated_age``: fit a calibration on it and store it with the weights first.
        age_estimator: ``dex``: it estimates the ages of ``calibrate_from``; None: they are in the set.
        age_range: Ages that the scalar condition calls -1 and 1; not stored in snapshots.
        precision: Of the super-resolution: ``auto`` is fp16 on CUDA, fp32 on the CPU.
        chunk: Rays per step on CUDA; None for what fits the memory.
    """

    title = "generate --backend eg3d"
    backend: ClassVar[str] = "eg3d"
    ages: tuple[float, ...] = option((), help="Ages in years: 5,20,40 or start:stop:step.", low=0, high=120)
    subjects: int = option(20, help="Number of identities.", panel=PEOPLE, low=1, high=10_000_000)
    first_subject: int = option(0, help="Number of the first identity.", panel=PEOPLE, low=0, high=2**31)
    age_bins: str = option(
        "", help="Instead of --ages, a random age per person from each range: 3-6,20-30.", panel=NETWORKS
    )
    weights: str = option(
        "eg3d",
        help="Network: a name or file; 'tiny' is a random one for tests.",
        panel=NETWORKS,
        metavar="MODEL",
        completes="weights",
        decides=False,
    )
    noise: Literal["const", "none", "random"] = option(
        "const", help="Noise in the layers: const, random (seeded) or none.", panel=NETWORKS
    )
    precision: Literal["auto", "fp32", "fp16", "bf16"] = option(
        "auto", help="Precision of the super-resolution; auto is fp16 on CUDA.", panel=NETWORKS
    )
    poses: str = option(
        "0x0",
        help="Head poses in degrees, yaws x pitches: -30,0,30x0 or -40:40:20x-10,10; or drawn for each person: "
        "normal:17x9:4 or uniform:30x10:4.",
        panel=EG3D,
        metavar="POSES",
    )
    psi: float = option(0.75, help="Truncation; 0.75 is what was published.", panel=EG3D, low=-2, high=2)
    cutoff: int | None = option(None, help="Truncate only the first so many styles.", panel=EG3D, low=0)
    jitter: Literal["random", "even"] = option(
        "random", help="Depth jitter: random from the seed, or even.", panel=EG3D
    )
    calibration: str = option(
        "auto",
        help="Age calibration: auto (stored with the weights, if any), none, or a file.",
        panel=EG3D,
        decides=False,
    )
    calibrate_from: str | None = option(
        None,
        help="First fit a calibration on a set generated before, with estimated_age in its metadata.csv, and "
        "store it with the weights.",
        panel=EG3D,
        metavar="SET",
        decides=False,
    )
    age_estimator: Literal["dex"] | None = option(
        None, help="dex: it estimates the ages of that set.", panel=EG3D, decides=False
    )
    age_range: tuple[float, float] = option(
        (0.0, 75.0), help="Ages that a scalar age condition calls -1 and 1.", panel=EG3D
    )
    chunk: int | None = option(
        None, help="Rays per step on CUDA; left out: what fits the memory.", panel=EG3D, low=1, decides=False
    )

    def conflicts(self) -> Iterator[str]:
        """Poses and ranges that cannot be read, and options that do not go together."""
        from frbias.synth.eg3d.ages import parse_bins
        from frbias.synth.eg3d.poses import parse_poses

        for read, text in ((parse_poses, self.poses), (parse_bins, self.age_bins)):
            try:
                read(text)
            except UsageError as error:
                yield error.message
        if self.ages and self.age_bins:
            yield "Give --ages or --age-bins, not both."
        if len(set(self.ages)) != len(self.ages):
            yield "--ages names an age twice."
        if self.age_estimator and not self.calibrate_from:
            yield "--age-estimator goes with --calibrate-from SET."
        if not self.age_range[0] < self.age_range[1]:
            yield "--age-range is two numbers, the smaller one first."

    def population(self) -> Population:
        """The people numbered from ``first_subject``."""
        return Population(
            f"eg3d {self.weights}, seed {self.seed}",
            range(self.first_subject, self.first_subject + self.subjects),
        )
