"""Names of the registry, what is said when something is missing, and the books of what was added."""

import threading
from pathlib import Path

import pytest

from frbias.core.assets.catalogue import KINDS, dataset_assets, find_model_asset, model_assets
from frbias.core.assets.records import put_record, read_book
from frbias.core.assets.store import resolve_weights
from frbias.core.data.datasets.resolving import resolve_data
from frbias.core.foundation.errors import AssetMissingError, BadInputError, FrbiasError


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FRBIAS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "home"


@pytest.mark.parametrize("name", [n for n, a in model_assets().items() if not a.embedded])
def test_a_missing_model_says_what_why_licence_where_and_which_command(name: str) -> None:
    asset = model_assets()[name]
    with pytest.raises(AssetMissingError) as caught:
        resolve_weights(name, asset.kind)
    assert caught.value.exit_code == 3
    text = str(caught.value)
    for part in (asset.title, asset.licence, asset.source, asset.install_command, asset.used_by[0], "./models"):
        assert part in text
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("name", list(dataset_assets()))
def test_a_missing_data_set_says_what_licence_where_and_which_command(name: str) -> None:
    asset = dataset_assets()[name]
    with pytest.raises(AssetMissingError) as caught:
        resolve_data(name)
    text = str(caught.value)
    for part in (
        asset.title,
        asset.licence,
        asset.url or asset.source,
        f"frbias data import {name}",
        "./datasets",
        str(asset.images or ""),
    ):
        assert part in text
    assert ("--layout fgnet" in text) == (name == "fgnet")


def test_unknown_names_get_a_suggestion() -> None:
    with pytest.raises(AssetMissingError, match="Did you mean mobilefacenet"):
        resolve_weights("mobilfacenet", "recogniser")
    with pytest.raises(AssetMissingError, match="Did you mean fgnet"):
        resolve_data("fgnett")
    for lost in ("nowhere/weights.pth", "weights.safetensors", "", " ", "x" * 5000, "a\0b/c"):
        with pytest.raises(BadInputError, match="does not exist"):
            resolve_weights(lost)


def test_registry_is_complete() -> None:
    expected = {
        "sface",
        "yunet",
        "r18",
        "r34",
        "r50",
        "r100",
        "mobilefacenet",
        "buffalo_l",
        "buffalo_s",
        "buffalo_sc",
        "cusp",
        "cusp-ls",
        "dex",
        "eg3d",
        "eg3d-ffhq",
        "makehuman-skins",
    }
    assert set(model_assets()) == expected
    assert set(dataset_assets()) == {"fgnet", "morph", "agedb", "cacd", "itwcc", "lag", "cacdvs", "utkface"}
    names = [n for a in model_assets().values() for n in (a.name, *a.aliases)]
    assert len(names) == len(set(names))
    for asset in model_assets().values():
        assert asset.kind in KINDS
        assert asset.licence
        assert asset.source.startswith("https://")
        assert asset.url == "" or asset.url.startswith("https://")
        assert asset.embedded or asset.url or asset.get
    assert find_model_asset("HRFAE") is model_assets()["cusp"]


def test_a_damaged_book_is_not_overwritten(home: Path) -> None:
    home.mkdir()
    (home / "models.json").write_text("{ torn")
    with pytest.raises(FrbiasError, match="cannot be read"):
        put_record("models", "mine", {"path": "x"})
    assert (home / "models.json").read_text() == "{ torn"


def test_two_processes_may_add_at_once(home: Path) -> None:
    threads = [threading.Thread(target=put_record, args=("models", f"m{i}", {"path": "x"})) for i in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(read_book("models")) == {f"m{i}" for i in range(20)}
