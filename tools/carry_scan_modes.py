"""Carry the identity components of the ICT Face Model Light over to MakeHuman's mesh: ``frbias/synth/mesh/scan_modes.npz``.

    python tools/carry_scan_modes.py FACEXMODEL

FACEXMODEL is the folder of that name of the repository ``VGL-Group/ICT-FaceKit`` (commit da5f95a; MIT). Needed once; the
result comes with the package. The mean scan is laid over the average head of the generator by a similarity on 27 points
of the face, then bent onto it by a Gaussian process regression on these points and, six times, on where random points
of the scan's surface lie along the normals of the head. Every control vertex takes the displacement of the scan there.
"""

import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from frbias.synth.mesh.geometry import normals
from frbias.synth.mesh.head_data import SKIN, load_head
from frbias.synth.mesh.landmarks import face_points
from frbias.synth.mesh.proportions import applied_share, growth_field, neutral_control
from frbias.synth.mesh.scans import MODES_FILE

Array = npt.NDArray[np.float64]
COMPONENTS = 100
# Vertices of face, head, neck and mouth socket, and of the face alone, of the scans' mesh.
SKIN_OF_SCAN, FACE_OF_SCAN = 11248, 9409
# The scan's vertices (means of pairs) and the number of FG-NET's point where they belong.
POINTS = {
    (1507,): 27, (1528,): 29, (3721,): 32, (3742,): 34, (1542, 1537): 28, (1518, 1511): 30, (3751, 3756): 33,
    (3725, 3732): 35, (4857,): 67, (1147,): 41, (1140,): 40, (3360,): 42, (5708,): 48, (6213,): 54, (0,): 51, (2081,): 50,
    (4275,): 52, (5518,): 57, (6461,): 56, (5957,): 58, (5695,): 49, (6200,): 53, (966,): 7, (268,): 21, (1401,): 24,
    (3615,): 18, (2509,): 15,
}  # fmt: skip
REACHES = ((1.0, 1.0), (0.3, 0.3))


def vertices(file: Path) -> Array:
    """Vertices of a Wavefront file, decimetres."""
    return np.array([line.split()[1:4] for line in file.open() if line.startswith("v ")], float) / 10


def triangles(file: Path) -> npt.NDArray[np.int64]:
    """Faces of a Wavefront file as triangles of the skin."""
    found = []
    for line in file.open():
        if line.startswith("f "):
            corner = [int(part.split("/")[0]) - 1 for part in line.split()[1:]]
            found += [(corner[0], corner[k], corner[k + 1]) for k in range(1, len(corner) - 1)]
    every = np.array(found)
    return every[(every < SKIN_OF_SCAN).all(axis=1)]


def similarity(source: Array, target: Array) -> tuple[float, Array, Array]:
    """Scale, rotation and shift that lay ``source`` (n, 3) over ``target`` (Umeyama 1991)."""
    a, b = source - source.mean(axis=0), target - target.mean(axis=0)
    left, sizes, right = np.linalg.svd(a.T @ b)
    flip = np.array([1, 1, np.sign(np.linalg.det(left @ right))])
    rotation = ((left * flip) @ right).T
    scale = float((sizes * flip).sum() / (a * a).sum())
    return scale, rotation, target.mean(axis=0) - scale * rotation @ source.mean(axis=0)


def bent(place: Array, known: Array, shift: Array, noise: Array) -> Array:
    """``place`` (n, 3) moved by the regression of ``shift`` at ``known`` (m, 3)."""

    def kernel(a: Array, b: Array) -> Array:
        square = ((a[:, None] - b[None]) ** 2).sum(axis=2)
        return np.sum([weight * np.exp(-square / (2 * reach**2)) for reach, weight in REACHES], axis=0)

    pull = np.linalg.solve(kernel(known, known) + np.diag(noise), shift)
    return place + np.concatenate([kernel(part, known) @ pull for part in np.array_split(place, 20)])


def outward(mesh: Array, corners: npt.NDArray[np.int64]) -> Array:
    """Unit normals of the vertices."""
    a, b, c = (mesh[corners[:, k]] for k in range(3))
    total, flat = np.zeros_like(mesh), np.cross(b - a, c - a)
    for k in range(3):
        np.add.at(total, corners[:, k], flat)
    return total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-9)


def measured() -> Array:
    """Control mesh of the average head of 25 years with the measured proportions in full."""
    head = load_head()
    return neutral_control(head).astype(np.float64) + growth_field(25.0) / applied_share(25.0)


def register(mean: Array, corners: npt.NDArray[np.int64]) -> tuple[float, Array, Array]:
    """Scale and rotation of the scans, and the mean scan bent onto the average head."""
    head, control = load_head(), measured().astype(np.float32)
    fine = head.refine(control)
    points = face_points(head, control, fine).astype(np.float64)
    source = np.array([mean[list(names)].mean(axis=0) for names in POINTS])
    target = points[list(POINTS.values())]
    scale, rotation, shift = similarity(source, target)
    laid, marks = scale * mean @ rotation.T + shift, scale * source @ rotation.T + shift
    now = bent(laid, marks, target - marks, np.full(len(marks), 1e-3))
    skin = np.unique(head.triangles[head.material == SKIN])
    skin = skin[(fine[skin, 1] > 5.9) & (fine[skin, 1] < 8.1) & (fine[skin, 2] > 0.2)]
    surface, normal = fine[skin].astype(np.float64), normals(fine, head.triangles)[skin].astype(np.float64)
    tree, rng = cKDTree(surface), np.random.default_rng(0)
    for _ in range(6):
        some = rng.permutation(FACE_OF_SCAN)[:1500]
        some = some[now[some, 2] > 0.25]
        distance, nearest = tree.query(now[some])
        same = (distance < 0.12) & ((outward(now, corners)[some] * normal[nearest]).sum(axis=1) > 0.75)
        some, nearest = some[same], nearest[same]
        along = ((surface[nearest] - now[some]) * normal[nearest]).sum(axis=1, keepdims=True)
        known = np.vstack([marks, laid[some]])
        goal = np.vstack([target, now[some] + normal[nearest] * along])
        now = bent(laid, known, goal - known, np.r_[np.full(len(marks), 2e-3), np.full(len(some), 4e-3)])
    return scale, rotation, now


def main(folder: Path) -> None:
    """Write the components."""
    neutral = folder / "generic_neutral_mesh.obj"
    whole = vertices(neutral)
    mean = whole[:SKIN_OF_SCAN]
    scale, rotation, laid = register(mean, triangles(neutral))
    rest = measured()
    distance, nearest = cKDTree(laid).query(rest, k=12)
    near = np.exp(-((distance / np.maximum(distance[:, :1], 0.035)) ** 2) / 2)
    near /= near.sum(axis=1, keepdims=True)
    t = np.clip((rest[:, 1] - 5.5) / 0.65, 0, 1)
    near *= (t * t * (3 - 2 * t))[:, None]
    moved = []
    for number in range(COMPONENTS):
        step = (vertices(folder / f"identity{number:03d}.obj")[:SKIN_OF_SCAN] - mean) @ rotation.T * scale
        moved.append(np.einsum("nk,nkc->nc", near, step[nearest]))
    modes = np.array(moved)
    used = np.flatnonzero(np.abs(modes).max(axis=(0, 2)) > 2e-4)
    unit = np.abs(modes).max(axis=(1, 2)) / 127
    steps = np.round(modes[:, used] / unit[:, None, None]).astype(np.int8)
    target = Path(__file__).resolve().parent.parent / "frbias/synth/mesh" / MODES_FILE
    np.savez_compressed(target, vertices=used.astype(np.uint16), steps=steps, scale=unit.astype(np.float32))
    print(f"{len(used)} of {len(rest)} vertices, {target.stat().st_size} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
