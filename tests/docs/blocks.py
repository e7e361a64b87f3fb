"""The fenced blocks of the documentation, and what a reader is supposed to have before running them."""

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_BLOCK = re.compile(r"(?:<!--\s*not run:\s*([^>]*?)\s*-->\s*\n)?^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
_COMMENT = re.compile(r"\s+#\s.*$")
PROGRAMS = ("frbias", "make")


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        page: Where it stands.
        language: ``python``, ``toml``, ... or empty.
        text: What is in it.
        not_run: Why it cannot be run; empty when it can.
    """

    page: Path
    language: str
    text: str
    not_run: str

    @property
    def commands(self) -> list[str]:
        """Its command lines, without what is said about them."""
        joined = self.text.replace("\\\n", " ")
        lines = [_COMMENT.sub("", line).strip() for line in joined.splitlines()]
        return [line for line in lines if line.split(" ")[0] in PROGRAMS]

    @property
    def runs(self) -> bool:
        """Whether there is something to run in it."""
        return self.language == "python" or (not self.language and bool(self.commands))


def blocks_of(page: Path) -> list[Block]:
    """Every block of a page, in order."""
    found = _BLOCK.findall(page.read_text(encoding="utf-8"))
    return [Block(page, language, text, reason) for reason, language, text in found]


# What makes a line of the documentation small enough for a test; names of options stay as they are written.
_FEWER = {"--subjects": 4, "--variants": 1, "--epochs": 1}
_MORE = {
    "generate": ("--size", "128", "--variants", "1", "--workers", "1"),
    "align": ("--workers", "1"),
    "audit": ("--workers", "1"),
    "finetune": ("--epochs", "1", "--batch-size", "6", "--device", "cpu"),
    "evaluate": ("--bootstrap", "20", "--no-figures"),
    "compare": ("--bootstrap", "20", "--no-figures"),
}


def small(line: str) -> list[str]:
    """The words of a command line, made small: fewer people and epochs, no figures."""
    words = shlex.split(line)[1:]
    for name, most in _FEWER.items():
        if name in words:
            place = words.index(name) + 1
            words[place] = str(min(int(words[place]), most))
    more = _MORE.get(words[0], ())
    given = {word.partition("=")[0] for word in words}
    if words[0] == "run":  # minutes, or what nobody has
        return [*words, *(["--dry-run"] if "--dry-run" not in words else [])]
    if "--layout" in words:  # a thousand pictures, whose number is fixed
        return [*words, "--dry-run"]
    if words[0] == "generate" and "mesh" not in words:
        return words
    pairs = [(more[k], more[k + 1 : k + 2]) for k in range(len(more)) if more[k].startswith("--")]
    for name, value in pairs:
        if name not in given:
            words += [name, *(v for v in value if not v.startswith("--"))]
    return words


def faces(place: Path, size: int = 112) -> None:
    """Aligned faces of six people, young and old: rendered, no photographs."""
    import frbias

    frbias.generate(place, subjects=6, ages=[5, 40], variants=1, size=size, workers=1)


def others(place: Path) -> None:
    """Aligned faces of other people."""
    import frbias

    frbias.generate(place, subjects=6, first_subject=100, ages=[5, 40], variants=1, size=112, workers=1)


def portraits(place: Path) -> None:
    """Pictures to be aligned."""
    import frbias

    frbias.generate(place, subjects=2, ages=[20, 40], variants=1, size=256, workers=1)


def embeddings(place: Path) -> None:
    """Embeddings of twenty people by some recogniser."""
    import pandas as pd

    from frbias.core.data.embeddings import Embeddings, write_embeddings

    rng = np.random.default_rng(sum(map(ord, place.name)))
    who = np.arange(240) % 40
    ages = np.array([5.0, 15.0, 25.0, 45.0, 50.0, 65.0])[np.arange(240) // 40]
    names = [f"{k}.png" for k in range(240)]
    frame = pd.DataFrame({"file_name": names, "subject": [f"s{w}" for w in who], "age": ages, "sex": "f"})
    matrix = np.random.default_rng(0).normal(size=(40, 16))[who] + rng.normal(size=(240, 16))
    write_embeddings(place / "embeddings.parquet", Embeddings(frame, matrix.astype(np.float32), {"name": place.name}))


def scores(place: Path) -> None:
    """Scores of two groups."""
    rng = np.random.default_rng(0)
    mated = [k % 8 == 0 for k in range(4000)]
    lines = ["score,mated,group"]
    lines += [f"{rng.normal(0.6 * m, 0.2):.4f},{int(m)},{'old' if k % 3 else 'young'}" for k, m in enumerate(mated)]
    place.write_text("\n".join(lines) + "\n")


def evaluated(place: Path) -> None:
    """The folder of a finished evaluation."""
    import frbias

    embeddings(place.parent / "some-embeddings")
    frbias.evaluate(embeddings=place.parent / "some-embeddings", out=place, at_fmr=0.1, bootstrap=20, figures=False)


def grid(place: Path) -> None:
    """The grid that the page about grids shows."""
    page = next(page for page in PAGES if page.name == "grids.md")
    place.write_text(next(block.text for block in blocks_of(page) if block.language == "toml"))


def thesis(place: Path) -> None:
    """The thesis' experiment, as in the repository."""
    place.parent.mkdir(exist_ok=True)
    place.write_text((ROOT / "experiments" / place.name).read_text())


def archive(place: Path) -> None:
    """A MORPH-like archive."""
    import zipfile

    from PIL import Image

    Image.new("RGB", (60, 80), (120, 90, 80)).save(place.parent / "picture.jpg")
    with zipfile.ZipFile(place, "w") as packed:
        for name in ("00001_0M33.JPG", "00001_1M35.JPG", "00002_0F21.JPG"):
            packed.write(place.parent / "picture.jpg", f"Album2/{name}")


def aligned(place: Path) -> None:
    """An aligned set with its provenance."""
    import frbias

    portraits(place.parent / "made-for-aligning")
    frbias.align(place.parent / "made-for-aligning", place, workers=1)


READERS_OWN: dict[str, Callable[[Path], None]] = {
    "photographs": portraits,
    "photos": portraits,
    "people": faces,
    "generated": portraits,
    "training": others,
    "train": faces,
    "faces": faces,
    "my-aligned-set": faces,
    "aligned": aligned,
    "unseen": faces,
    "scores.csv": scores,
    "embeddings": embeddings,
    "original": embeddings,
    "tuned": embeddings,
    "tuned-2": embeddings,
    "evaluation-folder": evaluated,
    "Album2.zip": archive,
    "grid.toml": grid,
    "experiments/thesis.toml": thesis,
}
"""What a reader has, by the name that the documentation gives it; made when a line first needs it."""

NOT_HERE = ("~/Downloads/", "network-snapshot-001440.pkl", "in.pth", "/data/faces")
"""Files of readers that cannot be made: a line may end at them, and must say that they do not exist."""

LICENSED = (
    "cusp",
    "cusp-ls",
    "eg3d",
    "eg3d-ffhq",
    "r50",
    "fgnet",
    "morph",
    "dex",
    "makehuman-skins",
    "makehuman",
    "experiments/thesis.toml",
)
"""Assets that a test machine does not have: a line may end with exit code 3, saying how to get them."""
