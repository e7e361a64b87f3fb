"""Random numbers that depend on what they are for and on nothing else.

Every quantity draws from a counter-based generator of its own, keyed by the seed, the subject and
the name of the quantity. Nothing is drawn from a shared stream, so neither the order of images nor
the number of processes nor a new quantity elsewhere changes a picture.
"""

import hashlib

import numpy as np


def stream(seed: int, subject: int, *what: str | int | float) -> np.random.Generator:
    """The generator of one quantity of one subject.

    Args:
        seed: The run's seed.
        subject: Number of the identity.
        what: Name of the quantity, with age or variant where it depends on them.

    Returns:
        A Philox generator (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3")
        keyed by a 128-bit BLAKE2 digest of the arguments.
    """
    text = "/".join(repr(part) for part in (seed, subject, *what))
    digest = hashlib.blake2b(text.encode(), digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "little")))
