"""DEX as an age estimator: its own means and channel order, and the mean of its distribution."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from frbias.core.faces.dex import CUSP_MEANS, AgeClassifier, DexEstimator, load_dex
from frbias.core.foundation.errors import AssetMissingError, BadInputError
from frbias.synth.cusp.trial import random_classifier


def test_the_age_is_the_mean_of_the_distribution() -> None:
    classifier = random_classifier()
    with torch.no_grad():
        classifier.fc8_101.weight.zero_()
        classifier.fc8_101.bias.fill_(-200.0)
        classifier.fc8_101.bias[20] = 0.0
        classifier.fc8_101.bias[60] = float(np.log(3.0))
    ages = DexEstimator(classifier)(np.zeros((20, 40, 40, 3), np.uint8))
    assert ages.shape == (20,)
    assert ages == pytest.approx((1 * 20 + 3 * 60) / 4)


def test_the_network_gets_blue_first_less_the_means_of_its_training() -> None:
    classifier = random_classifier()
    seen: list[torch.Tensor] = []
    classifier.conv1_1.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    face = np.zeros((1, 224, 224, 3), np.uint8)
    face[..., 0], face[..., 1], face[..., 2] = 200, 120, 40
    DexEstimator(classifier)(face)
    blue, green, red = seen[0][0, :, 100, 100].tolist()
    assert (blue, green, red) == (
        pytest.approx(40 - 103.939, abs=1e-3),
        pytest.approx(120 - 116.779, abs=1e-3),
        pytest.approx(200 - 123.68, abs=1e-3),
    )
    assert random_classifier().means == CUSP_MEANS, "CUSP keeps the order that it was trained with"


def test_released_tensors_are_loaded_and_others_refused(
    fixtures_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, digest = load_dex(str(fixtures_dir / "cusp" / "dex.safetensors"))
    assert isinstance(found, AgeClassifier)
    assert len(digest) == 64
    stored = load_file(fixtures_dir / "cusp" / "dex.safetensors")
    assert torch.equal(
        found.fc8_101.weight, next(v for k, v in stored.items() if k.startswith("fc8") and "weight" in k)
    )
    monkeypatch.setenv("FRBIAS_HOME", str(tmp_path))
    with pytest.raises(AssetMissingError, match="dex"):
        load_dex()
    (tmp_path / "x.safetensors").write_bytes(b"nothing")
    with pytest.raises(BadInputError):
        load_dex(str(tmp_path / "x.safetensors"))
