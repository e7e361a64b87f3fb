"""EG3D at its released size (512 px, random weights): planes once a person and age, against every image by itself.

    python benchmarks/bench_eg3d.py [--ages 3] [--poses 4]

Side by side in one run, in turns (an age of the one, then the same age of the other):

* *published way*: per image, the algorithm of the published code: mapping, backbone with per-sample weights and
  separate passes for bias, activation and gain, three plane lookups, a coarse pass that composites all colours,
  all colours sorted, super-resolution.
* *frbias*: this package: planes once a (person, age), rays once a pose; the whole as it generates, with images side by
  side, and stage by stage for the first age, one image after the other on all threads.

Each way has a process of its own. ``frbias`` tells glibc to keep freed memory (``frbias.core.foundation.memory``), a plain torch
script does not; the published way is therefore timed with and without that. Prints a table of stages, the ratios, what
reuse of planes alone gives, and the peak memory of the renderer (planes included) beyond the weights. The exit code is
1 when a floor is missed.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from frbias.core.foundation.memory import keep_freed_memory
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
from frbias.synth.resampling import fir_kernel
from frbias.synth.stylegan2 import StyledConv, SynthesisBlock, ToImage

FLOOR = 1.7
MEMORY_LIMIT = 400.0
WAYS = ("published", "published, kept", "frbias")
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


class Generation:
    """One way of making the images, in this process."""

    def __init__(self, ages: int, poses: int) -> None:
        self.s = Synthesizer(released())
        self.people = [Person(1, 15.0 + 20.0 * i) for i in range(ages)]
        self.poses = [Pose(-30.0 + 60.0 * i / max(1, poses - 1), 0.0) for i in range(poses)]

    def published(self, index: int) -> tuple[Clock, np.ndarray]:
        """An age, every image by itself."""
        way, clock = PublishedWay(self.s), Clock()
        images = [to_bytes(way.image(self.people[index], pose, clock))[0].numpy() for pose in self.poses]
        return clock, np.stack(images)

    def ours(self, index: int) -> tuple[Clock, np.ndarray]:
        """An age as ``frbias generate`` makes it."""
        clock = Clock(dict.fromkeys(["as generated"], 0.0))
        start, busy = time.perf_counter(), time.process_time()
        (mine,) = self.s.faces([self.people[index]])
        images = self.s.images([(mine, pose) for pose in self.poses])
        clock.seconds["as generated"] = time.perf_counter() - start
        clock.processor = time.process_time() - busy
        return clock, images

    def stages(self, index: int) -> tuple[Clock, np.ndarray]:
        """An age stage by stage, on all threads."""
        clock = Clock()
        seen = face(self.s, self.people[index], clock)
        images = [to_bytes(view(self.s, seen, pose, clock))[0].numpy() for pose in self.poses]
        return clock, np.stack(images)

    def memory(self) -> float:
        """Peak of the renderer in MiB, planes included."""
        resolution = self.s.config.plane_resolution
        with PeakMemory() as memory:
            table = merge_planes(torch.randn(1, 3, self.s.config.plane_channels, resolution, resolution))
            pose, rendering = self.poses[0], self.s.config.rendering
            render(table, self.s.network.decoder, self.s._rays_of(pose), self.s._jitter_of(1), rendering)
        return memory.extra

    def warm_up(self, way: str) -> None:
        """The first image of a process is slower."""
        pose = self.poses[:1]
        everything, self.poses = self.poses, pose
        getattr(self, way)(0)
        self.poses = everything


@torch.inference_mode()
def serve(way: str, ages: int, poses: int, folder: Path) -> None:
    """In a process of its own: an age for every line on standard input."""
    if way != "published":
        keep_freed_memory()
    task = "published" if way.startswith("published") else "ours"
    made = Generation(ages, poses)
    memory = made.memory() if task == "ours" else 0.0
    made.warm_up(task)
    print(json.dumps({"memory": memory}), flush=True)
    for line in sys.stdin:
        name, index = line.split()
        clock, images = getattr(made, task if name == "whole" else name)(int(index))
        np.save(folder / f"{way}-{index}.npy", images)
        print(json.dumps({"seconds": clock.seconds, "processor": clock.processor}), flush=True)


class Server:
    """A process that makes images one way."""

    def __init__(self, way: str, ages: int, poses: int, folder: Path) -> None:
        command = [sys.executable, __file__, "--serve", way, "--ages", str(ages), "--poses", str(poses), str(folder)]
        environment = os.environ if way == "published" else {**os.environ, "THP_MEM_ALLOC_ENABLE": "1"}
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment)
        self.memory = self._answer()["memory"]

    def ask(self, what: str, index: int) -> Clock:
        assert self.process.stdin is not None
        print(what, index, file=self.process.stdin, flush=True)
        answer = self._answer()
        return Clock(answer["seconds"], answer["processor"])

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("a process of the benchmark ended early; see above")
        return json.loads(line)

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ages", type=int, default=3)
    parser.add_argument("--poses", type=int, default=4)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("folder", nargs="?", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.serve:
        serve(chosen.serve, chosen.ages, chosen.poses, Path(chosen.folder))
        return 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        servers = {way: Server(way, chosen.ages, chosen.poses, folder) for way in WAYS}
        clocks: dict[str, list[Clock]] = {way: [] for way in WAYS}
        largest = 0.0
        for index in range(chosen.ages):  # in turns, so that a busy machine slows all
            for way, server in servers.items():
                clocks[way].append(server.ask("whole", index))
            theirs, mine = (np.load(folder / f"{way}-{index}.npy").astype(float) for way in ("published", "frbias"))
            largest = max(largest, float(abs(theirs - mine).mean(axis=(1, 2, 3)).max()))
        stages = servers["frbias"].ask("stages", 0)
        for server in servers.values():
            server.close()
    return report(clocks, stages, (chosen.ages, chosen.poses), servers["frbias"].memory, largest)


def report(
    clocks: dict[str, list[Clock]], stages: Clock, size: tuple[int, int], memory: float, difference: float
) -> int:
    """Print the tables; 1 when a floor is missed."""
    ages, poses = size
    images = ages * poses
    total = {way: sum(clock.total for clock in found) / images for way, found in clocks.items()}
    busy = {way: sum(clock.processor for clock in found) / images for way, found in clocks.items()}
    mine = {name: seconds / poses for name, seconds in stages.seconds.items()}
    print(f"{ages} ages x {poses} poses, 512 px, {torch.get_num_threads()} threads; seconds an image")
    print(f"{'':20}{'published way':>15}{'with memory kept':>18}{'frbias':>10}")
    for stage in STAGES:
        theirs = [sum(c.seconds[stage] for c in clocks[way]) / images for way in WAYS[:2]]
        print(f"{stage:20}{theirs[0]:15.3f}{theirs[1]:18.3f}{mine[stage]:10.3f}")
    print(f"{'sum of stages':20}{total[WAYS[0]]:15.3f}{total[WAYS[1]]:18.3f}{sum(mine.values()):10.3f}")
    print(f"{'as generated':20}{total[WAYS[0]]:15.3f}{total[WAYS[1]]:18.3f}{total['frbias']:10.3f}")
    print(f"{'processor seconds':20}{busy[WAYS[0]]:15.3f}{busy[WAYS[1]]:18.3f}{busy['frbias']:10.3f}")
    ratio, kept = total[WAYS[0]] / total["frbias"], total[WAYS[1]] / total["frbias"]
    alone = sum(mine.values()) + (mine["mapping"] + mine["backbone"]) * (poses - 1)
    print(f"{ratio:.2f} times faster than the published way for each image by itself (floor {FLOOR})")
    print(f"{kept:.2f} times faster than the published way in a process that keeps freed memory")
    print(f"{alone / sum(mine.values()):.2f} times of that by reuse of planes (frbias with planes anew for each image)")
    print(
        f"peak memory of the renderer, planes included, beyond the weights: {memory:.0f} MiB (limit {MEMORY_LIMIT:.0f})"
    )
    print(f"mean difference of the images: at most {difference:.1e} of 255")
    missed = ratio < FLOOR or memory > MEMORY_LIMIT or difference > 0.05
    if missed:
        print("MISSED")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
