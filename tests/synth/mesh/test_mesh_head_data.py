from concurrent.futures import ThreadPoolExecutor

import numpy as np

from frbias.core.assets.paths import embedded_folder
from frbias.synth.mesh import head_data
from frbias.synth.mesh.head_data import FILE_NAME, MOUTH, SKIN, TEETH, TONGUE, load_head
from frbias.synth.mesh.surface import anchor


def test_the_head_is_complete_and_plausible():
    head = load_head()
    assert len(head.names) == 434
    assert len(set(head.names)) == 434
    assert set(np.unique(head.material)) == {SKIN, MOUTH, TEETH, TONGUE}
    assert head.triangles.max() < len(head.template)
    assert head.shape_starts[-1] == len(head.shape_moved)
    assert ((head.occlusion >= 0) & (head.occlusion <= 1)).all()
    nose = head.template[head.template[:, 2].argmax()]
    assert abs(nose[0]) < 0.02
    inner, outer = head.occlusion[head.triangles[head.material == MOUTH]].mean(), np.median(head.occlusion)
    assert inner < 0.3 < 0.8 < outer


def test_points_of_the_front_are_found_on_the_neutral_face():
    head = load_head()
    xy = np.array([[0.0, 7.0], [0.3, 6.9], [-0.4, 7.6], [0.0, 6.4]])
    found = anchor(head, xy).on(head.template)
    assert np.abs(found[:, :2] - xy).max() < 0.01
    assert (found[:, 2] > 0.9).all()


def test_a_damaged_file_is_not_used(tmp_path):
    load_head()
    data = (embedded_folder() / FILE_NAME).read_bytes()
    path = tmp_path / FILE_NAME
    assert head_data._read(path) is None
    path.write_bytes(data[: len(data) // 2])
    assert head_data._read(path) is None
    spot = len(data) // 2
    path.write_bytes(data[:spot] + bytes([data[spot] ^ 255]) + data[spot + 1 :])
    assert head_data._read(path) is None
    path.write_bytes(data)
    assert head_data._read(path) is not None


def test_two_conversions_at_once_leave_one_good_file(tmp_path, monkeypatch):
    load_head()
    with np.load(embedded_folder() / FILE_NAME) as stored:
        arrays = {name: stored[name] for name in stored.files if name != "sha256"}
    monkeypatch.setattr(head_data, "read_head", lambda archive: None)
    monkeypatch.setattr(head_data, "_arrays", lambda raw: arrays)
    path = tmp_path / "new" / FILE_NAME
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: head_data.convert(None, path), range(4)))
    assert head_data._read(path) is not None
    assert [p.name for p in path.parent.iterdir()] == [FILE_NAME]
