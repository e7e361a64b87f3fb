import numpy as np

from frbias.synth.mesh.build import control_mesh
from frbias.synth.mesh.complexion import complexion
from frbias.synth.mesh.head_data import load_head
from frbias.synth.mesh.identity import sample_identity
from frbias.synth.mesh.kin import first_of, sample_person
from frbias.synth.mesh.request import MeshRequest
from frbias.synth.mesh.view import Ranges, sample_view

PAIRS = range(40, 56, 2)


def _distance(a, b):
    """Root mean square distance of two people's faces at 30, decimetres."""
    head = load_head()
    front = head.base[:, 1] > 6.2
    one, other = (control_mesh(head, person, 30.0, {})[front].astype(float) for person in (a, b))
    gap = (one - one.mean(axis=0)) - (other - other.mean(axis=0))
    return float(np.sqrt((gap**2).sum(axis=1).mean()))


def test_even_numbers_and_unrelated_people_are_who_they_always_were():
    assert [first_of(n) for n in (0, 1, 8, 9)] == [0, 0, 8, 8]
    for kin in ("none", "siblings", "twins"):
        assert sample_person(3, 8, kin) == sample_identity(3, 8)
    assert sample_person(3, 9) == sample_identity(3, 9)
    assert sample_person(3, 9).draws == ((9, 1.0),)


def test_twins_have_one_form_and_siblings_are_nearer_than_strangers():
    gaps = {
        kin: np.mean([_distance(sample_person(0, n, kin), sample_person(0, n + 1, kin)) for n in PAIRS])
        for kin in ("none", "siblings", "twins")
    }
    assert gaps["twins"] < 1e-6
    assert 0.5 * gaps["none"] < gaps["siblings"] < 0.9 * gaps["none"]


def test_siblings_share_half_of_their_complexion_and_twins_all():
    sort = {"none": [], "siblings": [], "twins": []}
    for kin, found in sort.items():
        for n in PAIRS:
            a, b = (complexion(sample_person(0, m, kin))[0][::16, ::16].ravel() for m in (n, n + 1))
            found.append(np.corrcoef(a, b)[0, 1])
    assert min(sort["twins"]) > 0.999
    assert 0.3 < np.mean(sort["siblings"]) < 0.7
    assert abs(np.mean(sort["none"])) < 0.2


def test_siblings_have_ancestry_and_hair_in_common_and_twins_their_sex_too():
    for n in PAIRS:
        elder = sample_person(0, n)
        sibling, twin = sample_person(0, n + 1, "siblings"), sample_person(0, n + 1, "twins")
        assert sibling.ancestry == elder.ancestry
        assert sibling.hair.colour == elder.hair.colour
        assert np.isclose(sum(factor**2 for _, factor in sibling.draws), 1)
        assert (twin.female, twin.gender, twin.iris, twin.shape) == (
            elder.female,
            elder.gender,
            elder.iris,
            elder.shape,
        )
        assert twin.subject == n + 1
    sexes = {sample_person(0, n + 1, "siblings").female == sample_person(0, n).female for n in PAIRS}
    assert sexes == {True, False}


def test_relatives_are_born_in_one_year_and_have_pictures_of_their_own():
    own, family = (sample_view(0, 9, 8.0, 0, Ranges(), number) for number in (None, 8))
    assert own.yaw == family.yaw
    old = [sample_view(0, n, 8.0, 0, Ranges(), n - 1).film.saturation == 0 for n in range(1, 400, 2)]
    elder = [sample_view(0, n - 1, 8.0, 0, Ranges()).film.saturation == 0 for n in range(1, 400, 2)]
    alone = [sample_view(0, n, 8.0, 0, Ranges()).film.saturation == 0 for n in range(1, 400, 2)]
    assert np.corrcoef(old, elder)[0, 1] > np.corrcoef(alone, elder)[0, 1] + 0.2


def test_a_set_of_relatives_shares_people_with_the_set_that_they_are_made_of():
    first = MeshRequest(subjects=1, first_subject=8)
    assert "kin" not in first.identity()
    assert not first.population().shares_people_with(MeshRequest(subjects=1, first_subject=9).population())
    twins = MeshRequest(subjects=1, first_subject=9, kin="twins")
    assert first.population().shares_people_with(twins.population())
    assert twins.identity()["kin"] == "twins"
