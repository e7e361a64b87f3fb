import numpy as np

from frbias.synth.mesh.streams import stream


def test_a_stream_depends_on_each_part_of_its_key():
    keys = [(0, 1, "a"), (1, 1, "a"), (0, 2, "a"), (0, 1, "b"), (0, 1, "a", 3.0), (0, 1, "a", 3.5), (0, 11, "a")]
    first = {key: tuple(stream(*key).random(4)) for key in keys}
    assert len(set(first.values())) == len(keys)
    assert all(tuple(stream(*key).random(4)) == value for key, value in first.items())


def test_streams_of_neighbours_are_not_correlated():
    draws = np.array([stream(0, subject, "x").normal(size=2000) for subject in range(12)])
    correlation = np.corrcoef(draws) - np.eye(len(draws))
    assert np.abs(correlation).max() < 0.1
