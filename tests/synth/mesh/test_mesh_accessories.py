import numpy as np
import pytest

from frbias.synth.mesh.accessories import NOTHING, worn_in
from frbias.synth.mesh.faces import Sitter
from frbias.synth.mesh.identity import sample_identity
from frbias.synth.mesh.parts import PARTS
from frbias.synth.mesh.request import MeshRequest


@pytest.fixture(scope="module")
def capped():
    """A woman of 30 with a cap and earrings, and without."""
    sitter = Sitter(0, 1001)
    return [sitter.portray(30.0, 0, size=112, with_parts=True, accessories=rate) for rate in (1.0, 0.0)]


def test_nothing_is_worn_unless_asked_for():
    person = sample_identity(0, 1001)
    assert worn_in(person, 30.0, 0, 0.0) == NOTHING
    assert "accessories" not in MeshRequest().identity()
    assert MeshRequest(accessories=0.2).identity()["accessories"] == 0.2


def test_rates_are_those_asked_for():
    people = [sample_identity(0, subject) for subject in range(400)]
    for rate in (0.3, 1.0):
        worn = [worn_in(person, 40.0, 0, rate) for person in people]
        assert np.mean([one.cap is not None for one in worn]) == pytest.approx(0.45 * rate, abs=0.07)
        assert np.mean([one.collar is not None for one in worn]) == pytest.approx(0.55 * rate, abs=0.07)
        female = np.array([person.female for person in people])
        ringed = np.array([one.earring is not None for one in worn])
        assert ringed[~female].mean() == pytest.approx(0.10 * rate, abs=0.06)
        assert ringed[female].mean() == pytest.approx(0.65 * rate, abs=0.10)
    assert not any(worn_in(person, 2.0, 0, 1.0).earring for person in people)
    radii = {worn_in(people[7], age, variant, 1.0).earring for age in (40.0, 60.0) for variant in range(4)}
    assert len(radii) == 1


def test_a_cap_covers_the_hair_above_the_forehead_and_nothing_of_the_face(capped):
    with_cap, without = capped
    column = int(with_cap.points5[2, 0])
    tops = [PARTS[part[:, column][part[:, column] > 0][0]] for part in (with_cap.parts, without.parts)]
    assert tops == ["cloth", "hair"]
    hair = [int((face.parts == PARTS.index("hair")).sum()) for face in capped]
    assert hair[0] < 0.8 * hair[1]
    low = int(with_cap.points5[:2, 1].min()) - 2
    face = slice(low, int(with_cap.points5[3:, 1].max()))
    inner = slice(int(with_cap.points5[0, 0]), int(with_cap.points5[1, 0]))
    assert np.array_equal(with_cap.parts[face, inner], without.parts[face, inner])
    assert np.array_equal(with_cap.points68, without.points68)


def test_earrings_hang_beside_the_jaw(capped):
    rows, columns = np.nonzero(capped[0].parts == PARTS.index("glasses"))
    assert len(rows) > 0
    assert not (capped[1].parts == PARTS.index("glasses")).any()
    points = capped[0].points68
    assert rows.min() > points[[31, 36], 1].max()
    assert rows.max() < points[7, 1] + 5
    assert ((columns < points[2, 0] + 3) | (columns > points[12, 0] - 3)).all()


def test_a_collar_covers_the_neck():
    sitter = Sitter(0, 1002)
    worn, bare = (sitter.portray(10.0, 0, size=96, with_parts=True, accessories=rate) for rate in (1.0, 0.0))
    cloth = [int((face.parts == PARTS.index("cloth")).sum()) for face in (worn, bare)]
    assert cloth[0] > 1.1 * cloth[1]
    assert worn.made_from["worn"].collar is not None
