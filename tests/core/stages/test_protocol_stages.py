"""Lists of pairs, identification and remedies as stages: from files to documents."""

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from stage_cases import MACHINE

from frbias.core.assets.pickle_records import UnsafePickleError
from frbias.core.data.embeddings import Embeddings, write_embeddings
from frbias.core.data.images import encode_jpeg
from frbias.core.data.samples import make_table, write_samples
from frbias.core.foundation.errors import BadInputError, UsageError
from frbias.core.foundation.files import read_json
from frbias.core.stages.compare import compare
from frbias.core.stages.identify import identify, plan_identify
from frbias.core.stages.requests.compare import CompareRequest
from frbias.core.stages.requests.protocols import IdentifyRequest, PairsRequest
from frbias.core.stages.verify_pairs import plan_pairs, verify_pairs
from frbias.core.verification.accuracy import consecutive_folds, fold_accuracy, squared_distances

PEOPLE, EACH = 24, 6


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRBIAS_HOME", str(tmp_path / "home"))


def population(path: Path, seed: int = 0, noise: float = 0.9) -> Embeddings:
    """Embeddings of 24 people, young and old; the young are harder."""
    rng = np.random.default_rng(seed)
    who = np.repeat(np.arange(PEOPLE), EACH)
    young = np.tile(np.arange(EACH) % 2 == 0, PEOPLE)
    matrix = np.random.default_rng(9).normal(size=(PEOPLE, 16))[who]
    matrix = matrix + np.where(young, 1.5 * noise, noise)[:, None] * rng.normal(size=(len(who), 16))
    frame = pd.DataFrame(
        {
            "file_name": [f"p{w}/{k:03d}.png" for k, w in enumerate(who)],
            "subject": [f"p{w}" for w in who],
            "age": np.where(young, 8.0, 45.0),
            "sex": "",
            "age_group": np.where(young, "young", "old"),
        }
    )
    found = Embeddings(frame, matrix.astype(np.float32), {"name": path.stem})
    write_embeddings(path, found)
    return found


def pair_csv(path: Path, found: Embeddings, groups: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A list with 100 mated and 100 non-mated pairs, one after the other; rows and truth."""
    rng = np.random.default_rng(3)
    who = found.frame["subject"].to_numpy()
    lines, first, second, mated = [], [], [], []
    while len(mated) < 200:
        a, b = (int(x) for x in rng.integers(0, len(who), 2))
        same = who[a] == who[b]
        if a == b or same != (len(mated) % 2 == 0):
            continue
        names = found.frame["file_name"].iloc[[a, b]].str.replace(".png", ".jpg")
        group = f",{'left' if len(mated) < 100 else 'right'}" if groups else ""
        lines.append(f"{names.iloc[0]},{names.iloc[1]},{int(same)}{group}")
        first, second, mated = [*first, a], [*second, b], [*mated, same]
    path.write_text("file1,file2,same" + (",side" if groups else "") + "\n" + "\n".join(lines) + "\n")
    return np.array(first), np.array(second), np.array(mated)


def test_a_list_of_pairs_is_judged_as_its_formula_says(tmp_path: Path) -> None:
    found = population(tmp_path / "e.parquet")
    first, second, mated = pair_csv(tmp_path / "pairs.csv", found)
    request = PairsRequest(pairs=(str(tmp_path / "pairs.csv"),), embeddings=tmp_path / "e.parquet", bootstrap=200)
    result = verify_pairs(request, tmp_path / "out", machine=MACHINE)
    document = result.document
    distances = squared_distances(found.matrix[first], found.matrix[second])
    expected = fold_accuracy(distances, mated, consecutive_folds(200, 10))
    assert document["all"]["accuracy"]["accuracy"] == expected.mean
    assert [f["accuracy"] for f in document["all"]["accuracy"]["folds"]] == expected.accuracies.tolist()
    assert (document["folds"], document["thresholds"]) == ("consecutive", "grid")
    assert document["pairs"] == {"listed": 200, "judged": 200, "missing_pictures": 0, "groups_left_out": []}
    assert document["bootstrap"]["unit"] == "subjects"
    evaluation = read_json(tmp_path / "out" / "evaluation.json")
    tar = {t["target_far"]: t["tar"] for t in document["all"]["tar_at_far"]}
    assert {t["target"]: t["tar"] for t in evaluation["targets"]} == pytest.approx(tar)
    assert verify_pairs(request, tmp_path / "out", machine=MACHINE).reused


def test_groups_come_from_the_list_or_from_the_images(tmp_path: Path) -> None:
    found = population(tmp_path / "e.parquet")
    first, second, mated = pair_csv(tmp_path / "pairs.csv", found, groups=True)
    common = {
        "pairs": (str(tmp_path / "pairs.csv"),),
        "embeddings": tmp_path / "e.parquet",
        "bootstrap": 0,
        "figures": False,
    }
    sides = verify_pairs(PairsRequest(**common, groups="side"), tmp_path / "a", machine=MACHINE).document
    assert [(g["name"], g["mated"], g["non_mated"]) for g in sides["groups"]] == [("left", 50, 50), ("right", 50, 50)]
    assert sides["groups_at_one_threshold"]["worst"]["name"] in ("left", "right")
    ages = verify_pairs(PairsRequest(**common, groups="0-12,40-59"), tmp_path / "b", machine=MACHINE).document
    young = found.frame["age"].to_numpy() < 13
    both = young[first] & young[second]
    assert [g["name"] for g in ages["groups"]] == ["0-12", "40-59", "0-12 - 40-59"]
    assert (ages["groups"][0]["mated"], ages["groups"][0]["non_mated"]) == ((both & mated).sum(), (both & ~mated).sum())
    with pytest.raises(UsageError, match=r"--groups 'race'.*The list of pairs has side"):
        verify_pairs(PairsRequest(**common, groups="race"), tmp_path / "c", machine=MACHINE)


def test_every_pair_of_the_set_grouped_young_old_and_across(tmp_path: Path) -> None:
    population(tmp_path / "e.parquet")
    request = PairsRequest(
        pairs=("all",), embeddings=tmp_path / "e.parquet", groups="age_group", bootstrap=0, figures=False
    )
    document = verify_pairs(request, tmp_path / "out", machine=MACHINE).document
    counts = {g["name"]: (g["mated"], g["non_mated"]) for g in document["groups"]}
    half, pairs = PEOPLE * EACH // 2, PEOPLE * EACH * (PEOPLE * EACH - 1) // 2
    within = half * (half - 1) // 2
    assert counts == {
        "old": (PEOPLE * 3, within - PEOPLE * 3),
        "young": (PEOPLE * 3, within - PEOPLE * 3),
        "old - young": (PEOPLE * 9, half * half - PEOPLE * 9),
    }
    assert sum(map(sum, counts.values())) == pairs
    assert document["all"]["accuracy"] is None
    tars = {g["name"]: g["tar_at_far"][0]["tar"] for g in document["groups"]}
    assert tars["old"] > tars["old - young"] > tars["young"]


def test_pictures_without_embedding_are_counted(tmp_path: Path) -> None:
    found = population(tmp_path / "e.parquet")
    pair_csv(tmp_path / "pairs.csv", found)
    half = Embeddings(found.frame.iloc[: 3 * EACH * PEOPLE // 4], found.matrix[: 3 * EACH * PEOPLE // 4], {"name": "h"})
    write_embeddings(tmp_path / "h.parquet", half)
    request = PairsRequest(
        pairs=(str(tmp_path / "pairs.csv"),), embeddings=tmp_path / "h.parquet", bootstrap=0, figures=False
    )
    pairs = verify_pairs(request, tmp_path / "out", machine=MACHINE).document["pairs"]
    assert pairs["missing_pictures"] > 0
    assert 0 < pairs["judged"] < pairs["listed"] == 200
    (tmp_path / "other.csv").write_text("file1,file2,same\na,b,1\na,c,0\nd,e,1\nd,f,0\n")
    nothing = PairsRequest(pairs=(str(tmp_path / "other.csv"),), embeddings=tmp_path / "h.parquet", folds=2)
    with pytest.raises(BadInputError, match="Not one pair has both pictures"):
        verify_pairs(nothing, tmp_path / "none", machine=MACHINE)
    assert not (tmp_path / "none").exists()


def bin_set(path: Path, seed: int, pairs: int = 10) -> Path:
    """Mated pairs are a picture and the same one with noise."""
    rng = np.random.default_rng(seed)
    images, same = [], []
    for k in range(pairs):
        one = rng.integers(0, 255, (7, 7, 3)).repeat(16, axis=0).repeat(16, axis=1)
        two = one if k % 2 == 0 else rng.integers(0, 255, (7, 7, 3)).repeat(16, axis=0).repeat(16, axis=1)
        noisy = (two + rng.normal(scale=12, size=two.shape)).clip(0, 255)
        images += [encode_jpeg(one.astype(np.uint8), 95), encode_jpeg(noisy.astype(np.uint8), 95)]
        same.append(k % 2 == 0)
    path.write_bytes(pickle.dumps((images, same)))
    return path


def test_verification_sets_bring_their_pictures_and_are_groups(tmp_path: Path) -> None:
    sets = tuple(str(bin_set(tmp_path / f"{name}.bin", k)) for k, name in enumerate(("asian", "african")))
    request = PairsRequest(pairs=sets, folds=5, flip="add", bootstrap=0, figures=False, at_fmr=(0.1,))
    assert [step.what for step in plan_pairs(request, tmp_path / "out", machine=MACHINE).steps][-1]
    document = verify_pairs(request, tmp_path / "out", machine=MACHINE).document
    assert [(g["name"], g["mated"], g["non_mated"]) for g in document["groups"]] == [
        ("asian", 5, 5), ("african", 5, 5),
    ]  # fmt: skip
    assert document["groups_at_own_thresholds"]["mean"] == pytest.approx(
        50 * sum(g["accuracy"]["accuracy"] for g in document["groups"])
    )
    assert document["all"]["eer"]["value"] < 0.4  # a picture and its noisy copy look alike to any network
    straight = PairsRequest(pairs=sets, folds=5, bootstrap=0, figures=False, at_fmr=(0.1,))
    with pytest.raises(UsageError, match="holds other work"):
        verify_pairs(straight, tmp_path / "out", machine=MACHINE)


def test_a_hostile_set_is_refused_by_name_before_any_work(tmp_path: Path) -> None:
    bad = tmp_path / "lfw.bin"
    bad.write_bytes(b"\x80\x02cos\nsystem\nU\x04true\x85R.")
    with pytest.raises(UnsafePickleError, match=r"os\.system"):
        verify_pairs(PairsRequest(pairs=(str(bad),)), tmp_path / "out", machine=MACHINE)
    assert not (tmp_path / "out").exists()


def test_only_pictures_of_the_list_are_embedded(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    rng, rows = np.random.default_rng(0), []
    for k in range(8):
        Image.fromarray(rng.integers(0, 256, (112, 112, 3), dtype=np.uint8)).save(folder / f"{k:04d}_{k % 2}.png")
        rows.append({"file_name": f"{k:04d}_{k % 2}.png", "subject": f"s{k // 2}", "age": None})
    write_samples(make_table(folder, rows))
    (tmp_path / "p.csv").write_text("file1,file2,same\n" + "0000_0,0001_1,1\n0000_0,0003_1,0\n" * 2)
    request = PairsRequest(
        pairs=(str(tmp_path / "p.csv"),), data=str(folder), folds=2, bootstrap=0, figures=False, at_fmr=(0.5,)
    )
    document = verify_pairs(request, tmp_path / "out", machine=MACHINE).document
    assert document["provenance"]["failure_to_acquire"]["attempts"] == 3
    assert document["pairs"]["judged"] == 4


def test_identification_of_embeddings(tmp_path: Path) -> None:
    population(tmp_path / "e.parquet")
    request = IdentifyRequest(embeddings=tmp_path / "e.parquet", bootstrap=100, at_fpir=(0.1,))
    assert plan_identify(request, tmp_path / "out", machine=MACHINE).steps
    result = identify(request, tmp_path / "out", machine=MACHINE)
    document = result.document
    assert document["searches"] == {"mated": 144, "non_mated": 144}
    assert [g["name"] for g in document["groups"]] == ["0-12", "40-59"]
    assert document["groups"][0]["rank_1"]["value"] < document["groups"][1]["rank_1"]["value"]
    assert [g["name"] for g in document["age_gaps"]] == ["0-1", "31-40"]
    by_column = IdentifyRequest(embeddings=tmp_path / "e.parquet", groups="age_group", bootstrap=0)
    names = [g["name"] for g in identify(by_column, tmp_path / "b", machine=MACHINE).document["groups"]]
    assert names == ["old", "young"]
    enrolled = IdentifyRequest(embeddings=tmp_path / "e.parquet", gallery="youngest", bootstrap=0)
    assert identify(enrolled, tmp_path / "c", machine=MACHINE).document["gallery"]["images"] == PEOPLE


def test_remedies_stand_beside_another_recogniser(tmp_path: Path) -> None:
    population(tmp_path / "start.parquet")
    population(tmp_path / "tuned.parquet", seed=1, noise=0.7)
    models = tuple(str(tmp_path / f"{name}.parquet") for name in ("start", "tuned"))
    request = CompareRequest(
        models=models, groups="0-12,40-59", at_fmr=(0.1,), bootstrap=100, figures=False,
        remedy=("group-threshold", "adaptive-norm"),
    )  # fmt: skip
    result = compare(request, tmp_path / "out", machine=MACHINE)
    assert [d["other"]["name"] for d in result.documents] == [
        "tuned",
        "start + group-threshold",
        "start + adaptive-norm",
    ]
    assert {d["baseline"]["name"] for d in result.documents} == {"start"}
    counts = {
        tuple((g["mated"], g["non_mated"]) for g in d[side]["groups"]["evaluated"])
        for d in result.documents
        for side in ("baseline", "other")
    }
    assert len(counts) == 1
    kept = [d["targets"][0]["at_baseline_tau"] for d in result.documents]
    assert kept[0] is not None  # a remedy's scores have another scale
    assert kept[1:] == [None, None]
    usual = compare(
        CompareRequest(models=models, groups="0-12,40-59", at_fmr=(0.1,), bootstrap=0, figures=False),
        tmp_path / "usual", machine=MACHINE,
    ).document  # fmt: skip
    for side in ("baseline", "other"):
        for one, two in zip(
            usual[side]["targets"][0]["groups"], result.documents[0][side]["targets"][0]["groups"], strict=True
        ):
            assert (one["false_matches"], one["false_non_matches"]) == (two["false_matches"], two["false_non_matches"])
    alone = CompareRequest(
        models=models[:1], groups="0-12,40-59", at_fmr=(0.1,), bootstrap=0, figures=False, remedy=("z-norm",),
        cohort=str(tmp_path / "cohort.parquet"),
    )  # fmt: skip
    population(tmp_path / "cohort.parquet", seed=5)
    with pytest.raises(BadInputError, match="who is judged too"):
        compare(alone, tmp_path / "alone", machine=MACHINE)
    stranger = population(tmp_path / "cohort.parquet", seed=5)
    frame = stranger.frame.assign(file_name=[f"x{k}" for k in range(len(stranger))])
    write_embeddings(tmp_path / "cohort.parquet", Embeddings(frame, stranger.matrix[:, ::-1].copy(), {}))
    document = compare(alone, tmp_path / "alone", machine=MACHINE).document
    assert document["other"]["provenance"]["cohort"] == "given"


@pytest.mark.parametrize(
    ("kind", "fields", "sentence"),
    [
        (PairsRequest, {"pairs": ()}, "--pairs is empty"),
        (PairsRequest, {"pairs": ("a.csv",)}, "--pairs needs the pictures"),
        (PairsRequest, {"pairs": ("a.bin",), "data": "x"}, "brings its own pictures; leave out --data"),
        (PairsRequest, {"pairs": ("a.bin", "b.csv"), "data": "x"}, "not both at once"),
        (PairsRequest, {"pairs": ("a/x.bin", "b/x.bin")}, "several are called x; rename them"),
        (PairsRequest, {"pairs": ("all",), "data": "x"}, "--pairs all stands alone and needs --groups"),
        (PairsRequest, {"pairs": ("a.csv",), "data": "x", "at_fmr": (2.0,)}, "--at-fmr 2 is no rate"),
        (PairsRequest, {"pairs": ("a.csv",), "embeddings": Path("e"), "flip": "add"}, "--flip needs pictures"),
        (IdentifyRequest, {}, "--identify needs one of --data NAME or --embeddings FILE"),
        (IdentifyRequest, {"data": "x", "at_fpir": (0.0,)}, "--at-fpir 0 is no rate"),
        (CompareRequest, {"models": ("a",)}, "Give two or more embeddings files"),
        (CompareRequest, {"models": ("a",), "remedy": ("magic",)}, "--remedy 'magic' is unknown"),
        (CompareRequest, {"models": ("a",), "remedy": ("z-norm", "z-norm")}, "names z-norm twice"),
        (CompareRequest, {"models": ("a",), "remedy": ("z-norm",), "non_mated": "all"}, "compares within groups"),
        (CompareRequest, {"models": ("a", "b"), "cohort": "c"}, "--cohort is for score normalisations"),
    ],
)
def test_what_does_not_go_together_is_said(kind: type, fields: dict, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        kind(**fields)
