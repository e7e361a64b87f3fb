"""One step of Catmull-Clark subdivision as a sparse matrix, computed once for the head's topology."""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

IntArray = npt.NDArray[np.int32]


def catmull_clark(count: int, quads: IntArray) -> tuple[Any, IntArray]:
    """The refinement of a quad mesh with boundary (Catmull and Clark 1978).

    Args:
        count: Number of vertices; those that no face uses are kept in place.
        quads: int32 (f, 4).

    Returns:
        CSR matrix (count + edges + f, count) that maps old positions to new ones, and the refined
        quads, int32 (4 f, 4).
    """
    faces = len(quads)
    face = np.repeat(np.arange(faces), 4)
    ends = np.stack([quads, np.roll(quads, -1, axis=1)], axis=-1).reshape(-1, 2)
    edges, edge_of, uses = np.unique(np.sort(ends, axis=1), axis=0, return_inverse=True, return_counts=True)
    edge_of = edge_of.ravel()
    inner = uses == 2
    to_face = sparse.csr_matrix((np.full(faces * 4, 0.25), (face, quads.ravel())), shape=(faces, count))
    rows = np.repeat(np.arange(len(edges)), 2)
    to_middle = sparse.csr_matrix((np.full(len(rows), 0.5), (rows, edges.ravel())), shape=(len(edges), count))
    around = sparse.csr_matrix((1.0 / uses[edge_of], (edge_of, face)), shape=(len(edges), faces))
    to_edge = sparse.diags(np.where(inner, 0.5, 1.0)) @ to_middle
    to_edge = to_edge + sparse.diags(np.where(inner, 0.5, 0.0)) @ (around @ to_face)
    to_vertex = _vertex_rule(count, quads, edges, inner, to_face, to_middle)
    matrix = sparse.vstack([to_vertex, to_edge, to_face]).tocsr()
    matrix.sum_duplicates()
    matrix.sort_indices()
    corner = edge_of.reshape(faces, 4) + count
    middle = np.arange(faces) + count + len(edges)
    parts = [np.stack([quads[:, i], corner[:, i], middle, corner[:, i - 1]], axis=1) for i in range(4)]
    return matrix, np.stack(parts, axis=1).reshape(-1, 4).astype(np.int32)


def _vertex_rule(
    count: int,
    quads: IntArray,
    edges: npt.NDArray[Any],
    inner: npt.NDArray[np.bool_],
    to_face: Any,
    to_middle: Any,
) -> Any:
    face = np.repeat(np.arange(len(quads)), 4)
    valence = np.bincount(edges.ravel(), minlength=count)
    touching = np.bincount(quads.ravel(), minlength=count)
    used = touching > 0
    rim = np.zeros(count, dtype=bool)
    rim[edges[~inner].ravel()] = True
    n = np.maximum(valence, 1)
    mean_face = sparse.csr_matrix(
        (1.0 / np.maximum(touching, 1)[quads.ravel()], (quads.ravel(), face)), shape=(count, len(quads))
    )
    rows = np.repeat(np.arange(len(edges)), 2)
    mean_edge = sparse.csr_matrix((1.0 / n[edges.ravel()], (edges.ravel(), rows)), shape=(count, len(edges)))
    smooth = sparse.diags(1.0 / n) @ (mean_face @ to_face) + sparse.diags(2.0 / n) @ (mean_edge @ to_middle)
    smooth = smooth + sparse.diags((n - 3.0) / n)
    outer = edges[~inner]
    neighbours = sparse.csr_matrix((np.ones(outer.size), (outer.ravel(), outer[:, ::-1].ravel())), shape=(count, count))
    degree = np.maximum(np.asarray(neighbours.sum(axis=1)).ravel(), 1)
    border = sparse.diags(np.full(count, 0.75)) + sparse.diags(0.25 / degree) @ neighbours
    pick_inner = sparse.diags((used & ~rim).astype(float))
    pick_border = sparse.diags((used & rim).astype(float))
    keep = sparse.diags((~used).astype(float))
    return pick_inner @ smooth + pick_border @ border + keep
