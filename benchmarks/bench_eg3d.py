"""EG3D at its released size (512 px, random weights): planes once a person and age, against every image by itself.

    python benchmarks/bench_eg3d.py [--ages 3] [--poses 4]

Side by side, in turns, in one run:

* *published way*: per image, the algorithm of the published code: mapping, backbone with per-sample weights and
  separate passes for bias, activation and gain, three plane lookups, a coarse pass that composites all colours,
  all colours sorted, super-resolution.
* *frbias*: this package: planes once a (person, age), rays once a pose; the whole as it generates, with images side by
  side, and stage by stage for the first age, one image after the other on all threads.

Prints a table of stages, both totals, what reuse of planes alone gives, and the peak memory of the renderer (planes included) beyond the weights.
"""

import argparse
import math
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from frbias.synth.eg3d.cameras import Pose
from frbias.synth.eg3d.config import Eg3dConfig, RenderingConfig, SuperResolutionConfig
from frbias.synth.eg3d.loading import LoadedGenerator
from frbias.synth.eg3d.marching import interval_weights
from frbias.synth.eg3d.network import TriPlaneGenerator, colour
from frbias.synth.eg3d.rays import coarse_depths, fine_depths
from frbias.synth.eg3d.renderer import render
from frbias.synth.eg3d.sampling import to_bytes
from frbias.synth.eg3d.synthesizer import Face, Person, Synthesizer
from frbias.synth.eg3d.triplanes import PLANE_AXES, merge_planes
from frbias.synth.stylegan2 import StyledConv, SynthesisBlock, ToImage, fir_kernel

FLOOR = 1.7
MEMORY_LIMIT = 400.0
STAGES = ("mapping", "backbone", "renderer", "super-resolution")


def released(seed: int = 0) -> LoadedGenerator:
    """The released shape with random weights that give finite, varied images."""
    config = Eg3dConfig(
        z_dim=512,
        c_dim=26,
        w_dim=512,
        mapping_layers=2,
        channels={4: 512, 8: 512, 16: 512, 32: 512, 64: 512, 128: 256, 256: 128},
        superresolution=SuperResolutionConfig(128, (256, 128), (256, 512)),
        rendering=RenderingConfig(),
    )
    torch.manual_seed(seed)
    network = TriPlaneGenerator(config).requires_grad_(False).eval()
    network.get_parameter("decoder.net.2.weight")[0] *= 10.0
    for block in (network.superresolution.block0, network.superresolution.block1):
        block.torgb.weight *= 0.25
    return LoadedGenerator(network, "", {})


@dataclass
class Clock:
    """Seconds by stage."""

    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(STAGES, 0.0))
    processor: float = 0.0

    def time(self, stage: str, work: Callable[[], Tensor]) -> Tensor:
        """Do some work on a stage's account."""
        start, busy = time.perf_counter(), time.process_time()
        result = work()
        self.seconds[stage] += time.perf_counter() - start
        self.processor += time.process_time() - busy
        return result

    @property
    def total(self) -> float:
        """All stages."""
        return sum(self.seconds.values())


class PublishedWay:
    """The published algorithm, one image at a time, on the same weights."""

    def __init__(self, synthesizer: Synthesizer) -> None:
        self.s = synthesizer
        self.network = synthesizer.network

    def image(self, person: Person, pose: Pose, clock: Clock) -> Tensor:
        """One image (1, 3, H, W)."""
        network = self.network
        ws = clock.time("mapping", lambda: styles(self.s, person))
        planes = clock.time("backbone", lambda: self.backbone(ws))
        features = clock.time("renderer", lambda: self.render(planes, person, pose))
        w = ws[:, -1:].expand(-1, 3, -1)

        def enlarge() -> Tensor:
            sr = network.superresolution
            x, image = self.block(sr.block0, features, features[:, :3], w, "none")
            return self.block(sr.block1, x, image, w, "none")[1]

        return clock.time("super-resolution", enlarge)

    def backbone(self, ws: Tensor) -> Tensor:
        x: Tensor | None = None
        image: Tensor | None = None
        first = 0
        for resolution in self.network.backbone.resolutions:
            block = self.network.backbone.synthesis.get_submodule(f"b{resolution}")
            slots = 3 if first else 2
            x, image = self.block(block, x, image, ws[:, first : first + slots], "const")
            first += slots - 1
        assert image is not None
        return image.view(1, 3, -1, *image.shape[-2:])

    def block(
        self, block: nn.Module, x: Tensor | None, image: Tensor | None, ws: Tensor, noise: str
    ) -> tuple[Tensor, Tensor]:
        assert isinstance(block, SynthesisBlock)
        styles_left = iter(ws.unbind(dim=1))
        x = self.layer(block.conv0, x, next(styles_left), noise) if block.inputs else block.const[None]
        x = self.layer(block.conv1, x, next(styles_left), noise)
        mine = self.to_image(block.torgb, x, next(styles_left))
        if image is None:
            return x, mine
        n, c, h, w = image.shape
        spread = image.new_zeros(n, c, h, 2, w, 2)
        spread[:, :, :, 0, :, 0] = image
        larger = F.conv2d(
            F.pad(spread.view(n, c, 2 * h, 2 * w), (2, 1, 2, 1)), (4 * fir_kernel()).expand(c, 1, 4, 4), groups=c
        )
        return x, larger + mine

    def layer(self, layer: StyledConv, x: Tensor, w: Tensor, noise: str) -> Tensor:
        weight = layer.weight * layer.affine(w).view(1, -1, 1, 1)
        weight = weight * weight.square().sum(dim=(1, 2, 3), keepdim=True).add(1e-8).rsqrt()
        if layer.up:
            x = F.conv_transpose2d(x, weight.transpose(0, 1), stride=2)
            c = x.shape[1]
            x = F.conv2d(F.pad(x, (1, 1, 1, 1)), fir_kernel().expand(c, 1, 4, 4), groups=c) * 4
        else:
            x = F.conv2d(x, weight, padding=1)
        if noise == "const":
            x = x + layer.noise_const * layer.noise_strength
        x = F.leaky_relu(x + layer.bias.view(1, -1, 1, 1), 0.2) * math.sqrt(2)
        return x if layer.clamp is None else x.clamp(-layer.clamp, layer.clamp)

    def to_image(self, layer: ToImage, x: Tensor, w: Tensor) -> Tensor:
        weight = layer.weight * (layer.affine(w) * layer.weight_gain).view(1, -1, 1, 1)
        x = F.conv2d(x, weight) + layer.bias.view(1, -1, 1, 1)
        return x if layer.clamp is None else x.clamp(-layer.clamp, layer.clamp)

    def render(self, planes: Tensor, person: Person, pose: Pose) -> Tensor:
        config = self.s.config.rendering
        origins, directions = self.s._rays_of(pose)
        jitter = self.s._jitter_of(person.seed)
        depths = coarse_depths(config.ray_start, config.ray_end, jitter.coarse)
        sigma, rgb = self.shade(planes, origins, directions, depths)
        weights = self.march(depths, sigma, rgb)[1]
        fine = fine_depths(depths[0], weights[0], jitter.fine[0])[None]
        fine_sigma, fine_rgb = self.shade(planes, origins, directions, fine)
        depths, order = torch.cat([depths, fine], dim=-1).sort(dim=-1)
        sigma = torch.cat([sigma, fine_sigma], dim=-1).gather(-1, order)
        rgb = torch.cat([rgb, fine_rgb], dim=2)
        rgb = rgb.gather(2, order.unsqueeze(-1).expand(-1, -1, -1, rgb.shape[-1]))
        side = self.s.config.rendering_resolution
        features = self.march(depths, sigma, rgb)[0] * 2 - 1
        return features.transpose(1, 2).reshape(1, -1, side, side).contiguous()

    def shade(self, planes: Tensor, origins: Tensor, directions: Tensor, depths: Tensor) -> tuple[Tensor, Tensor]:
        n, count, samples = depths.shape
        points = (origins.unsqueeze(2) + depths.unsqueeze(-1) * directions.unsqueeze(2)).view(n, -1, 3)
        grid = torch.stack([points[0][:, list(axes)] for axes in PLANE_AXES])[:, None] * 2
        found = F.grid_sample(planes[0], grid, mode="bilinear", padding_mode="zeros", align_corners=False)
        features = found.permute(0, 3, 2, 1).reshape(3, n, count * samples, -1).mean(dim=0)
        raw = self.network.decoder.net(features)
        return raw[..., 0].view(n, count, samples), colour(raw[..., 1:]).view(n, count, samples, -1)

    def march(self, depths: Tensor, sigma: Tensor, rgb: Tensor) -> tuple[Tensor, Tensor]:
        weights = interval_weights(depths, sigma)
        middle = (rgb[:, :, :-1] + rgb[:, :, 1:]) / 2
        return (weights.unsqueeze(-1) * middle).sum(dim=2), weights


def styles(s: Synthesizer, person: Person) -> Tensor:
    """Styles of a person at an age."""
    from frbias.synth.eg3d.conditions import condition
    from frbias.synth.eg3d.sampling import latent

    z, c = latent(person.seed, s.config.z_dim)[None], condition(s.config, person.age)[None]
    return s.network.styles(z, c, psi=s.psi)


def face(s: Synthesizer, person: Person, clock: Clock) -> Face:
    """Planes of a person, on the clock."""
    ws = clock.time("mapping", lambda: styles(s, person))
    planes = clock.time("backbone", lambda: s.network.planes(ws, "const"))
    start = time.perf_counter()
    table = merge_planes(planes)
    clock.seconds["backbone"] += time.perf_counter() - start
    return Face(person, table, ws[0, -1])


def view(s: Synthesizer, seen: Face, pose: Pose, clock: Clock) -> Tensor:
    """An image of a face, on the clock."""
    features = clock.time("renderer", lambda: s.feature_image(seen, pose))
    return clock.time("super-resolution", lambda: s.network.superresolution(features, seen.w[None]))


class PeakMemory:
    """Peak of the process' resident memory (MiB) inside a ``with`` block, beyond what was there before."""

    def __enter__(self) -> "PeakMemory":
        self.before = self.highest = resident()
        self.running = True
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.running = False
        self.thread.join()
        self.highest = max(self.highest, resident())

    def _watch(self) -> None:
        while self.running:
            self.highest = max(self.highest, resident())
            time.sleep(0.002)

    @property
    def extra(self) -> float:
        return self.highest - self.before


def resident() -> float:
    """Resident memory of this process in MiB (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


@torch.inference_mode()
def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ages", type=int, default=3)
    parser.add_argument("--poses", type=int, default=4)
    chosen = parser.parse_args()
    s = Synthesizer(released())
    published = PublishedWay(s)
    people = [Person(1, 15.0 + 20.0 * i) for i in range(chosen.ages)]
    poses = [Pose(-30.0 + 60.0 * i / max(1, chosen.poses - 1), 0.0) for i in range(chosen.poses)]
    resolution = s.config.plane_resolution
    with PeakMemory() as memory:
        table = merge_planes(torch.randn(1, 3, s.config.plane_channels, resolution, resolution))
        render(table, s.network.decoder, s._rays_of(poses[0]), s._jitter_of(1), s.config.rendering)
    warm = face(s, people[0], Clock())
    view(s, warm, poses[0], Clock())
    published.image(people[0], poses[0], Clock())
    published_clock, stages = Clock(), Clock()
    generated = processor = largest = 0.0
    for person in people:  # in turns, so that a busy machine slows both
        start, busy = time.perf_counter(), time.process_time()
        (mine,) = s.faces([person])
        images = s.images([(mine, pose) for pose in poses])
        generated += time.perf_counter() - start
        processor += time.process_time() - busy
        for image, pose in zip(images, poses, strict=True):
            reference = to_bytes(published.image(person, pose, published_clock))[0].numpy()
            largest = max(largest, float(abs(image.astype(float) - reference).mean()))
    seen = face(s, people[0], stages)
    for pose in poses:
        view(s, seen, pose, stages)
    return report(published_clock, stages, (generated, processor), (len(people), len(poses)), memory.extra, largest)


def report(
    published: Clock,
    stages: Clock,
    generated: tuple[float, float],
    size: tuple[int, int],
    memory: float,
    difference: float,
) -> int:
    """Print the tables; 1 when a floor is missed."""
    ages, poses = size
    images = ages * poses
    mine = {name: seconds / poses for name, seconds in stages.seconds.items()}
    print(f"{ages} ages x {poses} poses, 512 px, {torch.get_num_threads()} threads; seconds an image")
    print(f"{'':20}{'published way':>15}{'frbias':>12}")
    for stage in STAGES:
        print(f"{stage:20}{published.seconds[stage] / images:15.3f}{mine[stage]:12.3f}")
    print(f"{'sum of stages':20}{published.total / images:15.3f}{sum(mine.values()):12.3f}")
    print(f"{'as generated':20}{published.total / images:15.3f}{generated[0] / images:12.3f}")
    print(f"{'processor seconds':20}{published.processor / images:15.3f}{generated[1] / images:12.3f}")
    ratio = published.total / generated[0]
    alone = sum(mine.values()) + (mine["mapping"] + mine["backbone"]) * (poses - 1)
    print(f"{ratio:.2f} times faster than the published way for each image by itself (floor {FLOOR})")
    print(f"{published.processor / generated[1]:.2f} times less processor time")
    print(f"{alone / sum(mine.values()):.2f} times of that by reuse of planes (frbias with planes anew for each image)")
    print(
        f"peak memory of the renderer, planes included, beyond the weights: {memory:.0f} MiB (limit {MEMORY_LIMIT:.0f})"
    )
    print(f"mean difference of the images: at most {difference:.1e} of 255")
    return int(ratio < FLOOR or memory > MEMORY_LIMIT or difference > 0.05)


if __name__ == "__main__":
    sys.exit(main())
