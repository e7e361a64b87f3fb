"""A recogniser of a known architecture that costs next to nothing."""

from frbias.core.recognisers.trainable.mobilefacenet import Group, MobileFaceNet, Shape


def tiny_network(length: int = 64) -> MobileFaceNet:
    """A MobileFaceNet, as narrow and shallow as it can be, with random weights; embeddings have ``length`` numbers."""
    groups = (Group(8, 8, 1, 8), Group(12, 12, 1, 12), Group(16, 16, 1, 16))
    return MobileFaceNet(Shape(8, 8, groups, 32, length))
