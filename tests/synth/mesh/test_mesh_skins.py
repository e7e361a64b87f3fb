"""Photographs of skin, here made-up ones: what is taken of them, how they are mixed, and that nobody gets them unasked."""

from dataclasses import replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from frbias.cli.app import main
from frbias.core.assets.skins import SkinFile
from frbias.core.foundation.errors import AssetMissingError
from frbias.synth.backends import make_backend
from frbias.synth.mesh import faces, skin_map
from frbias.synth.mesh.backend import MeshBackend
from frbias.synth.mesh.head_data import load_head
from frbias.synth.mesh.identity import sample_identity
from frbias.synth.mesh.kin import sample_person
from frbias.synth.mesh.photographed_skin import PhotographedSkin
from frbias.synth.mesh.pigments import BARE, BLOOD, MELANIN, pigments_of
from frbias.synth.mesh.request import MeshRequest
from frbias.synth.mesh.skin import SkinPainter
from frbias.synth.mesh.skin_photographs import FACE, prepared
from frbias.synth.mesh.texture_space import HIGHEST, LOWEST, TEXTURE_SIZE

SIDE = 256


def _plain_map():
    """A skin that lies on the head as the head's own texture does."""
    place = (np.arange(TEXTURE_SIZE, dtype=np.float32) + 0.5) / TEXTURE_SIZE
    return np.stack(np.meshgrid(place, place), axis=-1)


def _picture(melanin, blood):
    linear = BARE * np.exp(-melanin[..., None] * MELANIN - blood[..., None] * BLOOD)
    encoded = np.where(linear < 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.round(255 * encoded).astype(np.uint8)


def _skin(age, ancestry, sex, seed=None):
    melanin, blood = np.full((SIDE, SIDE), 0.5, np.float32), np.full((SIDE, SIDE), 0.2, np.float32)
    if seed is not None:
        noise = np.random.default_rng(seed).normal(size=(2, SIDE, SIDE)).astype(np.float32)
        melanin += 0.5 * cv2.GaussianBlur(noise[0], (0, 0), 1.5)
        blood += 0.5 * cv2.GaussianBlur(noise[1], (0, 0), 1.5)
    return SkinFile(f"{age}_{ancestry}_{sex}/textures/{seed}.png", 0, ""), _picture(melanin, blood)


@pytest.fixture(scope="module")
def photographs():
    kinds = [(a, e, s) for a in ("young", "middleage", "old") for e, s in (("african", "female"), ("asian", "male"))]
    pictures = [_skin(*kind, seed=k) for k, kind in enumerate(kinds)] + [_skin("young", "asian", "male", seed=99)]
    return prepared(pictures, load_head(), _plain_map())


def test_pigments_are_found_in_a_colour():
    rng = np.random.default_rng(0)
    melanin, blood = rng.uniform(0.1, 2, 50), rng.uniform(0, 0.5, 50)
    density = melanin[:, None] * MELANIN + blood[:, None] * BLOOD
    assert np.allclose(pigments_of(density), np.stack([melanin, blood], axis=1), atol=1e-5)


def test_a_mean_colour_is_no_structure_and_a_spot_is():
    file, plain = _skin("young", "asian", "male")
    stages = [replace(file, member=f"{age}_asian_male/x.png") for age in ("young", "middleage", "old")]
    flat = prepared([(stage, plain) for stage in stages], load_head(), _plain_map())
    assert np.abs(flat.shared + flat.own).max() < 0.02
    melanin, blood = np.full((SIDE, SIDE), 0.5), np.full((SIDE, SIDE), 0.2)
    row, column = round((HIGHEST - 6.75) / (HIGHEST - LOWEST) * SIDE), SIDE // 2 + 26
    melanin[row - 2 : row + 3, column - 2 : column + 3] += 0.3
    spotted = prepared([(stage, _picture(melanin, blood)) for stage in stages], load_head(), _plain_map())
    seen = (spotted.shared + spotted.own)[0, 0]
    where = np.unravel_index(seen[0].argmax(), seen[0].shape)
    place = (where[0] + FACE[0].start, where[1] + FACE[1].start)
    assert np.abs(np.array(place) - 2 * np.array([SIDE - 1 - row, column])).max() <= 6
    assert seen[0].max() > 0.2
    assert np.abs(seen[1]).max() < 0.05


def test_what_is_drawn_is_not_taken_from_photographs(photographs):
    head = load_head()
    total = np.abs(photographs.shared + photographs.own).max(axis=(0, 1, 2))
    assert 0.02 < total.mean() < 0.3
    assert total[head.texel_masks[1][FACE] > 0.5].max() == 0  # inside of the lids
    hair = head.texel_position[FACE][..., 1] > 8.0
    assert total[hair].max() < 1e-6
    assert max(total[0].max(), total[:, 0].max(), total[:, -1].max()) < 1e-6  # no edge of the part that is used


def test_a_stage_that_one_of_two_people_lacks_is_the_others(photographs):
    assert photographs.own.shape[0] == 3
    assert photographs.females.tolist() == [True, False, False]
    assert photographs.ancestries.tolist() == [0, 1, 1]
    assert np.array_equal(photographs.own[1, 1:], photographs.own[2, 1:])
    assert not np.array_equal(photographs.own[1, 0], photographs.own[2, 0])
    assert np.allclose(photographs.own.mean(axis=0), photographs.own.mean(axis=0)[..., ::1], atol=1e-6)


def test_everybody_has_a_skin_of_their_own(photographs):
    people = [PhotographedSkin(photographs, sample_identity(0, s)) for s in range(6)]
    seen = np.array([one.at(30.0)[0].ravel() for one in people])
    assert np.array_equal(seen[2], PhotographedSkin(photographs, sample_identity(0, 2)).at(30.0)[0].ravel())
    alike = np.corrcoef(seen)[np.triu_indices(6, 1)]
    assert alike.max() < 0.95
    twins = [PhotographedSkin(photographs, sample_person(0, s, "twins")).at(30.0) for s in (4, 5)]
    assert np.array_equal(*twins)


def test_skin_changes_with_the_years_and_is_faint_in_children(photographs):
    skin = PhotographedSkin(photographs, sample_identity(0, 3))
    amount = [float(np.abs(skin.at(years)[:2]).mean()) for years in (0, 8, 18, 27)]
    assert amount[0] < amount[1] < amount[2]
    assert np.isclose(amount[2], amount[3])
    for one, other in ((27.0, 27.5), (47.0, 47.5), (69.5, 70.5)):
        assert np.abs(skin.at(one) - skin.at(other)).max() < 0.05
    assert np.abs(skin.at(30.0) - skin.at(70.0)).max() > 0.05
    assert np.array_equal(skin.at(70.0), skin.at(80.0))


def test_photographs_change_the_face_and_nothing_else(photographs, monkeypatch):
    head, person = load_head(), sample_identity(0, 7)
    drawn, blended = SkinPainter(head, person).paint(35.0), SkinPainter(head, person, photographs).paint(35.0)
    changed = np.abs(drawn - blended).max(axis=2)
    outside = np.ones(changed.shape, bool)
    outside[FACE] = False
    assert changed[outside].max() < 0.02  # slopes of the last texels
    assert changed[FACE].mean() > 0.005
    monkeypatch.setattr(faces, "load_skin_photographs", lambda: photographs)
    one, other = (faces.Sitter(0, 7, "none", skins).portray(35.0, 0, size=96) for skins in ("none", "makehuman"))
    assert not np.array_equal(one.image, other.image)
    assert np.array_equal(one.points68, other.points68)


def test_the_option_is_part_of_the_work():
    asked, plain = (MeshBackend(MeshRequest(skins=skins)).describe() for skins in ("makehuman", "none"))
    assert "skins" not in plain
    assert "photographs" not in plain
    assert asked["skins"] == "makehuman"
    assert len(asked["photographs"]["sha256"]) == 64


@pytest.mark.parametrize("layout", [None, "fgnet"])
def test_missing_skins_are_said_before_any_work(layout, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("FRBIAS_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AssetMissingError) as caught:
        make_backend(MeshRequest(skins="makehuman", layout=layout))
    assert "frbias models fetch makehuman-skins" in str(caught.value.hint)
    arguments = ["generate", "--backend", "mesh", "--skins", "makehuman", "--out", "faces"]
    with pytest.raises(SystemExit) as stopped:
        main(arguments + (["--layout", layout] if layout else []))
    assert stopped.value.code == 3
    assert "CC0-1.0" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_map_follows_the_skin_over_a_seam(monkeypatch):
    """A cylinder around the head's axis, whose texture has a seam in front."""
    angle, height = np.linspace(-1, 1, 21), np.linspace(6.0, 7.5, 16)
    points = np.array([[0.8 * np.sin(a), y, 0.45 + 0.8 * np.cos(a)] for y in height for a in angle], np.float32)
    quads, places = [], []
    for row in range(15):
        for column in range(20):
            corners = [(row, column), (row, column + 1), (row + 1, column + 1), (row + 1, column)]
            quads.append([r * 21 + c for r, c in corners])
            left = column < 10
            places.append([(c / 20 + (0.4 if left else -0.4), r / 15) for r, c in corners])
    raw = SimpleNamespace(
        vertices=points,
        quads=np.array(quads, np.int32),
        quads_uv=np.array(places, np.float32),
        masks={"mouth": np.zeros(len(points), np.float32)},
    )
    monkeypatch.setattr(skin_map, "neutral", lambda raw: raw.vertices)
    found = skin_map.skin_map(raw)
    for turn, y in ((-0.6, 6.5), (-0.03, 7.0), (0.03, 7.0), (0.7, 6.4)):
        column = int((0.5 + turn / 4.8) * TEXTURE_SIZE)
        row = int((y - LOWEST) / (HIGHEST - LOWEST) * TEXTURE_SIZE)
        u, v = found[row, column]
        assert abs(u - ((turn + 1) / 2 + (0.4 if turn < 0 else -0.4))) < 0.01
        assert abs(v - (y - 6) / 1.5) < 0.01


def test_a_damaged_map_is_not_used(tmp_path):
    places = np.random.default_rng(0).random((TEXTURE_SIZE, TEXTURE_SIZE, 2)).astype(np.float32)
    path = tmp_path / skin_map.FILE_NAME
    assert skin_map._read(path) is None
    skin_map._write(path, places)
    assert np.abs(skin_map._read(path) - places).max() < 1e-5
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    assert skin_map._read(path) is None
