"""Alignment against matrices and crops made by the original code (scikit-image, OpenCV)."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from frbias.core.faces.align import DegenerateFaceError, align_arcface, arcface_template, similarity_transform

SIZES = (112, 128, 224, 256)


def test_matrices_and_crops(fixtures_dir: Path) -> None:
    cases = json.loads((fixtures_dir / "arcface/align.json").read_text())["cases"]
    tensors = load_file(fixtures_dir / "arcface/align.safetensors")
    image = np.ascontiguousarray(tensors["image_bgr"][..., ::-1])
    matrices = crops = refused = 0
    for case in cases:
        index = case["i"]
        points = tensors[f"{index:02d}.points"]
        for size in SIZES:
            if case[f"M{size}"] != "ok":
                with pytest.raises(DegenerateFaceError):
                    similarity_transform(points, arcface_template(size))
                refused += 1
                continue
            expected = tensors[f"{index:02d}.M{size}"]
            found = similarity_transform(points, arcface_template(size))
            np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5 * max(1.0, np.abs(expected).max()))
            matrices += 1
        for size in (112, 128):
            wanted = tensors.get(f"{index:02d}.crop{size}_bgr")
            if wanted is not None:
                crop = align_arcface(image, points, size).image
                assert np.abs(crop[..., ::-1].astype(int) - wanted.astype(int)).max() <= 1
                crops += 1
    assert matrices > 0
    assert crops > 0
    assert refused > 0
