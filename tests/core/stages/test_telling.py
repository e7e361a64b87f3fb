"""An outcome tells the command that made it, and that command makes the same work."""

import json
import shlex
from pathlib import Path

import numpy as np
import pytest

from frbias.cli.app import main
from frbias.core.assets.catalogue import find_dataset_asset
from frbias.core.foundation.commands import command_of
from frbias.core.foundation.provenance import Work, claim_work
from frbias.core.stages.requests.compare import CompareRequest
from frbias.core.stages.requests.evaluate import EvaluateRequest
from frbias.core.stages.requests.protocols import PairsRequest
from frbias.core.stages.telling import licence_of, told_of, told_of_folder


def run(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert not ended.value.code, capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["evaluate", "--embeddings", "my e.npz", "--groups", "0-19,20+", "--at-fmr", "10%,5%", "--no-figures"],
        ["evaluate", "--embeddings", "my e.npz", "--identify", "--at-fpir", "10%", "--no-figures"],
        ["compare", "my e.npz", "f.npz", "--groups", "0-19,20+", "--name", "one", "--name", "two 2", "--no-figures"],
    ],
)
def test_the_command_asks_for_the_same_work(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FRBIAS_HOME", str(tmp_path / "home"))
    rng, who = np.random.default_rng(0), np.repeat(np.arange(12), 4)
    for name in ("my e.npz", "f.npz"):
        vectors = (rng.normal(size=(12, 16))[who] + 0.6 * rng.normal(size=(48, 16))).astype(np.float32)
        ages, names = np.tile([5.0, 9, 30, 40], 12), np.array([f"{k}.png" for k in range(48)])
        np.savez(name, embedding=vectors, subject=who.astype(str), age=ages, file_name=names)
    run(capsys, [*words, "--bootstrap", "50", "--seed", "3", "--out", "o"])
    first = json.loads((tmp_path / "o" / "provenance.json").read_text())
    again = shlex.split(first["told"]["command"])
    assert again[0] == "frbias"
    run(capsys, [*again[1:], "--out", "p"])
    second = json.loads((tmp_path / "p" / "provenance.json").read_text())
    assert second["key"] == first["key"]
    assert second["told"] == first["told"]


def test_only_what_differs_is_written_and_the_home_folder_is_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    request = EvaluateRequest(data=str(tmp_path / "faces"), weights="r50", fail_if=("eer > 0.1", "garbe > 0.2"))
    assert command_of(request, "evaluate") == (
        "frbias evaluate --data '~/faces' --weights r50 --fail-if 'eer > 0.1' --fail-if 'garbe > 0.2'"
    ).replace("'~/faces'", shlex.quote("~/faces"))
    assert command_of(PairsRequest(pairs=("a.bin", "b.bin"), folds=5), "evaluate") == (
        "frbias evaluate --pairs a.bin --pairs b.bin --folds 5"
    )
    assert command_of(EvaluateRequest(data="/scratch/marie/faces", weights="/opt/mine.py:embed"), "evaluate") == (
        "frbias evaluate --data .../faces --weights .../mine.py:embed"
    )
    monkeypatch.chdir(tmp_path.parent)
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "elsewhere")
    assert command_of(EvaluateRequest(data=str(tmp_path)), "evaluate") == f"frbias evaluate --data ./{tmp_path.name}"
    asked = CompareRequest(models=("a", "b"), at_fmr=(0.01, 0.001), alpha=0.25)
    assert command_of(asked, "compare") == "frbias compare a b --at-fmr 1%,0.1% --alpha 0.25"


def test_licences_are_those_of_the_registry_and_of_the_generator(tmp_path: Path) -> None:
    asset = find_dataset_asset("fgnet")
    assert asset is not None
    assert licence_of("fgnet") == asset.licence != ""
    record = {"schema_version": 2, "stage": "generate", "complete": True, "arguments": {"head": {"licence": "CC0-1.0"}}}
    (tmp_path / "provenance.json").write_text(json.dumps(record))
    assert licence_of(str(tmp_path)) == "CC0-1.0"
    assert licence_of(str(tmp_path / "nowhere")) == ""


def test_what_was_measured_is_handed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRBIAS_HOME", str(tmp_path / "home"))
    made, aligned, embedded = tmp_path / "made", tmp_path / "aligned", tmp_path / "embedded"
    claim_work(made, Work("generate", 1, {"backend": "mesh", "head": {"licence": "CC0-1.0"}}, {})).finish(
        {"subjects": 24}
    )
    told = told_of_folder(made)
    assert told == {"data": "24 people made by mesh", "licence": "CC0-1.0"}
    claim_work(aligned, Work("align", 1, {}, {}, told)).finish({})
    claim_work(embedded, Work("embed", 1, {}, {}, told_of_folder(aligned))).finish({})
    assert told_of_folder(aligned) == told
    assert licence_of(str(aligned)) == "CC0-1.0"
    compared = told_of(CompareRequest(models=("x", "y")), "compare", None, [tmp_path / "x", embedded])
    assert compared == {"command": "frbias compare x y", **told}
    of_set = told_of(EvaluateRequest(data=str(aligned), weights="r50"), "evaluate", str(aligned))
    assert (of_set["data"], of_set["licence"]) == ("aligned (24 people made by mesh)", "CC0-1.0")
    (tmp_path / "photos").mkdir()
    assert told_of_folder(tmp_path / "photos") == {"data": "photos"}


def test_a_stand_in_has_not_the_licence_of_what_it_stands_in_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRBIAS_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    stand_in = tmp_path / "datasets" / "fgnet"
    work = Work("generate", 1, {"backend": "mesh", "head": {"licence": "CC0-1.0"}, "stands_in_for": "FG-NET"}, {})
    claim_work(stand_in, work).finish({"subjects": 18})
    assert licence_of("fgnet") == "CC0-1.0"
    assert told_of_folder(stand_in) == {"data": "18 people made by mesh", "licence": "CC0-1.0"}
