"""What is run on the pretended device: each case compares with the CPU and gives what was counted."""

import copy
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from counting import COUNTS
from device import MixedDevices, PretendedCuda
from safetensors.torch import load_file, save_file

from frbias.core.data.samples import SampleTable, read_samples
from frbias.core.foundation.machine import Machine, Resources
from frbias.core.recognisers.loading import load_recogniser
from frbias.core.recognisers.trainable.mobilefacenet import Group, MobileFaceNet, Shape
from frbias.core.recognisers.trainable.weights import build
from frbias.core.stages.finetune import FinetuneResult, finetune
from frbias.core.stages.requests.finetune import FinetuneRequest

Counted = dict[str, Any]
CASES: dict[str, Callable[[Path], Counted]] = {}
CPU, GPU = Machine(Resources(device="cpu", batch_size=8)), Machine(Resources(device="cuda", batch_size=8))
_SMALL = "small.safetensors"


def case(function: Callable[[Path], Counted]) -> Callable[[Path], Counted]:
    """Add a case under the name of the function."""
    CASES[function.__name__] = function
    return function


def prepare(root: Path, make_people: Callable[..., SampleTable]) -> None:
    """Two small image sets and a recogniser for all cases."""
    people = make_people(root / "people", images=3)
    make_people(root / "others", subjects=3, images=3, seed=9, prefix="q")
    torch.manual_seed(5)
    groups = (Group(16, 16, 1, 16),) * 3  # what lies where does not hang on widths
    model = MobileFaceNet(Shape(16, 16, groups, 32, 64)).train()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            module.momentum = 1.0
    from frbias.core.training.pixels import read_faces

    with torch.no_grad():
        model(model.preprocess(torch.from_numpy(read_faces(people).pixels)))
    save_file(model.state_dict(), root / _SMALL)


def same(found: npt.NDArray[Any], expected: npt.NDArray[Any], within: float) -> None:
    """Refuse arrays that differ by more than ``within``."""
    apart = float(np.abs(found.astype(np.float64) - expected.astype(np.float64)).max())
    if not apart <= within:
        raise AssertionError(f"differs from the CPU by {apart:.2e}, more than {within:g}")


def _backbone(architecture: str) -> Counted:
    torch.manual_seed(1)
    one = build(architecture).train()
    two = copy.deepcopy(one)
    faces = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 112, 112, 3), dtype=np.uint8))
    expected = one(one.preprocess(faces))
    expected.square().sum().backward()
    with PretendedCuda():
        two.to("cuda")
        COUNTS.clear()
        found = two(two.preprocess(faces.to("cuda")))
        found.square().sum().backward()
        counted = COUNTS.to_json()
        same(found.detach().cpu().numpy(), expected.detach().numpy(), 1e-3)
        first = next(p for p in two.parameters() if p.grad is not None)
        gradient = first.grad.cpu().numpy()
    given = next(p for p in one.parameters() if p.grad is not None).grad
    same(gradient, given.numpy(), 1e-3 * float(given.abs().max()))
    return counted


@case
def backbone_iresnet(root: Path) -> Counted:
    return _backbone("iresnet18")


@case
def backbone_adaface(root: Path) -> Counted:
    return _backbone("ir18")


@case
def backbone_mobilefacenet(root: Path) -> Counted:
    return _backbone("mobilefacenet")


@case
def backbone_sface(root: Path) -> Counted:
    return _backbone("sface")


@case
def embedding(root: Path) -> Counted:
    from frbias.core.stages.embed import embed_images
    from frbias.core.stages.requests.embed import EmbedOptions

    table, options = read_samples(root / "people"), EmbedOptions(flip="add")
    expected = embed_images(table, load_recogniser(str(root / _SMALL)), options=options, machine=CPU).matrix
    with PretendedCuda(devices=2):
        second = Machine(Resources(device="cuda:1", batch_size=8))
        there = load_recogniser(str(root / _SMALL)).on("cuda:1")
        COUNTS.clear()
        found = embed_images(table, there, options=options, machine=second).matrix
        counted = COUNTS.to_json()
    same(found, expected, 1e-4)
    return counted


def _train(root: Path, name: str, device: Machine, **options: Any) -> tuple[FinetuneResult, dict[str, torch.Tensor]]:
    given: dict[str, Any] = {
        "data": str(root / "people"),
        "weights": str(root / _SMALL),
        "frozen": ("stem", "1", "2"),
        "epochs": 1,
        "batch_size": 8,
        "validation": 0.34,
        "lr": 0.001,
        "prefix_dtype": "fp32",
        "cache_dtype": "fp32",
        **options,
    }
    done = finetune(FinetuneRequest(**given), root / name, machine=device)
    return done, load_file(root / name / "checkpoints" / "last" / "backbone.safetensors")


def _trained(root: Path, name: str, *, within: float = 1e-3, **options: Any) -> Counted:
    """Train on both devices: the weights end in the same place, to a share ``within`` of the way they went."""
    from frbias.core.training.trainer import Trainer

    _, expected = _train(root, f"{name}-cpu", CPU, **options)
    steps: list[Counted] = []
    step = Trainer._step

    def watched(it: Trainer, *arguments: Any) -> None:
        COUNTS.clear()
        step(it, *arguments)
        steps.append(COUNTS.to_json())

    Trainer._step = watched  # type: ignore[method-assign]
    try:
        with PretendedCuda():
            _, found = _train(root, f"{name}-gpu", GPU, **options)
    finally:
        Trainer._step = step  # type: ignore[method-assign]
    start = load_file(root / _SMALL)
    way = sum(float((start[k].float() - expected[k].float()).square().sum()) for k in expected)
    apart = sum(float((found[k].float() - expected[k].float()).square().sum()) for k in expected)
    if not apart <= within**2 * way:
        raise AssertionError(f"trained weights are {(apart / way) ** 0.5:.2e} of the way from the CPU's")
    return steps[-1]


@case
def training_cached(root: Path) -> Counted:
    return _trained(root, "cached", cache="on", keep=0.1, eval_data=str(root / "others"), eval_every=1)


@case
def training_uncached(root: Path) -> Counted:
    return _trained(root, "uncached", cache="off", augment="fresh", keep=0.1, ema=0.5, clip=1.0, accumulate=2)


@case
def training_of_all(root: Path) -> Counted:
    return _trained(root, "all", frozen=(), l2sp=0.01, loss="cosface", margin=0.35, optimiser="adamw", within=0.05)


@case
def training_bf16(root: Path) -> Counted:
    return _trained(root, "bf16", amp="bf16", cache="on", loss="combined", filter_above=0.4, within=0.2)


@case
def training_fp16(root: Path) -> Counted:
    """fp16 is refused on the CPU: the weights have to move, and stay finite."""
    with PretendedCuda():
        done, _ = _train(root, "fp16", GPU, amp="fp16", loss="softmax", gradient="straight")
    losses = [r["loss"] for r in done.metrics if r.get("loss") is not None]
    if not (len(losses) == 1 and all(np.isfinite(losses))):
        raise AssertionError(f"losses {losses}")
    return {}


@case
def resuming(root: Path) -> Counted:
    """Cut after an epoch on the device, it goes on to the same weights; cut there, it goes on on the CPU too."""

    class StoppedError(Exception):
        pass

    def stop(record: dict[str, Any]) -> None:
        if record["epoch"] == 1:
            raise StoppedError

    how: dict[str, Any] = {
        "data": str(root / "people"), "weights": str(root / _SMALL), "frozen": ("stem", "1", "2", "3"), "epochs": 2,
        "batch_size": 8, "validation": 0.34, "ema": 0.9, "save_every": 1, "cache": "on", "prefix_dtype": "fp32",
    }  # fmt: skip
    request = FinetuneRequest(**how)
    with PretendedCuda():
        whole = finetune(request, root / "whole", machine=GPU)
        try:
            finetune(request, root / "cut", machine=GPU, observe=stop)
        except StoppedError:
            shutil.copytree(root / "cut", root / "moved")
        cut = finetune(request, root / "cut", machine=GPU)
    moved = finetune(request, root / "moved", machine=CPU)
    if cut.weights_sha256 != whole.weights_sha256 or moved.epochs != 2:
        raise AssertionError("the resumed training ended elsewhere")
    return {}


@case
def cusp(root: Path) -> Counted:
    from frbias.synth.cusp import trial
    from frbias.synth.cusp.editing import CuspEditor, to_pixels

    faces = list(np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8))
    counted: Counted = {}
    for rule, noise, precision, within in (
        ("intended", "const", "fp32", 1), ("as_released_head", "random", "fp16", 24), ("off", "none", "bf16", 64),
    ):  # fmt: skip
        pictures = []
        for device in ("cpu", "cuda"):
            with PretendedCuda() if device == "cuda" else torch.enable_grad():
                editor = CuspEditor(
                    trial.tiny_network(101),
                    rule=rule,  # type: ignore[arg-type]
                    classifier=trial.random_classifier(),
                    precision=precision,  # type: ignore[arg-type]
                    device=torch.device(device, 0) if device == "cuda" else torch.device("cpu"),
                )
                COUNTS.clear()
                encoded = editor.encode_all(faces)
                images = editor.decode([encoded[k] for k in (0, 0, 1)], [10, 40, 70], noise, [1, 2, 3])  # type: ignore[arg-type]
                pictures.append(to_pixels(images))
                counted[rule] = COUNTS.to_json()
        same(pictures[1], pictures[0], within)
    return counted["intended"]  # type: ignore[no-any-return]


@case
def eg3d(root: Path) -> Counted:
    from frbias.synth.eg3d.cameras import Pose
    from frbias.synth.eg3d.loading import tiny_generator
    from frbias.synth.eg3d.synthesizer import Person, SynthesisOptions, Synthesizer

    persons, poses = [Person(1, 20.0), Person(2, 60.0)], [Pose(), Pose(20, 10)]
    counted: Counted = {}
    for noise, jitter, half, within in (("const", "random", torch.float32, 1), ("random", "even", torch.float16, 24)):
        how = SynthesisOptions(noise=noise, jitter=jitter, half=half)  # type: ignore[arg-type]

        def images(device: str, how: SynthesisOptions = how) -> npt.NDArray[np.uint8]:
            made = Synthesizer(tiny_generator(), device, how)
            COUNTS.clear()
            return made.images([(face, pose) for face in made.faces(persons) for pose in poses])

        expected = images("cpu")
        with PretendedCuda():
            found = images("cuda:0")
            counted[noise] = COUNTS.to_json()
        same(found, expected, within)
    return counted["const"]  # type: ignore[no-any-return]


@case
def age_estimator(root: Path) -> Counted:
    from frbias.core.faces.dex import DexEstimator
    from frbias.synth.cusp import trial

    faces = np.random.default_rng(0).integers(0, 256, (20, 64, 64, 3), dtype=np.uint8)
    expected = DexEstimator(trial.random_classifier())(faces)
    with PretendedCuda():
        estimator = DexEstimator(trial.random_classifier(), "cuda:0")
        COUNTS.clear()
        found = estimator(faces)
        counted = COUNTS.to_json()
    same(found, expected, 1e-3)
    return counted


@case
def accelerator(root: Path) -> Counted:
    from frbias.core.stages.accelerator import device_product
    from frbias.core.verification.evaluation import evaluate_embeddings

    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(1800, 32)).astype(np.float32)
    subjects = np.array([f"s{i // 4}" for i in range(1800)])
    ages = np.repeat(np.tile([10.0, 30, 50], 150), 4)
    how: dict[str, Any] = {"bootstrap": 0, "name": "x", "threads": 1, "curves": False}
    one = evaluate_embeddings(vectors, subjects, ages, **how).to_json()
    with PretendedCuda():
        COUNTS.clear()
        two = evaluate_embeddings(vectors, subjects, ages, product=device_product("cuda:0"), **how).to_json()
        counted = COUNTS.to_json()
    if one["targets"] != two["targets"]:
        raise AssertionError("other rates than on the CPU")
    return counted


@case
def planted(root: Path) -> Counted:
    """The test of the test: a tensor left on the CPU, and one on another device, have to be refused."""
    with PretendedCuda(devices=2):
        model = build("mobilefacenet").to("cuda:0")
        for where in ("cpu", "cuda:1"):
            try:
                model(torch.zeros(1, 3, 112, 112).to(where))
            except MixedDevices:
                continue
            raise AssertionError(f"a batch on {where} beside a network on cuda:0 was not noticed")
        try:
            torch.zeros(2).to("cuda").numpy()
        except MixedDevices:
            return {}
    raise AssertionError("numpy() of a tensor of the device was not noticed")
