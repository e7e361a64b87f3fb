"""StyleGAN2 layers against their definitions, written out plainly."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from frbias.core.foundation.errors import BadInputError
from frbias.synth.resampling import check_fir_kernels, fir_filter, fir_kernel, upsample
from frbias.synth.stylegan2 import (
    DownConv,
    FullyConnected,
    Mapping,
    StyledConv,
    SynthesisBlock,
    ToImage,
    normalize_features,
    truncate,
)


@pytest.fixture(autouse=True)
def _fixed() -> None:
    torch.manual_seed(3)


def close(mine: Tensor, other: Tensor, limit: float = 1e-5) -> None:
    assert mine.shape == other.shape
    assert (mine.double() - other.double()).abs().max() <= limit


def zero_insertion(x: Tensor, weight: Tensor) -> Tensor:
    """Doubling convolution by its definition, in float64: zeros between, true convolution, filter times 4."""
    n, c, h, w = x.shape
    spread = torch.zeros(n, c, 2 * h - 1, 2 * w - 1, dtype=torch.float64)
    spread[:, :, ::2, ::2] = x.double()
    y = F.conv2d(F.pad(spread, (2, 2, 2, 2)), weight.double().flip(2, 3))
    kernel = (fir_kernel().double() * 4).expand(y.shape[1], 1, 4, 4)
    return F.conv2d(F.pad(y, (1, 1, 1, 1)), kernel, groups=y.shape[1])


def by_definition(layer: StyledConv, x: Tensor, w: Tensor, noise: Tensor | None) -> Tensor:
    style = w.double() @ layer.affine.weight.double().t() / math.sqrt(w.shape[1])
    if layer.affine.bias is not None:
        style = style + layer.affine.bias.double()
    images = []
    for i in range(len(x)):
        weight = layer.weight.double() * style[i].view(1, -1, 1, 1)
        weight = weight / (weight.square().sum(dim=(1, 2, 3), keepdim=True) + 1e-8).sqrt()
        one = x[i : i + 1]
        y = zero_insertion(one, weight) if layer.up else F.conv2d(one.double(), weight, padding=1)
        if noise is not None:
            y = y + noise.double()[i % len(noise)] * layer.noise_strength.double()
        if layer.bias is not None:
            y = y + layer.bias.double().view(1, -1, 1, 1)
        y = F.leaky_relu(y, 0.2) * math.sqrt(2)
        images.append(y if layer.clamp is None else y.clamp(-layer.clamp, layer.clamp))
    return torch.cat(images)


def a_layer(up: bool, clamp: float | None = None, bias: bool = True) -> StyledConv:
    layer = StyledConv(5, 37, 6, 8, up=up, clamp=clamp, bias=bias)
    with torch.no_grad():
        layer.noise_strength.fill_(0.4)
        if layer.bias is not None:
            layer.bias.normal_()
    return layer.requires_grad_(False)


@pytest.mark.parametrize("up", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("clamp", [None, 1.0])
@pytest.mark.parametrize("count", [1, 3])
def test_styled_convolution_is_its_definition(up: bool, bias: bool, clamp: float | None, count: int) -> None:
    layer = a_layer(up, clamp, bias)
    side = 4 if up else 8
    x, w = torch.randn(count, 5, side, side), torch.randn(count, 6)
    close(layer(x, w, "none"), by_definition(layer, x, w, None))
    stored = layer.noise_const.view(1, 1, 8, 8)
    close(layer(x, w, "const"), by_definition(layer, x, w, stored))
    drawn = torch.randn(count, 1, 8, 8)
    close(layer(x, w, lambda resolution: drawn[..., :resolution, :resolution]), by_definition(layer, x, w, drawn))


@pytest.mark.parametrize("up", [False, True])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_survives_weights_that_would_overflow(up: bool, dtype: torch.dtype) -> None:
    layer = a_layer(up)
    layer.weight.mul_(1e4)  # times a style of several: beyond 65504 without the normalisation
    side = 4 if up else 8
    x, w = torch.randn(2, 5, side, side), torch.randn(2, 6) * 20
    expected = by_definition(layer, x, w, None)
    result = layer(x.to(dtype), w, "none")
    assert result.dtype == dtype
    assert torch.isfinite(result).all()
    close(result, expected, 0.02 if dtype == torch.float16 else 0.15)


def test_the_input_is_left_alone() -> None:
    layer = a_layer(False, clamp=0.5)
    x, w = torch.randn(1, 5, 8, 8), torch.randn(1, 6)
    before = x.clone()
    layer(x, w)
    ToImage(5, 3, 6, clamp=0.1).requires_grad_(False)(x, w)
    block = SynthesisBlock(5, 4, 6, 16, 3).requires_grad_(False)
    image = torch.randn(1, 3, 8, 8)
    kept = image.clone()
    block(x, image, torch.randn(1, 3, 6))
    assert torch.equal(x, before)
    assert torch.equal(image, kept)


def test_image_layer_scales_its_style_and_does_not_demodulate() -> None:
    layer = ToImage(5, 3, 6).requires_grad_(False)
    x, w = torch.randn(2, 5, 4, 4), torch.randn(2, 6)
    style = (w @ layer.affine.weight.t() / math.sqrt(6) + layer.affine.bias) / math.sqrt(5)
    expected = torch.einsum("oi,ni,nihw->nohw", layer.weight[:, :, 0, 0], style, x) + layer.bias.view(1, -1, 1, 1)
    close(layer(x, w), expected)
    close(layer(x[:1], w[:1]), expected[:1])


@given(st.integers(1, 7), st.integers(1, 7))
@settings(max_examples=25, deadline=None)
def test_upsampling_keeps_the_mean_of_the_inside(height: int, width: int) -> None:
    x = torch.randn(1, 2, height, width, dtype=torch.float64)
    spread = torch.zeros(1, 2, 2 * height, 2 * width, dtype=torch.float64)
    spread[:, :, ::2, ::2] = x
    kernel = (4 * fir_kernel().double()).expand(2, 1, 4, 4)
    close(upsample(x), F.conv2d(F.pad(spread, (2, 1, 2, 1)), kernel, groups=2), 1e-12)


def test_a_constant_stays_one_away_from_the_border() -> None:
    y = upsample(torch.full((1, 1, 6, 6), 3.0))
    close(y[..., 2:-2, 2:-2], torch.full((1, 1, 8, 8), 3.0))
    assert float(y[0, 0, 0, 0]) < 3


def test_filter_sizes_and_gain() -> None:
    x = torch.randn(1, 2, 5, 6)
    y = fir_filter(x, (2, 0, 1, 3), gain=4.0)
    expected = F.conv2d(F.pad(x, (2, 0, 1, 3)), (4 * fir_kernel()).expand(2, 1, 4, 4), groups=2)
    close(y, expected)


def test_equalised_linear_layer() -> None:
    layer = FullyConnected(7, 4, lr_multiplier=0.01, activate=True).requires_grad_(False)
    layer.bias.normal_()
    x = torch.randn(3, 7)
    linear = x @ (layer.weight * 0.01 / math.sqrt(7)).t() + layer.bias * 0.01
    close(layer(x), torch.where(linear > 0, linear, 0.2 * linear) * math.sqrt(2))
    assert float(layer.weight.std()) > 30  # stored 100 times larger


def test_mapping_needs_its_condition() -> None:
    with pytest.raises(ValueError, match="condition"):
        Mapping(4, 2, 3, 1)(torch.randn(1, 4))
    assert Mapping(4, 0, 3, 2)(torch.randn(2, 4)).shape == (2, 3)


@given(st.floats(1e-3, 1e3))
@settings(max_examples=25, deadline=None)
def test_normalised_features_have_unit_mean_square(scale: float) -> None:
    x = normalize_features(torch.randn(3, 64, dtype=torch.float64) * scale)
    close(x.square().mean(dim=1), torch.ones(3), 0.02)


def test_truncation() -> None:
    ws, average = torch.randn(2, 4, 3), torch.randn(3)
    assert truncate(ws, average, 1.0) is ws
    close(truncate(ws, average, 0.0), average.expand(2, 4, 3))
    cut = truncate(ws, average, 0.25, cutoff=1)
    close(cut[:, 0], average + 0.25 * (ws[:, 0] - average))
    assert torch.equal(cut[:, 1:], ws[:, 1:])


def test_first_block_starts_from_its_constant_and_others_need_features() -> None:
    first = SynthesisBlock(0, 4, 6, 4, 3).requires_grad_(False)
    assert first.slots == 2
    x, image = first(None, None, torch.randn(2, 2, 6))
    assert x.shape == (2, 4, 4, 4)
    second = SynthesisBlock(4, 5, 6, 8, 3).requires_grad_(False)
    ws = torch.randn(2, 3, 6)
    y, larger = second(x, image, ws)
    close(larger, second.torgb(y, ws[:, 2]) + upsample(image))
    with pytest.raises(ValueError, match="constant"):
        second(None, None, ws)


def test_down_convolution_by_definition() -> None:
    layer = DownConv(3, 4).requires_grad_(False)
    layer.bias.normal_()
    x = torch.randn(2, 3, 8, 6)
    filtered = F.conv2d(F.pad(x, (2, 2, 2, 2)), fir_kernel().expand(3, 1, 4, 4), groups=3)
    y = F.conv2d(filtered, layer.weight / math.sqrt(27), layer.bias, stride=2)
    close(layer(x), F.leaky_relu(y, 0.2) * math.sqrt(2))


def test_other_filters_are_refused() -> None:
    layer = StyledConv(2, 2, 2, 4)
    check_fir_kernels(layer)
    layer.get_buffer("resample_filter").mul_(1.1)
    with pytest.raises(BadInputError, match="resample_filter"):
        check_fir_kernels(layer)
