"""The commands that write, small, for the campaign of kills."""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

_FINETUNE = (
    *("--frozen", "stem,1,2,3", "--epochs", "2", "--batch-size", "4", "--validation", "0.5", "--lr", "0.02"),
    *("--device", "cpu", "--save-every", "2", "--cache", "on"),
)


@dataclass(frozen=True)
class Case:
    """A command to kill.

    Attributes:
        name: What the table calls it.
        arguments: Of ``frbias``, run in a working folder with ``out`` and ``home`` (the data root) in it.
        before: Commands that are run to their end first, e.g. to leave what ``--force`` replaces.
        again: How the command is given after the kill; None for the same way.
        at_most: Kills of a long command are spread over its operations, so many at most; 0: no bound.
    """

    name: str
    arguments: tuple[str, ...]
    before: tuple[tuple[str, ...], ...] = ()
    again: tuple[str, ...] | None = None
    at_most: int = 0


@dataclass(frozen=True)
class Inputs:
    """What the commands read; made once for a campaign.

    Attributes:
        root: Folder of all of it.
        home: A data root with the files that frbias carries already written out.
    """

    root: Path
    home: Path

    def __getitem__(self, name: str) -> str:
        return str(self.root / name)


def make_inputs(root: Path, run: Callable[[Sequence[str], Path], None]) -> Inputs:
    """Make image sets, aligned faces, embeddings, weights and an experiment file below ``root``.

    Args:
        root: New folder.
        run: Runs a command of frbias in a folder with a data root, to its end.
    """
    root.mkdir(parents=True)
    for name, people in (("photos", 4), ("few", 2), ("one", 1)):
        run(["generate", *_generate(people, variants=2), "--size", "160", "--seed", str(people), "--out", name], root)
    run(["align", "photos", "--workers", "1", "--out", "aligned"], root)
    _make_weights(root / "small.safetensors", root / "aligned")
    _make_weights(root / "other.safetensors", root / "aligned", seed=6)
    for name, seed in (("tiny", 1), ("minute", 2)):
        write_onnx(root / f"{name}.onnx", seed)
        run(["embed", "aligned", "--weights", f"{name}.onnx", "--device", "cpu", "--out", f"embedded-{name}"], root)
    run(["evaluate", "--embeddings", "embedded-tiny", *MEASURE, "--no-figures", "--out", "evaluated"], root)
    (root / "experiment.toml").write_text(_experiment(root, "0.02"), encoding="utf-8")
    (root / "grid.toml").write_text(_experiment(root, "[0.02, 0.01]"), encoding="utf-8")
    shutil.make_archive(str(root / "photos"), "zip", root / "photos")
    (root / "scores.csv").write_text(_scores(), encoding="utf-8")
    (root / "pairs.csv").write_text(_pairs(root / "aligned"), encoding="utf-8")
    return Inputs(root, root / "home")


ONE_RATE = ("--at-fmr", "25%")
MEASURE = ("--bootstrap", "20", "--groups", "0-12,13+", *ONE_RATE)
ANYWHERE = ("--device", "cpu", "--workers", "1")


def cases(inputs: Inputs) -> list[Case]:
    """Every command that writes."""
    return [*_making(inputs), *_measuring(inputs), *_learning(inputs), *_keeping(inputs)]


def _making(inputs: Inputs) -> list[Case]:
    generate = ("generate", *_generate(2), "--size", "64", "--out", "out")
    people = ("--weights", "tiny", "--subjects", "2", "--poses", "0,10x0", "--batch-size", "3")
    batches = ("generate", "--backend", "eg3d", *people, "--device", "cpu", "--out", "out")
    align = ("align", inputs["one"], "--workers", "1", "--out", "out")
    embed = ("embed", inputs["aligned"], "--weights", inputs["tiny.onnx"], "--device", "cpu", "--out", "out")
    return [
        Case("generate", generate),
        Case("generate --force", (*generate, "--seed", "1", "--force"), (generate,)),
        Case("generate in batches", batches),
        Case("align", align),
        Case("align --force", (*align, "--max-residual", "0.9", "--force"), (align,)),
        Case("embed", embed),
        Case("embed --force", (*embed, "--flip", "add", "--force"), (embed,)),
    ]


def _measuring(inputs: Inputs) -> list[Case]:
    one, two, weights = inputs["embedded-tiny"], inputs["embedded-minute"], inputs["tiny.onnx"]
    plain = ("evaluate", "--embeddings", one, *MEASURE, "--no-figures", "--out", "out")
    images = ("evaluate", "--data", inputs["few"], "--weights", weights, *MEASURE, "--no-figures", *ANYWHERE)
    images = (*images, "--out", "out")
    pairs = ("evaluate", "--pairs", inputs["pairs.csv"], "--data", inputs["aligned"], "--weights", weights, *ANYWHERE)
    pairs = (*pairs, *MEASURE[:2], "--no-figures", "--out", "out")
    compare = ("compare", one, two, *MEASURE, "--out", "out")
    audit = ("audit", inputs["few"], "--weights", weights, "--no-apparent-ages", *ANYWHERE, "--out", "out")
    report = ("report", inputs["evaluated"], "--people", inputs["photos"], "--stage", one, "--out", "out/page.html")
    return [
        Case("evaluate", plain),
        Case("evaluate --force", (*plain, "--seed", "1", "--force"), (plain,)),
        Case(
            "evaluate of scores",
            ("evaluate", "--scores", inputs["scores.csv"], *MEASURE[:2], *ONE_RATE, "--out", "out"),
        ),
        Case("evaluate of pairs", pairs),
        Case("evaluate with figures", ("evaluate", "--embeddings", one, *MEASURE, "--out", "out")),
        Case("evaluate of images, cached", images),
        Case("compare", compare),
        Case("compare --force", (*compare, "--no-figures", "--force"), (compare,)),
        Case("audit", audit),
        Case("audit --drop --force", (*audit, "--drop", "clean", "--seed", "1", "--force"), (audit,)),
        Case("report", report),
        Case("report with tables", (*report[:2], "--tables", "--out", "out/page.html"), at_most=60),
        Case("report over an earlier page", (*report, "--title", "again"), (report,), at_most=60),
    ]


def _learning(inputs: Inputs) -> list[Case]:
    small = inputs["small.safetensors"]
    finetune = ("finetune", "--data", inputs["aligned"], "--weights", small, *_FINETUNE, "--out", "out")
    adapt = ("adapt", inputs["aligned"], "--weights", inputs["tiny.onnx"], *ANYWHERE, "--out", "out")
    export = ("export", small, "--out", "out")
    return [
        Case("finetune", finetune),
        Case("finetune --force", (*finetune, "--seed", "1", "--force"), (finetune,), at_most=20),
        Case("adapt", adapt),
        Case("adapt --force", (*adapt, "--seed", "1", "--force"), (adapt,)),
        Case("export", export),
        Case(
            "export --force", ("export", inputs["other.safetensors"], "--out", "out", "--force"), (export,), at_most=15
        ),
        Case("run", ("run", inputs["experiment.toml"], *ANYWHERE, "--out", "out"), at_most=30),
        Case("run of a grid", ("run", inputs["grid.toml"], *ANYWHERE, "--out", "out"), at_most=10),
    ]


def _keeping(inputs: Inputs) -> list[Case]:
    small, photos = inputs["small.safetensors"], inputs["photos"]
    add, onnx = ("models", "add", "mine", small), ("models", "add", "tiny", inputs["tiny.onnx"])
    data = ("data", "import", "mine", photos)
    convert, publish = (
        ("models", "convert", small, "out.safetensors"),
        ("data", "export", inputs["few"], "--out", "out"),
    )
    cached = next(case for case in _measuring(inputs) if case.name == "evaluate of images, cached")
    return [
        Case("models add", add, again=(*add, "--force")),
        Case("models add --force", (*add, "--force"), (("models", "add", "mine", inputs["other.safetensors"]),)),
        Case("models add of an ONNX", onnx, again=(*onnx, "--force")),
        Case("models convert", convert, again=(*convert, "--force")),
        Case(
            "models convert --force",
            (*convert, "--force"),
            (("models", "convert", inputs["other.safetensors"], convert[-1]),),
        ),
        Case("models remove", ("models", "remove", "mine"), (add,)),
        Case("data import of a folder", data),
        Case("data import of an archive", ("data", "import", "mine", inputs["photos.zip"])),
        Case("data import --force", ("data", "import", "mine", inputs["few"], "--force"), (data,)),
        Case("data add", ("data", "add", "mine", photos)),
        Case("data remove", ("data", "remove", "mine"), (("data", "add", "mine", photos),)),
        Case("data export", publish),
        Case("data export --force", ("data", "export", inputs["one"], "--out", "out", "--force"), (publish,)),
        Case("cache clear", ("cache", "clear"), (cached.arguments,)),
    ]


def _generate(subjects: int, variants: int = 1) -> tuple[str, ...]:
    return ("--subjects", str(subjects), "--ages", "8,35", "--variants", str(variants), "--workers", "1")


def _scores() -> str:
    """Scores of two groups, as somebody else's program gives them."""
    rng = np.random.default_rng(4)
    rows = [f"{rng.normal(mated):.6f},{mated},{'fm'[k % 2]}" for k in range(80) for mated in (0, 1)]
    return "\n".join(["score,mated,group", *rows, ""])


def _pairs(aligned: Path) -> str:
    """A list of pairs of the images of a set, in two folds."""
    from itertools import combinations

    from frbias.core.data.samples import read_samples

    frame = read_samples(aligned).frame
    found = []
    for one, two in combinations(zip(frame["file_name"], frame["subject"], strict=True), 2):
        found.append((int(one[1] == two[1]), one[0], two[0]))
    chosen = [pair for mated in (0, 1) for pair in [p for p in found if p[0] == mated][:12]]
    rows = [f"{one},{two},{mated},{1 + k % 2}" for k, (mated, one, two) in enumerate(chosen)]
    return "\n".join(["file1,file2,mated,fold", *rows, ""])


def _experiment(root: Path, rates: str) -> str:
    """Generate, align, fine-tune, embed, compare and report, each as small as it goes."""
    return f"""name = "faults"
[train]
data = {json.dumps(str(root / "aligned"))}
[test]
backend = "mesh"
subjects = 2
ages = [8, 35]
variants = 2
size = 96
seed = 9
[finetune]
weights = {json.dumps(str(root / "small.safetensors"))}
frozen = "stem,1,2,3"
lr = {rates}
epochs = 1
batch-size = 4
validation = 0.5
cache = "on"
[evaluate]
groups = "0-12,13+"
at-fmr = [0.25]
bootstrap = 20
figures = false
"""


def write_onnx(path: Path, seed: int) -> None:
    """A recogniser of a few hundred weights: convolution, pooling, linear layer; 112x112 RGB to 16 numbers."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(seed)
    values = {"w": rng.normal(0, 0.2, (8, 3, 5, 5)), "m": rng.normal(0, 0.5, (16, 8)), "b": rng.normal(0, 0.1, 16)}
    nodes = [
        helper.make_node("Conv", ["face", "w"], ["map"], strides=[4, 4]),
        helper.make_node("Tanh", ["map"], ["bent"]),
        helper.make_node("GlobalAveragePool", ["bent"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Gemm", ["flat", "m", "b"], ["vector"], transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "recogniser",
        [helper.make_tensor_value_info("face", TensorProto.FLOAT, ["N", 3, 112, 112])],
        [helper.make_tensor_value_info("vector", TensorProto.FLOAT, ["N", 16])],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in values.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, str(path))


def _make_weights(path: Path, aligned: Path, seed: int = 5) -> None:
    """A MobileFaceNet with random weights whose BatchNorm statistics are those of the faces."""
    import torch
    from safetensors.torch import save_file

    from frbias.core.data.images import read_image
    from frbias.core.data.samples import read_samples
    from frbias.core.recognisers.trainable.weights import build

    pixels = np.stack([read_image(p) for p in read_samples(aligned).paths])
    torch.manual_seed(seed)
    model = build("mobilefacenet").train()
    for norm in model.modules():
        if isinstance(norm, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            norm.momentum = 1.0
    with torch.no_grad():
        model(model.preprocess(torch.from_numpy(pixels)))
    save_file(model.state_dict(), path)
