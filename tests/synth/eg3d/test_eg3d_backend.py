"""``frbias generate --backend eg3d`` with the test model, and the options around it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from safetensors.torch import save_file

from frbias.cli.app import main
from frbias.core.data.samples import read_samples
from frbias.core.foundation.devices import World
from frbias.core.foundation.errors import BadInputError, UsageError
from frbias.core.foundation.files import sha256_file
from frbias.synth.eg3d.ages import parse_bins
from frbias.synth.eg3d.backend import Eg3dBackend, make, person_seed
from frbias.synth.eg3d.calibration import (
    calibrate,
    calibration_path,
    fit_calibration,
    read_calibration,
    write_calibration,
)
from frbias.synth.eg3d.cameras import Pose
from frbias.synth.eg3d.loading import tiny_generator
from frbias.synth.eg3d.poses import parse_poses
from frbias.synth.eg3d.request import Eg3dRequest
from frbias.synth.eg3d.synthesizer import Synthesizer
from frbias.synth.generate import generate_with

TINY = {"weights": "tiny", "subjects": 2, "ages": (5.0, 40.0), "poses": "-20,20x0"}


def backend(**options: object) -> Eg3dBackend:
    return Eg3dBackend(Eg3dRequest(**{**TINY, **options}), "cpu")  # type: ignore[arg-type]


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as caught:
        main(list(arguments))
    out, err = capsys.readouterr()
    return int(caught.value.code or 0), out, err


def files(folder: Path) -> dict[str, str]:
    return {p.relative_to(folder).as_posix(): sha256_file(p) for p in sorted(folder.rglob("*.png"))}


@pytest.fixture(scope="module")
def tiny_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("eg3d") / "set"
    generate_with(backend(), out)
    return out


def test_command_end_to_end(tmp_path: Path, tiny_set: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["generate", "--backend", "eg3d", "--weights", "tiny", "--subjects", "2", "--ages", "5,40"]
    arguments += ["--poses", "-20,20x0", "--device", "cpu", "--out", str(tmp_path / "set"), "--json"]
    code, out, err = run(capsys, *arguments)
    assert code == 0, err
    assert json.loads(out)["images"] == 8
    assert "random weights" in err
    assert files(tmp_path / "set") == files(tiny_set)
    assert json.loads(run(capsys, *arguments)[1])["reused"] == 8


def test_the_manifest_says_everything(tiny_set: Path) -> None:
    frame = read_samples(tiny_set).frame
    assert list(frame["file_name"][:3]) == ["00000/00000_5_0.png", "00000/00000_5_1.png", "00000/00000_40_0.png"]
    assert set(frame["generator"]) == {"eg3d-test"}
    assert list(frame["seed"].astype(int)) == [0] * 4 + [1] * 4
    assert frame["yaw"].astype(float).tolist() == [-20.0, 20.0] * 4
    assert frame["camera_yaw"].astype(float).tolist() == pytest.approx([0.349066, -0.349066] * 4)
    assert frame["condition_age"].astype(float).tolist() == frame["age"].tolist()
    assert set(frame["psi"].astype(float)) == {0.75}
    arguments = json.loads((tiny_set / "provenance.json").read_text())["arguments"]
    assert arguments["generator"]["test_model"]
    assert arguments["fov_degrees"] == 18.837
    assert arguments["calibration"] is None


@pytest.mark.parametrize("batch_size", [1, 3])
def test_shards_and_batches_give_the_same_bytes(tmp_path: Path, tiny_set: Path, batch_size: int) -> None:
    chosen = backend()
    units = chosen.plan()
    made = {}
    for rank in range(3):
        mine = World(rank, 3, 0).shard(units)
        for start in range(0, len(mine), batch_size):
            group = mine[start : start + batch_size]
            for unit, images in zip(group, chosen.render(group), strict=True):
                made |= {t.file_name: m.image for t, m in zip(unit.tasks, images, strict=True)}
    from frbias.core.data.images import read_image

    assert sorted(made) == sorted(files(tiny_set))
    for name, image in made.items():
        assert image is not None
        assert np.array_equal(read_image(tiny_set / name), image), name


def test_a_run_goes_on_where_it_was_stopped(tmp_path: Path, tiny_set: Path) -> None:
    class Stopping(Eg3dBackend):
        def render(self, units):  # type: ignore[no-untyped-def]
            if units[0].key.startswith("00001"):
                raise KeyboardInterrupt
            return super().render(units)

    out = tmp_path / "set"
    with pytest.raises(KeyboardInterrupt):
        generate_with(Stopping(Eg3dRequest(**TINY), "cpu"), out)  # type: ignore[arg-type]
    assert len(files(out)) == 4
    result = generate_with(backend(), out)
    assert (result.images, result.reused) == (8, 4)
    assert files(out) == files(tiny_set)
    assert (out / "metadata.csv").read_bytes() == (tiny_set / "metadata.csv").read_bytes()


def test_without_weights_it_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FRBIAS_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    code, _, err = run(capsys, "generate", "--backend", "eg3d", "--out", str(tmp_path / "out"))
    assert code == 3
    said = " ".join(err.split())
    for word in (
        "EG3D",
        "Licence",
        "non-commercial",
        "github.com/johndoe133/eg3d-age",
        ".pkl",
        "frbias models add eg3d",
    ):
        assert word in said, word


def test_added_weights_are_found_and_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fixtures_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FRBIAS_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    snapshot = next((fixtures_dir / "eg3d").glob("*/*.pkl"))
    code, _, err = run(capsys, "models", "add", "eg3d", str(snapshot))
    assert code == 0, err
    result = generate_with(make(Eg3dRequest(subjects=1, ages=(30.0,)), "cpu"), tmp_path / "set")
    assert result.images == 1
    told = json.loads((tmp_path / "set" / "provenance.json").read_text())["arguments"]["generator"]
    assert told["age_condition"] == "scalar"
    assert len(told["sha256"]) == 64


@pytest.mark.parametrize(
    "options",
    [
        {"subjects": 0},
        {"noise": "loud"},
        {"jitter": "some"},
        {"precision": "fp8"},
        {"psi": 9.0},
        {"cutoff": -1},
        {"ages": (5.0, 5.0)},
        {"ages": (150.0,)},
        {"age_bins": "3-6"},
        {"poses": "left"},
        {"age_range": (5.0, 5.0)},
        {"chunk": 0},
    ],
)
def test_nonsense_is_refused(options: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        backend(**options)


def test_unknown_option_is_named() -> None:
    with pytest.raises(UsageError, match="smile"):
        Eg3dRequest.read({"weights": "tiny", "smile": True})


def test_generator_without_age_takes_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("frbias.synth.eg3d.loading.tiny_generator", lambda: TINY_25)
    chosen = backend(ages=(), subjects=1)
    (unit,) = chosen.plan()
    assert np.isnan(unit.tasks[0].age)
    assert [m.image.shape for m in next(chosen.render([unit]))] == [(64, 64, 3)] * 2  # type: ignore[union-attr]
    with pytest.raises(UsageError, match="not conditioned on age"):
        backend().plan()


TINY_25 = tiny_generator(25)


def test_subjects_do_not_depend_on_how_many_there_are() -> None:
    many = backend(subjects=5).plan()
    few = backend(subjects=1, first_subject=3).plan()
    assert [u.payload for u in many if u.key.startswith("00003")] == [u.payload for u in few]
    assert person_seed(0, 12) == 12
    assert len({person_seed(s, n) for s in range(1, 4) for n in range(50)}) == 150


def test_age_bins_give_everybody_an_age_in_each() -> None:
    units = backend(ages=(), age_bins="3-6,6-9,50-50", subjects=40).plan()
    ages = np.array([unit.tasks[0].age for unit in units]).reshape(40, 3)
    assert ((ages[:, 0] >= 3) & (ages[:, 0] < 6)).all()
    assert ((ages[:, 1] >= 6) & (ages[:, 1] < 9)).all()
    assert (ages[:, 2] == 50).all()
    assert len(set(ages[:, 0])) > 10
    assert len({unit.key for unit in units}) == len(units)
    for wrong in ("3", "6-3", "3-6,5-9", "5-5,5-9", "a-b", "-3-5"):
        with pytest.raises(UsageError):
            parse_bins(wrong)


def test_poses() -> None:
    assert parse_poses("-30,0,30x0").of_person(1) == (Pose(-30, 0), Pose(0, 0), Pose(30, 0))
    assert len(parse_poses("-40:40:20x-10,10").of_person(1)) == 10
    assert parse_poses("15").of_person(1) == (Pose(15, 0),)
    drawn = parse_poses("normal:17x9:500")
    values = np.array([(p.yaw, p.pitch) for p in drawn.of_person(7)])
    assert values.std(axis=0) == pytest.approx([17, 9], rel=0.15)
    assert drawn.of_person(7) == drawn.of_person(7) != drawn.of_person(8)
    uniform = np.array([(p.yaw, p.pitch) for p in parse_poses("uniform:30x10:200").of_person(1)])
    assert (np.abs(uniform) <= [30, 10]).all()
    assert (np.abs(uniform).max(axis=0) > [25, 8]).all()
    for wrong in (
        "",
        "x",
        "10x",
        "0x70",
        "100x0",
        "0,0x0",
        "normal:17:4",
        "normal:1.2.3x4:5",
        "uniform:3x3:0",
        "nanx0",
    ):
        with pytest.raises(UsageError):
            parse_poses(wrong)


def test_calibration_recovers_a_line_and_is_applied_inversely(tmp_path: Path) -> None:
    targets = np.repeat(np.arange(5.0, 75, 10), 4)
    estimates = 0.6 * targets + 12 + np.tile([0.5, -0.5, 0.25, -0.25], 7)
    estimates[3] = np.nan
    fitted = fit_calibration(targets.tolist(), estimates.tolist(), psi=0.75, estimator="test")
    assert (fitted.slope, fitted.intercept) == (pytest.approx(0.6, abs=0.02), pytest.approx(12, abs=0.5))
    assert fitted.images == 27
    assert fitted.slope * fitted.condition_age(33.0) + fitted.intercept == pytest.approx(33)
    path = tmp_path / "c.json"
    write_calibration(path, fitted)
    assert read_calibration(path, psi=0.75) == fitted
    with pytest.raises(BadInputError, match="psi"):
        read_calibration(path, psi=1.0)
    path.write_text("{}")
    with pytest.raises(BadInputError):
        read_calibration(path)
    with pytest.raises(BadInputError, match="two different"):
        fit_calibration([30.0, 30.0], [1.0, 2.0], psi=1)
    with pytest.raises(BadInputError, match="follow"):
        fit_calibration([10.0, 60.0], [30.0, 30.0], psi=1)


def test_calibration_of_another_generator_is_refused(tmp_path: Path) -> None:
    fitted = fit_calibration([0.0, 50.0], [5.0, 45.0], psi=0.75, weights_sha256="aa")
    write_calibration(tmp_path / "c.json", fitted)
    with pytest.raises(BadInputError, match="other weights"):
        read_calibration(tmp_path / "c.json", weights_sha256="bb")


def test_calibrating_with_an_estimator_callback() -> None:
    made = Synthesizer(tiny_generator())
    asked = iter([10.0, 50.0, 10.0, 50.0])
    fitted = calibrate(
        made, lambda images: np.array([0.5 * next(asked) + 20 + 0 * images.mean()]), ages=(10, 50), seeds=(1, 2)
    )
    assert (fitted.slope, fitted.intercept, fitted.images) == (pytest.approx(0.5), pytest.approx(20), 4)


def test_a_calibration_is_fitted_stored_with_the_weights_and_used(tmp_path: Path, fixtures_dir: Path) -> None:
    state = next((fixtures_dir / "eg3d").glob("*/*.pkl"))
    weights = tmp_path / "age.pkl"
    weights.write_bytes(state.read_bytes())
    options = {"weights": str(weights), "subjects": 1, "ages": (20.0, 60.0)}
    generate_with(Eg3dBackend(Eg3dRequest(**options), "cpu"), tmp_path / "raw")  # type: ignore[arg-type]
    frame = pd.read_csv(tmp_path / "raw" / "metadata.csv", dtype=str, keep_default_na=False)
    frame["estimated_age"] = [str(0.5 * float(a) + 15) for a in frame["condition_age"]]
    frame.to_csv(tmp_path / "raw" / "metadata.csv", index=False)
    chosen = Eg3dBackend(Eg3dRequest(**options, calibrate_from=str(tmp_path / "raw")), "cpu")  # type: ignore[arg-type]
    assert calibration_path(weights, 0.75).is_file()
    assert [unit.payload[1] for unit in chosen.plan()] == pytest.approx([10.0, 90.0])
    later = Eg3dBackend(Eg3dRequest(**options), "cpu")  # type: ignore[arg-type]
    assert later.describe()["calibration"]["slope"] == pytest.approx(0.5)
    assert not later.notes
    bare = Eg3dBackend(Eg3dRequest(**options, calibration="none"), "cpu")  # type: ignore[arg-type]
    assert bare.plan()[0].payload[1] == 20.0
    generate_with(later, tmp_path / "new")
    with pytest.raises(BadInputError, match="estimated_age"):
        Eg3dBackend(Eg3dRequest(**options, calibrate_from=str(tmp_path / "new")), "cpu")  # type: ignore[arg-type]


def test_dex_estimates_the_ages_of_a_set(tmp_path: Path, fixtures_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Estimator:
        """Ages by the order of the images; one cannot be estimated."""

        def __init__(self, classifier: object, device: object) -> None:
            self.ages = iter([20.0, 40.0, float("nan"), 40.0])

        def __call__(self, faces: np.ndarray) -> np.ndarray:
            assert faces.shape[0] == 1
            assert faces.dtype == np.uint8
            return np.array([next(self.ages)])

    monkeypatch.setattr("frbias.core.faces.dex.load_dex", lambda: (None, "ab" * 32))
    monkeypatch.setattr("frbias.core.faces.dex.DexEstimator", Estimator)
    weights = tmp_path / "age.pkl"
    weights.write_bytes(next((fixtures_dir / "eg3d").glob("*/*.pkl")).read_bytes())
    options: dict[str, Any] = {"weights": str(weights), "subjects": 2, "ages": (20.0, 60.0)}
    generate_with(Eg3dBackend(Eg3dRequest(**options), "cpu"), tmp_path / "raw")
    chosen = Eg3dBackend(Eg3dRequest(**options, calibrate_from=str(tmp_path / "raw"), age_estimator="dex"), "cpu")
    fitted = chosen.calibration
    assert fitted is not None
    assert (fitted.slope, fitted.intercept, fitted.images) == (pytest.approx(0.5), pytest.approx(10), 3)
    assert fitted.estimator == "DEX abababababab"
    with pytest.raises(UsageError, match="calibrate-from"):
        Eg3dRequest(age_estimator="dex")
    with pytest.raises(UsageError, match="unknown"):
        Eg3dRequest(age_estimator="other", calibrate_from="x")


def test_weights_that_are_something_else_are_refused(tmp_path: Path) -> None:
    import torch

    save_file({"a": torch.zeros(1)}, tmp_path / "x.safetensors")
    with pytest.raises(BadInputError):
        Eg3dBackend(Eg3dRequest(weights=str(tmp_path / "x.safetensors")), "cpu").plan()
