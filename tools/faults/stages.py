"""The commands that write, small, for the campaign of kills."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

_FINETUNE = (
    *("--frozen", "stem,1,2,3", "--epochs", "2", "--batch-size", "8", "--validation", "0.25", "--lr", "0.02"),
    *("--device", "cpu", "--save-every", "2"),
)


@dataclass(frozen=True)
class Case:
    """A command to kill.

    Attributes:
        name: What the table calls it.
        arguments: Of ``frbias``, run in a working folder with ``out`` and ``home`` (the data root) in it.
        before: Commands that are run to their end first, e.g. to leave what ``--force`` replaces.
        again: How the command is given after the kill; None for the same way.
    """

    name: str
    arguments: tuple[str, ...]
    before: tuple[tuple[str, ...], ...] = ()
    again: tuple[str, ...] | None = None


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
    """Make image set, aligned faces, embeddings and weights below ``root``.

    Args:
        root: New folder.
        run: Runs a command of frbias in a folder with a data root, to its end.
    """
    root.mkdir(parents=True)
    run(["generate", *_generate(4), "--size", "160", "--out", "photos"], root)
    run(["align", "photos", "--workers", "1", "--out", "aligned"], root)
    _make_weights(root / "small.safetensors", root / "aligned")
    _make_weights(root / "other.safetensors", root / "aligned", seed=6)
    for name in ("small", "other"):
        run(
            ["embed", "aligned", "--weights", f"{name}.safetensors", "--device", "cpu", "--out", f"embedded-{name}"],
            root,
        )
    shutil.make_archive(str(root / "photos"), "zip", root / "photos")
    return Inputs(root, root / "home")


def cases(inputs: Inputs) -> list[Case]:
    """Every command that writes."""
    photos, aligned, small = inputs["photos"], inputs["aligned"], inputs["small.safetensors"]
    one, two = inputs["embedded-small"], inputs["embedded-other"]
    measure = ("--bootstrap", "20", "--groups", "0-12,13+", "--at-fmr", "10%")
    generate = ("generate", *_generate(2), "--size", "64", "--out", "out")
    embed = ("embed", aligned, "--weights", small, "--device", "cpu", "--out", "out")
    add, data = ("models", "add", "mine", small), ("data", "import", "mine", photos)
    evaluate = ("evaluate", "--embeddings", one, *measure, "--no-figures", "--out", "out")
    images = ("--data", photos, "--weights", small, "--workers", "1")
    of_images = ("evaluate", *images, *measure, "--no-figures", "--out", "out")
    finetune = ("finetune", "--data", aligned, "--weights", small, *_FINETUNE, "--out", "out")
    return [
        Case("generate", generate),
        Case("generate --force", (*generate, "--seed", "1", "--force"), (generate,)),
        Case("align", ("align", photos, "--workers", "1", "--out", "out")),
        Case("embed", embed),
        Case("embed --force", (*embed, "--flip", "add", "--force"), (embed,)),
        Case("evaluate", evaluate),
        Case("evaluate with figures", (*evaluate[:-3], "--out", "out")),
        Case("evaluate of images, cached", of_images),
        Case(
            "compare",
            ("compare", one, two, *measure, "--no-figures", "--out", "out"),
        ),
        Case("finetune", finetune),
        Case("export", ("export", small, "--out", "out")),
        Case("models add", add, again=(*add, "--force")),
        Case("models add --force", (*add, "--force"), (("models", "add", "mine", inputs["other.safetensors"]),)),
        Case("data import of a folder", data),
        Case("data import of an archive", ("data", "import", "mine", inputs["photos.zip"])),
        Case("cache clear", ("cache", "clear"), (of_images,)),
    ]


def _generate(subjects: int) -> tuple[str, ...]:
    return ("--subjects", str(subjects), "--ages", "8,35", "--variants", "2", "--workers", "1")


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
