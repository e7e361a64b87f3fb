"""Photographs that packages bring along."""

from pathlib import Path

import numpy as np
from PIL import Image


def photograph(name: str) -> np.ndarray:
    """``astronaut`` of scikit-image, or a file of insightface's examples; uint8 RGB."""
    if name == "astronaut":
        from skimage.data import astronaut

        return np.asarray(astronaut())
    import insightface

    return np.array(Image.open(Path(insightface.__file__).parent / "data/images" / name).convert("RGB"))
