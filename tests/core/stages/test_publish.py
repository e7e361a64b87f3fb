"""A synthetic image set for others: text stays text, every column is described, photographs are refused."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from frbias.core.data.samples import COLUMN_MEANINGS, NUMBER_COLUMNS, TEXT_COLUMNS, make_table, write_samples
from frbias.core.foundation.errors import BadInputError
from frbias.core.foundation.files import sha256_file
from frbias.core.foundation.provenance import Work, claim_work
from frbias.core.stages.publish import publish
from frbias.core.stages.requests.publish import PublishRequest


def image_set(folder: Path, generator: str) -> Path:
    rng = np.random.default_rng(0)
    rows = []
    for k, subject in enumerate(("00012", "00012", "1e3", "NA")):
        name = f"{subject}/{subject}_{10 * k}.png"
        (folder / subject).mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(folder / name)
        row = {"file_name": name, "subject": subject, "age": None if k == 3 else 10.0 * k, "generator": generator}
        rows.append({**row, "sex": "", "x1": 3.0, "y1": 4.0})
    write_samples(make_table(folder, rows))
    return folder


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("publish")
    done = publish(PublishRequest(data=str(image_set(root / "set", "mesh"))), root / "out")
    assert (done.images, done.subjects, done.reused) == (4, 3, False)
    return root / "out"


def test_labels_survive_loading_as_text(published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By Hugging Face's own loader: labels that look like numbers, or like nothing, stay what they are."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    import datasets

    datasets.disable_progress_bars()
    loaded = datasets.load_dataset("imagefolder", data_dir=str(published), cache_dir=str(tmp_path / "cache"))["train"]
    assert "string" in str(loaded.features["subject"].dtype)
    assert loaded["subject"] == ["00012", "00012", "1e3", "NA"]
    assert loaded["age"] == [0.0, 10.0, 20.0, None]
    assert loaded["sex"] == [""] * 4
    assert loaded[0]["image"].size == (16, 16)


def test_the_files_describe_themselves(published: Path) -> None:
    document = json.loads((published / "croissant.json").read_text())
    table, images = document["distribution"]
    assert table["sha256"] == sha256_file(published / table["contentUrl"])
    assert len(list(published.glob(images["includes"]))) == 4
    fields = {f["source"]["extract"]["column"]: f for f in document["recordSet"][0]["field"]}
    assert (fields["subject"]["dataType"], fields["age"]["dataType"]) == ("sc:Text", "sc:Float")
    card = (published / "README.md").read_text()
    assert card.startswith("---\nlicense:")
    for column, field in fields.items():
        assert f"| `{column}` | {field['description']} |" in card
    assert "4 images of 3 people aged 0 to 20. These images are synthetic" in card
    assert str(published.parent) not in card + json.dumps(document)


def test_the_licence_of_aligned_renders_is_known(tmp_path: Path) -> None:
    told = {"data": "3 people made by mesh", "licence": "CC0-1.0"}
    claimed = claim_work(tmp_path / "aligned", Work("align", 1, {"size": 112}, {}, told))
    image_set(tmp_path / "aligned", "mesh")
    claimed.finish({})
    publish(PublishRequest(data=str(tmp_path / "aligned")), tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text()
    assert 'license: "cc0-1.0"' in card
    assert "generator mesh. Licence: CC0-1.0." in card
    assert '"size": 112' in card
    assert json.loads((tmp_path / "out" / "croissant.json").read_text())["license"] == "CC0-1.0"


def test_every_known_column_has_a_meaning() -> None:
    assert {*TEXT_COLUMNS, *NUMBER_COLUMNS} <= COLUMN_MEANINGS.keys()


def test_photographs_are_not_passed_on(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="not known to be synthetic"):
        publish(PublishRequest(data=str(image_set(tmp_path / "set", ""))), tmp_path / "out")
    assert not (tmp_path / "out").exists()
