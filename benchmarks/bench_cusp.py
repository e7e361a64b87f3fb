"""CUSP at the size of the released FFHQ-RR network, random weights: encode once and decode many, against the
original's way of running it (the picture repeated for every age, weights merged per sample into grouped
convolutions, the age mask computed for each copy). Same numbers, measured side by side.

Each way runs in a process of its own, in turn; peak memory is the process' largest resident set.

    python benchmarks/bench_cusp.py [--ages 8] [--runs 2] [--rule intended]
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from frbias.synth.cusp.editing import CuspEditor, to_input
from frbias.synth.cusp.network import CuspNetwork
from frbias.synth.cusp.saliency import MaskRule, gradient_map, kernel_taps, mask_is_zero, smoothing_line
from frbias.synth.cusp.trial import random_classifier, random_network, released_config
from frbias.synth.resampling import fir_kernel, upsample
from frbias.synth.stylegan2 import StyledConv

T = TypeVar("T")
LABELS = 101
CPU = "CPU"  # among the stages: CPU time of all of them
WAYS = ("original", "ours")
VGG_WIDTHS, VGG_HIDDEN = (64, 128, 256, 512, 512), 4096


def stage(times: dict[str, float], name: str, work: Callable[[], T]) -> T:
    started, busy = time.perf_counter(), time.process_time()
    result = work()
    times[name] = times.get(name, 0.0) + time.perf_counter() - started
    times[CPU] = times.get(CPU, 0.0) + time.process_time() - busy
    return result


def picture(side: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)


def grouped_layer(layer: StyledConv, x: Tensor, w: Tensor) -> Tensor:
    """Modulate and demodulate a weight per sample, then one grouped convolution over the merged batch."""
    n, height = len(x), x.shape[-1]
    weight = layer.weight[None] * layer.affine(w)[:, None, :, None, None]
    weight = weight * torch.rsqrt(weight.square().sum(dim=(2, 3, 4), keepdim=True) + 1e-8)
    out, inputs = layer.weight.shape[:2]
    merged = x.reshape(1, n * inputs, height, height)
    if layer.up:
        merged_weight = weight.transpose(1, 2).reshape(n * inputs, out, 3, 3)
        y = F.conv_transpose2d(merged, merged_weight, stride=2, groups=n)
        y = F.pad(y, (1, 1, 1, 1))
        kernel = (fir_kernel() * 4)[None, None].expand(n * out, 1, 4, 4)
        y = F.conv2d(y, kernel, groups=n * out)
    else:
        y = F.conv2d(merged, weight.reshape(n * out, inputs, 3, 3), padding=1, groups=n)
    y = y.reshape(n, out, layer.resolution, layer.resolution) + layer.noise_const * layer.noise_strength
    y = F.leaky_relu(y, 0.2) * 2**0.5
    return y if layer.clamp is None else y.clamp(-layer.clamp, layer.clamp)


def original_way(network: CuspNetwork, labels: Tensor, rule: MaskRule) -> tuple[Tensor, dict[str, float]]:
    """Everything for every age; the dense blur kernels and the full width of the mask smoothing of the original."""
    times: dict[str, float] = {}
    classifier = random_classifier(VGG_WIDTHS, VGG_HIDDEN)
    x = (
        to_input(picture(network.config.resolution)[None], torch.device("cpu"))
        .expand(len(labels), -1, -1, -1)
        .contiguous()
    )
    n = network
    with torch.no_grad():
        content = stage(times, "encoders", lambda: n.content_enc(x))
        style = stage(times, "encoders", lambda: n.style_code(x))
        ws = n.slots(style, n.age_codes(labels))
        skip = content[n.config.skip_level]

        def dense(t: Tensor, strength: float) -> Tensor:
            kernel = n.blur_list[int(strength * 1023)]
            flat = t.reshape(-1, 1, *t.shape[-2:])
            return F.conv2d(flat, kernel[None, None], padding=kernel.shape[-1] // 2).reshape(t.shape)

        light = stage(times, "blurs", lambda: dense(skip, 0.2))
        strong = stage(times, "blurs", lambda: dense(light, 0.8))

        def mask() -> Tensor:
            gradients = gradient_map(classifier, x)
            line = smoothing_line(kernel_taps(n.config.resolution, rule))
            smooth = F.conv2d(gradients, line.view(1, 1, -1, 1), padding=(len(line) // 2, 0))
            smooth = F.conv2d(smooth, line.view(1, 1, 1, -1), padding=(0, len(line) // 2))
            top = 2 * smooth.std(dim=(1, 2, 3), keepdim=True) + 1e-15
            return F.adaptive_avg_pool2d(1 - torch.minimum(smooth, top) / top, skip.shape[-1])

        kept = stage(times, "mask", mask)
        merged = light * kept + strong * (1 - kept)

        def decode() -> Tensor:
            h, image = content[-1], None
            for i, block in enumerate(n.image_dec.blocks()):
                if i == n.config.skip_block:
                    h = torch.cat([h, merged], dim=1)
                h = grouped_layer(block.conv0, h, ws[:, 3 * i])
                h = grouped_layer(block.conv1, h, ws[:, 3 * i + 1])
                mine = block.torgb(h, ws[:, 3 * i + 2])
                image = mine if image is None else mine + upsample(image)
            assert image is not None
            return image

        return stage(times, "decoder", decode), times


def our_way(network: CuspNetwork, labels: Tensor, rule: MaskRule) -> tuple[Tensor, dict[str, float]]:
    """One encoding, all ages decoded; a mask that is provably 0 is not computed."""
    times: dict[str, float] = {}
    classifier = None if mask_is_zero(network.config.resolution, rule) else random_classifier(VGG_WIDTHS, VGG_HIDDEN)
    editor = CuspEditor(network, rule=rule, classifier=classifier)
    name = "encoders, blurs, mask" if classifier else "encoders, blurs"
    face = stage(times, name, lambda: editor.encode(picture(network.config.resolution)))
    images = stage(times, "decoder", lambda: editor.decode([face] * len(labels), [int(label) for label in labels]))
    return images, times


def child(way: str, rule: MaskRule, ages: int, out: Path) -> None:
    network = random_network(released_config(LABELS), seed=0)
    labels = torch.linspace(20, 65, ages).long()
    run = original_way if way == "original" else our_way
    images, times = run(network, labels, rule)
    busy = times.pop(CPU)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    np.save(out, images.numpy())
    sys.stdout.write(json.dumps({"total": sum(times.values()), "cpu": busy, "stages": times, "peak_mb": peak}))


def compare(rule: MaskRule, ages: int, runs: int, folder: Path) -> None:
    best: dict[str, Any] = {}
    for _ in range(runs):
        for way in WAYS:
            command = [sys.executable, __file__, "--child", way, "--rule", rule, "--ages", str(ages)]
            done = subprocess.run([*command, "--out", str(folder / way)], capture_output=True, text=True, check=True)
            record = json.loads(done.stdout)
            if way not in best or record["total"] < best[way]["total"]:
                best[way] = record
    pictures = [np.load(folder / f"{way}.npy") for way in WAYS]
    difference = np.abs(pictures[0] - pictures[1]).max() / np.abs(pictures[0]).max()
    print(f"mask rule {rule}")
    for way, record in best.items():
        stages = "  ".join(f"{name} {seconds:.2f}" for name, seconds in record["stages"].items())
        print(
            f"  {way:8s} {record['total']:6.2f} s  {record['cpu']:6.2f} CPU-s  peak {record['peak_mb']:5.0f} MB   {stages}"
        )
    ratios = [best["original"][unit] / best["ours"][unit] for unit in ("total", "cpu")]
    print(f"  original / ours: {ratios[0]:.2f} (wall), {ratios[1]:.2f} (CPU)")
    print(f"  largest difference, of the largest value: {difference:.1e}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ages", type=int, default=8)
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rule", choices=["as_released_head", "intended"], default=None, help="one rule only")
    parser.add_argument("--child", default="", help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, default=None, help=argparse.SUPPRESS)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    if given.child:
        child(given.child, given.rule, given.ages, given.out.with_suffix(".npy"))
        return
    print(f"CUSP RR 224, 1 picture x {given.ages} ages, fp32, {given.threads} threads, best of {given.runs}")
    with tempfile.TemporaryDirectory() as folder:
        for rule in [given.rule] if given.rule else ["as_released_head", "intended"]:
            compare(rule, given.ages, given.runs, Path(folder))


if __name__ == "__main__":
    main()
