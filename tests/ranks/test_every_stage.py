"""Every stage under two and three processes leaves, to the byte, what one process leaves."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from launching import launch_all
from safetensors.torch import load_file, save_file

from frbias.core.data.images import write_png
from frbias.core.data.samples import POINT_COLUMNS, make_table, write_samples
from frbias.core.recognisers.trainable.mobilefacenet import Group, MobileFaceNet, Shape

POINTS = (42.0, 60.0, 86.0, 60.0, 64.0, 82.0, 46.0, 104.0, 82.0, 104.0)  # of a face of 128x128
PLAN = """
name = "ranks"
[train]
data = "../photos-train"
[test]
data = "../photos-test"
[align]
detector = "points"
[finetune]
weights = "../small.safetensors"
recipe = "projection"
damage = "none"
validation = 0.3
batch_size = 6
[evaluate]
groups = "0-19,20-60"
at_fmr = [0.1]
bootstrap = 20
figures = false
"""
SMALL = ("--weights", "../small.safetensors", "--device", "cpu", "--workers", "1")
RUN = ("run", "../plan.toml", "--out", "experiment", "--device", "cpu", "--workers", "1")
STAGES = (
    ("generate", "--backend", "eg3d", "--weights", "tiny", "--subjects", "5", "--poses", "0x0", "--out", "generated"),
    ("align", "../photos-train", "--detector", "points", "--workers", "1", "--out", "aligned"),
    ("embed", "aligned", *SMALL[:-2], "--flip", "add", "--out", "embedded"),
    ("evaluate", "--data", "aligned", *SMALL, "--groups", "0-19,20-60", "--at-fmr", "0.1", "--bootstrap", "20",
     "--no-figures", "--out", "evaluated"),
    ("compare", "embedded", "embedded", "--groups", "0-19,20-60", "--at-fmr", "0.1", "--bootstrap", "20", "--no-figures",
     "--out", "compared"),
    ("audit", "aligned", *SMALL, "--no-apparent-ages", "--bootstrap", "100", "--out", "audited"),
    ("adapt", "aligned", *SMALL[:-2], "--damage", "none", "--out", "adapted"),
    ("export", "../small.safetensors", "--no-pack", "--out", "exported"),
    ("finetune", "--data", "aligned", *SMALL[:-2], "--frozen", "1,2,3", "--epochs", "3", "--batch-size", "6", "--lr", "0.001",
     "--validation", "0.3", "--keep", "0.1", "--ema", "0.5", "--blend", "1", "--cache", "on", "--out", "trained"),
)  # fmt: skip
COMMANDS = {1: (RUN, *STAGES), 2: (RUN, *STAGES), 3: (RUN, *STAGES)}


def write_photos(root: Path, prefix: str, *, subjects: int, seed: int) -> None:
    """Blurred colour patterns of 128x128 with annotated points: per subject 2 before and 2 after the age of 20."""
    rng = np.random.default_rng(seed)
    rows = []
    for subject in range(subjects):
        pattern = rng.uniform(30, 225, (6, 6, 3))
        for age in (5.0, 8.0, 25.0, 35.0):
            small = np.clip(pattern + rng.normal(0, 30, pattern.shape), 0, 255).astype(np.float32)
            face = np.clip(cv2.resize(small, (128, 128), interpolation=cv2.INTER_CUBIC), 0, 255).astype(np.uint8)
            name = f"{prefix}{subject}/{prefix}{subject}_{age:g}.png"
            write_png(root / name, face)
            points = dict(zip(POINT_COLUMNS, POINTS, strict=True))
            rows.append({"file_name": name, "subject": f"{prefix}{subject}", "age": age, **points})
    write_samples(make_table(root, rows))


def write_network(path: Path) -> None:
    """A recogniser of an architecture that is known, as small as it can be."""
    torch.manual_seed(5)
    groups = (Group(8, 8, 1, 8), Group(12, 12, 1, 12), Group(16, 16, 1, 16))
    save_file(MobileFaceNet(Shape(8, 8, groups, 16, 32)).state_dict(), path)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what one, two and three processes left in ranks-1, ranks-2 and ranks-3."""
    folder = tmp_path_factory.mktemp("ranks")
    write_photos(folder / "photos-train", "p", subjects=6, seed=0)
    write_photos(folder / "photos-test", "q", subjects=5, seed=1)
    (folder / "plan.toml").write_text(PLAN)
    write_network(folder / "small.safetensors")
    for ranks, commands in COMMANDS.items():
        place = folder / f"ranks-{ranks}"
        place.mkdir()
        ended = launch_all(ranks, [("--json", *c) for c in commands], folder=place, FRBIAS_HOME=str(place / "home"))
        assert [code for code, _, _ in ended] == [0] * ranks, [text[-2000:] for _, _, text in ended]
        assert ended[0][1].count('"targets"')
        assert not any(out for _, out, _ in ended[1:]), "what is said is said once"
    return folder


# what this machine remembers about files, by their place, and about its own speed
NO_RESULTS = ("home/cache/hashes/", "home/timings.jsonl")


def contents(place: Path, leave_out: Sequence[str]) -> dict[str, bytes]:
    files = (p for p in sorted(place.rglob("*")) if p.is_file())
    named = {p.relative_to(place).as_posix(): p for p in files}
    return {
        name: path.read_bytes()
        for name, path in named.items()
        if name.split("/")[0] not in leave_out and not name.startswith(NO_RESULTS)
    }


@pytest.mark.xdist_group("ranks")
@pytest.mark.parametrize("ranks", [2, 3])
def test_every_stage_leaves_the_same_bytes(done: Path, ranks: int) -> None:
    alone, shared = (contents(done / f"ranks-{r}", ("trained",)) for r in (1, ranks))
    assert list(alone) == list(shared)
    assert [name for name in alone if alone[name] != shared[name]] == []
    made = {name.split("/")[0] for name in alone}
    stages = {"generated", "aligned", "embedded", "evaluated", "compared", "audited", "adapted", "exported"}
    assert made == {*stages, "experiment", "home"}


@pytest.mark.xdist_group("ranks")
@pytest.mark.parametrize("ranks", [2, 3])
def test_fine_tuning_ends_in_the_same_place(done: Path, ranks: int) -> None:
    """Gradients are sums in another order: less than a thousandth of the way that training went."""
    last = Path("trained") / "checkpoints" / "last" / "backbone.safetensors"
    start = load_file(done / "small.safetensors")
    alone, shared = (load_file(done / f"ranks-{r}" / last) for r in (1, ranks))
    way = sum(float((start[k].float() - alone[k].float()).square().sum()) for k in alone)
    apart = sum(float((shared[k].float() - alone[k].float()).square().sum()) for k in alone)
    assert way > 0
    assert apart <= 1e-3**2 * way
    records = [(done / f"ranks-{r}" / "trained" / "metrics.jsonl").read_text().count("\n") for r in (1, ranks)]
    assert records == [4, 4]
