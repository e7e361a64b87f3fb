"""A small image set and a small recogniser to train."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from networks import tiny_network
from safetensors.torch import save_file

from frbias.core.data.images import write_png
from frbias.core.data.samples import SampleTable, make_table, write_samples
from frbias.core.training.pixels import read_faces


def make_people(root: Path, *, subjects: int = 6, images: int = 4, seed: int = 0, prefix: str = "p") -> SampleTable:
    """Blurred colour patterns: one per subject, varied per image; ages 5, 20, 35, ..."""
    rng = np.random.default_rng(seed)
    rows = []
    for subject in range(subjects):
        pattern = rng.uniform(30, 225, (6, 6, 3))
        for number in range(images):
            small = np.clip(pattern + rng.normal(0, 25, pattern.shape), 0, 255).astype(np.float32)
            face = np.clip(cv2.resize(small, (112, 112), interpolation=cv2.INTER_CUBIC), 0, 255).astype(np.uint8)
            age = 5.0 + 15 * number
            name = f"{prefix}{subject:02d}/{prefix}{subject:02d}_{age:g}.png"
            write_png(root / name, face)
            rows.append({"file_name": name, "subject": f"{prefix}{subject:02d}", "age": age})
    table = make_table(root, rows)
    write_samples(table)
    return table


@pytest.fixture(scope="session")
def people(tmp_path_factory: pytest.TempPathFactory) -> SampleTable:
    """6 subjects with 4 images each."""
    return make_people(tmp_path_factory.mktemp("people"))


@pytest.fixture(scope="session")
def weights(people: SampleTable, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A MobileFaceNet with fixed random weights and BatchNorm statistics of the people."""
    torch.manual_seed(5)
    model = tiny_network(512).train()
    norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        model(model.preprocess(torch.from_numpy(read_faces(people).pixels)))
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save_file(model.state_dict(), path)
    return str(path)


@pytest.fixture(autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Caches go to a folder of the test session, not to the user's."""
    monkeypatch.setenv("FRBIAS_HOME", str(tmp_path_factory.getbasetemp() / "home"))


@pytest.fixture(scope="session")
def others(tmp_path_factory: pytest.TempPathFactory) -> SampleTable:
    """4 other subjects with 4 images each."""
    return make_people(tmp_path_factory.mktemp("others"), subjects=4, seed=9, prefix="q")


@pytest.fixture(scope="session")
def two_groups(tmp_path_factory: pytest.TempPathFactory) -> SampleTable:
    """7 other subjects, each twice as a child and twice as an adult."""
    made = make_people(tmp_path_factory.mktemp("two"), subjects=7, seed=3, prefix="t")
    table = SampleTable(made.root, made.frame.assign(age=np.tile([5.0, 8.0, 30.0, 34.0], 7)))
    write_samples(table)
    return table


@pytest.fixture(scope="session")
def alone(tmp_path_factory: pytest.TempPathFactory) -> SampleTable:
    """3 other subjects with one image each."""
    return make_people(tmp_path_factory.mktemp("alone"), subjects=3, images=1, seed=9, prefix="q")


@pytest.fixture(scope="session")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> SampleTable:
    """10 people with 4 images each: enough for batches of 25."""
    return make_people(tmp_path_factory.mktemp("crowd"), subjects=10, seed=3, prefix="m")
