"""People and poses in, images out: planes once per person and age, rays once per pose."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from threading import Barrier
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from frbias.synth.eg3d.cameras import Pose, intrinsics, look_at
from frbias.synth.eg3d.conditions import AGE_RANGE, condition
from frbias.synth.eg3d.loading import LoadedGenerator
from frbias.synth.eg3d.rays import make_rays
from frbias.synth.eg3d.renderer import Jitter, render
from frbias.synth.eg3d.sampling import JitterMode, NoiseMode, depth_jitter, latent, layer_noise, to_bytes
from frbias.synth.eg3d.triplanes import PlaneTable, merge_planes

S = TypeVar("S")
T = TypeVar("T")
_POSES_KEPT = 64
_CUDA_BATCH = 8
# An image at 512 px takes about half a gigabyte while it is made.
_CPU_WORKERS = 8


@dataclass(frozen=True)
class Person:
    """Somebody at an age.

    Attributes:
        seed: Identity, 0 to 2^32 - 1.
        age: Years to condition on (after calibration); None for generators without age.
    """

    seed: int
    age: float | None


@dataclass(frozen=True, eq=False)
class Face:
    """Somebody at an age in three dimensions, to be looked at from anywhere.

    Attributes:
        person: Who.
        table: Planes.
        w: Style (w_dim,) that the super-resolution uses.
    """

    person: Person
    table: PlaneTable
    w: Tensor


@dataclass(frozen=True)
class SynthesisOptions:
    """How to run a generator.

    Attributes:
        psi: Truncation: 1 for none, smaller for more average faces.
        cutoff: Number of leading styles that are truncated; None for all.
        noise: Of the backbone's layers: stored, none, or drawn from the seed.
        jitter: Of depths: drawn from the seed, or none (``even``).
        age_range: Ages that the scalar condition calls -1 and 1.
        half: Precision of the super-resolution.
        compiled: Compile decoder and super-resolution on CUDA (takes a minute at the start); no effect on the CPU.
        chunk: Rays per step on CUDA; None for what fits the memory.
    """

    psi: float = 0.75
    cutoff: int | None = None
    noise: NoiseMode = "const"
    jitter: JitterMode = "random"
    age_range: tuple[float, float] = AGE_RANGE
    half: torch.dtype = torch.float32
    compiled: bool = False
    chunk: int | None = None


class Synthesizer:
    """A generator on a device.

    On the CPU every face and every image is computed by one thread, several side by side: sums are then rounded
    the same way whatever else is made and however many threads there are. On CUDA the networks run on batches.

    Args:
        loaded: The generator.
        device: Where to run.
        options: How to run.
    """

    def __init__(
        self, loaded: LoadedGenerator, device: torch.device | str = "cpu", options: SynthesisOptions | None = None
    ) -> None:
        self.device = torch.device(device)
        self.options = options or SynthesisOptions()
        self.network = loaded.network.to(self.device)
        self.config = loaded.network.config
        self.weights_sha256 = loaded.weights_sha256
        self.network.superresolution.set_dtype(self.options.half)
        if self.options.compiled and self.device.type == "cuda":
            self.network.superresolution.compile()
            self.network.decoder.net.compile()
        self._rays: OrderedDict[Pose, tuple[Tensor, Tensor]] = OrderedDict()
        self._jitter: tuple[int, Jitter] | None = None

    @property
    def psi(self) -> float:
        """Truncation in use."""
        return self.options.psi

    @torch.inference_mode()
    def faces(self, people: Sequence[Person]) -> list[Face]:
        """Planes of people: the work that no pose changes."""
        if self.device.type != "cuda":
            return self._side_by_side(self._face, people)
        if self.options.noise == "random":
            return [self._face(person) for person in people]
        return self._faces(people)

    @torch.inference_mode()
    def images(self, views: Sequence[tuple[Face, Pose]]) -> npt.NDArray[np.uint8]:
        """Finished images (N, H, W, 3), RGB, of faces from poses."""
        jobs = [(face, self._rays_of(pose), self._jitter_of(face.person.seed)) for face, pose in views]
        if self.device.type != "cuda":
            done = self._side_by_side(lambda job: self._finish([job]), jobs)
        else:
            done = [self._finish(jobs[start : start + _CUDA_BATCH]) for start in range(0, len(jobs), _CUDA_BATCH)]
        return torch.cat(done).cpu().numpy()

    @torch.inference_mode()
    def feature_image(self, face: Face, pose: Pose) -> Tensor:
        """Feature image (1, colours, R, R) of a face from a pose."""
        return self._features(face, self._rays_of(pose), self._jitter_of(face.person.seed))

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        threads = torch.get_num_threads()
        workers = min(threads, _CPU_WORKERS)
        pool = ThreadPoolExecutor(workers, initializer=_one_thread)
        # All workers start now, then the number of threads that others (and new threads) have is put back.
        together = Barrier(workers)
        list(pool.map(lambda _: together.wait(), range(workers)))
        torch.set_num_threads(threads)
        return pool

    def _side_by_side(self, work: Callable[[S], T], items: Sequence[S]) -> list[T]:
        def quietly(item: S) -> T:
            with torch.inference_mode():
                return work(item)

        return list(self._pool.map(quietly, items))

    def _features(self, face: Face, rays: tuple[Tensor, Tensor], jitter: Jitter) -> Tensor:
        side = self.config.rendering_resolution
        decoder, rendering = self.network.decoder, self.config.rendering
        rendered = render(face.table, decoder, rays, jitter, rendering, chunk=self.options.chunk)
        return rendered.features.transpose(1, 2).unflatten(2, (side, side)).contiguous()

    def _finish(self, jobs: Sequence[tuple[Face, tuple[Tensor, Tensor], Jitter]]) -> Tensor:
        features = torch.cat([self._features(*job) for job in jobs])
        w = torch.stack([face.w for face, _, _ in jobs])
        return to_bytes(self.network.superresolution(features, w))

    def _face(self, person: Person) -> Face:
        return self._faces([person])[0]

    def _faces(self, people: Sequence[Person]) -> list[Face]:
        options = self.options
        z = torch.stack([latent(person.seed, self.config.z_dim) for person in people]).to(self.device)
        c = torch.stack([condition(self.config, person.age, options.age_range) for person in people]).to(self.device)
        ws = self.network.styles(z, c, psi=options.psi, cutoff=options.cutoff)
        noise = layer_noise(people[0].seed) if options.noise == "random" else options.noise
        table = merge_planes(self.network.planes(ws, noise))
        return [Face(person, table.image(i), ws[i, -1]) for i, person in enumerate(people)]

    def _rays_of(self, pose: Pose) -> tuple[Tensor, Tensor]:
        if pose not in self._rays:
            rendering = self.config.rendering
            matrix = look_at(*pose.offsets, rendering.avg_camera_pivot, rendering.avg_camera_radius)
            rays = make_rays(matrix[None], intrinsics()[None], self.config.rendering_resolution)
            self._rays[pose] = (rays[0].to(self.device), rays[1].to(self.device))
            if len(self._rays) > _POSES_KEPT:
                self._rays.popitem(last=False)
        return self._rays[pose]

    def _jitter_of(self, seed: int) -> Jitter:
        if self._jitter is None or self._jitter[0] != seed:
            drawn = depth_jitter(seed, self.config.rendering_resolution**2, self.config.rendering, self.options.jitter)
            self._jitter = seed, Jitter(drawn.coarse.to(self.device), drawn.fine.to(self.device))
        return self._jitter[1]


def _one_thread() -> None:
    torch.get_num_threads()  # settles this thread's number, which would otherwise be set anew later
    torch.set_num_threads(1)
