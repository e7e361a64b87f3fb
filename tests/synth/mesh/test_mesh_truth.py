import json

import cv2
import numpy as np
import pytest

from frbias.core.data.samples import read_samples
from frbias.core.foundation.errors import UsageError
from frbias.core.foundation.machine import Machine, Resources
from frbias.synth.generate import generate_with
from frbias.synth.mesh.backend import MeshBackend, render_face
from frbias.synth.mesh.parts import PARTS
from frbias.synth.mesh.request import MeshRequest

OPTIONS = MeshRequest(subjects=1, first_subject=13, ages=(35.0,), variants=1, seed=8, size=96)
ASKED = MeshRequest(
    subjects=1, first_subject=13, ages=(35.0,), variants=1, seed=8, size=96, truth=("landmarks", "mask", "params")
)
ONE = Machine(Resources(workers=1))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("truth") / "set"
    generate_with(MeshBackend(ASKED), folder, machine=ONE)
    return folder


def test_truth_lies_beside_the_pictures_and_changes_none_of_them(made, tmp_path):
    generate_with(MeshBackend(OPTIONS), tmp_path / "plain", machine=ONE)
    name = "00013/00013_35_0"
    assert (made / f"{name}.png").read_bytes() == (tmp_path / "plain" / f"{name}.png").read_bytes()
    assert not (tmp_path / "plain" / "truth").exists()
    assert sorted(p.name for p in (made / "truth" / "00013").iterdir()) == [
        "00013_35_0.json",
        "00013_35_0.mask.png",
        "00013_35_0.pts",
    ]
    assert len(read_samples(made).frame) == 1


def test_the_mask_shows_eyes_at_the_eyes_and_skin_at_the_nose(made):
    mask = cv2.imread(str(made / "truth/00013/00013_35_0.mask.png"), cv2.IMREAD_UNCHANGED)
    face = render_face(13, 35.0, 0, ASKED)
    assert np.array_equal(mask, face.parts)
    columns, rows = np.round(face.points5).astype(int).T
    assert [PARTS[mask[y, x]] for x, y in zip(columns, rows, strict=True)][:3] == ["eyes", "eyes", "skin"]
    shares = {name: float((mask == number).mean()) for number, name in enumerate(PARTS)}
    assert 0.1 < shares["skin"] < 0.6
    assert shares["background"] > 0.15
    assert shares["cloth"] > 0.001
    assert shares["hair"] > 0.01
    down_the_middle = mask[:, columns[2]]
    assert PARTS[down_the_middle[down_the_middle > 0][0]] == "hair"
    outline = face.points68[:15]
    inside = cv2.fillPoly(np.zeros(mask.shape, np.uint8), [np.round(outline).astype(np.int32)], 1) > 0
    assert (mask[inside] == PARTS.index("background")).mean() < 0.02


def test_landmarks_and_parameters_are_those_of_the_picture(made):
    face = render_face(13, 35.0, 0, ASKED)
    lines = (made / "truth/00013/00013_35_0.pts").read_text().splitlines()
    points = np.array([line.split() for line in lines[3:-1]], dtype=float)
    assert abs(points - face.points68).max() < 1e-3
    told = json.loads((made / "truth/00013/00013_35_0.json").read_text())
    assert told["age"] == 35.0
    assert told["person"]["subject"] == 13
    assert told["view"]["yaw"] == face.yaw
    assert np.shape(told["view"]["light"]["irradiance"]) == (9, 3)
    assert told["camera"]["size"] == 96
    assert sum(weight for name, weight in told["blend_shapes"].items() if name.startswith("base/")) == pytest.approx(1)


def test_glasses_have_a_part_of_their_own():
    options = MeshRequest(subjects=1, seed=7, size=96, truth=("mask",))
    found = [
        subject
        for subject in range(12)
        if (render_face(subject, 70.0, 0, options).parts == PARTS.index("glasses")).any()
    ]
    assert 0 < len(found) < 12


def test_sets_without_truth_are_the_work_that_they_were():
    assert "truth" not in OPTIONS.identity()
    assert list(ASKED.identity()["truth"]) == ["landmarks", "mask", "params"]


def test_kinds_are_read_and_refused():
    assert MeshRequest.read({"truth": "mask, landmarks"}).truth == ("landmarks", "mask")
    with pytest.raises(UsageError, match="--truth 'masks' is unknown; use landmarks, mask, params"):
        MeshRequest.read({"truth": "masks"})
