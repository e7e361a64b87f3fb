"""A copy whose face was cut out a little elsewhere is still a copy; another picture is not."""

import cv2
import numpy as np
import pytest

from frbias.core.auditing import defects
from frbias.core.auditing.defects import copies_of, copies_within, thumbnails


@pytest.fixture(scope="module")
def pictures():
    """Six smooth pictures (6, 140, 140, 3)."""
    random = np.random.default_rng(4)
    coarse = random.uniform(20, 235, (6, 14, 14)).astype(np.float32)
    grey = [cv2.resize(one, (140, 140), interpolation=cv2.INTER_CUBIC) for one in coarse]
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=3)


def _crops(pictures, down=0, right=0):
    return np.ascontiguousarray(pictures[:, 14 + down : 126 + down, 14 + right : 126 + right])


@pytest.mark.parametrize(("down", "right", "mirrored"), [(0, 0, False), (2, -3, False), (-3, 2, True), (3, 3, False)])
def test_a_copy_cut_out_elsewhere_is_found(pictures, down, right, mirrored):
    other = _crops(pictures, down, right)
    if mirrored:
        other = np.ascontiguousarray(other[:, :, ::-1])
    same = np.ones((6, 4)) / 2
    found = copies_of(same, thumbnails(_crops(pictures)), same, thumbnails(other))
    assert found.of.tolist() == [0, 1, 2, 3, 4, 5]
    assert found.cosine.tolist() == [1.0] * 6


def test_a_set_of_look_alikes_is_not_compared_move_by_move(pictures, monkeypatch):
    compared = []
    monkeypatch.setattr(
        defects,
        "_moved_correlation",
        lambda small, other, rows, columns: compared.append(len(rows)) or np.zeros(len(rows)),
    )
    small = thumbnails(np.random.default_rng(0).integers(0, 256, (300, 112, 112, 3), dtype=np.uint8))
    assert (copies_within(np.ones((300, 4)) / 2, small).of == -1).all()
    assert sum(compared) == 0


def test_other_pictures_are_no_copies_however_alike_the_faces(pictures):
    same = np.ones((6, 4)) / 2
    assert (copies_within(same, thumbnails(_crops(pictures))).of == -1).all()


def test_a_copy_cut_out_far_elsewhere_is_not_found(pictures):
    same = np.ones((6, 4)) / 2
    found = copies_of(same, thumbnails(_crops(pictures)), same, thumbnails(_crops(pictures, 12, 12)))
    assert (found.of == -1).all()


def test_unlike_faces_are_no_copies_however_alike_the_pictures(pictures):
    small, unlike = thumbnails(_crops(pictures)), np.eye(6)
    assert (copies_of(unlike, small, np.roll(unlike, 1, axis=0), small).of == -1).all()
