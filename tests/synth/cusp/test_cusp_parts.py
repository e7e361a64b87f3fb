"""Labels, blurs and masks of CUSP against closed forms and brute force."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from frbias.core.assets.exact_loading import load_exactly
from frbias.core.faces.dex import classifier_of
from frbias.core.foundation.errors import BadInputError, UsageError
from frbias.synth.cusp import editing
from frbias.synth.cusp.blur import bank_line, blur_index, filter_separable, make_bank
from frbias.synth.cusp.config import infer_config
from frbias.synth.cusp.editing import CuspEditor, to_pixels
from frbias.synth.cusp.labels import LS_BINS, THESIS_BINS, bin_of, target_of, thesis_targets, untrained
from frbias.synth.cusp.loading import network_of
from frbias.synth.cusp.saliency import kernel_taps, mask_is_zero, saturated_mask, smoothing_line
from frbias.synth.cusp.trial import random_classifier, released_config, tiny_network


def test_bins_cover_every_age_once() -> None:
    assert [low for low, _ in LS_BINS][1:] == [high + 1 for _, high in LS_BINS][:-1]
    for label, (low, high) in enumerate(LS_BINS):
        assert bin_of(low) == bin_of(high) == bin_of(high + 0.9) == label


def test_targets() -> None:
    assert target_of("35", 101) == target_of(" 35.0 ", 101)
    assert target_of("35", 101).label == 35
    assert target_of("35", 10).label == 6
    by_name = target_of("30-39", 10)
    assert (by_name.label, by_name.age, by_name.name) == (6, 35.0, "30-39")
    assert untrained([target_of(a, 101) for a in ("10", "20", "69", "70")], 101) == ["10", "70"]
    assert untrained([target_of("5", 10)], 10) == []
    for text, labels in (("30-39", 101), ("old", 101), ("101", 101), ("-1", 10), ("7-9x", 10)):
        with pytest.raises(UsageError, match="--ages"):
            target_of(text, labels)
    with pytest.raises(UsageError, match="neither"):
        target_of("3", 7)


@given(st.integers(0, 2**40))
def test_thesis_draws_one_age_from_each_range(seed: int) -> None:
    targets = thesis_targets(101, [seed])
    assert all(low <= t.age < high for t, (low, high) in zip(targets, THESIS_BINS, strict=True))
    assert targets == thesis_targets(101, [seed])


def test_blur_bank() -> None:
    bank = make_bank(224, 1)
    assert bank.shape == (1024, 19, 19)
    assert make_bank(256, 1).shape == (1024, 21, 21)
    assert torch.allclose(bank.sum(dim=(1, 2)), torch.ones(1024), atol=1e-5)
    delta = torch.zeros(19, 19)
    delta[9, 9] = 1
    assert torch.equal(bank[0], delta)
    assert (blur_index(0.2), blur_index(0.8), blur_index(1.0)) == (204, 818, 1023)


def test_separable_blur_is_the_dense_one() -> None:
    bank, x = make_bank(224, 1), torch.randn(2, 3, 20, 23, generator=torch.Generator().manual_seed(0))
    dense = torch.nn.functional.conv2d(x.reshape(6, 1, 20, 23), bank[818][None, None], padding=9).reshape(x.shape)
    assert torch.allclose(filter_separable(x, bank_line(bank, 0.8)), dense, atol=1e-5)


def test_kernel_rules_of_the_released_sizes() -> None:
    assert [kernel_taps(s, "as_released_head") for s in (224, 256)] == [1731, 1977]
    assert [kernel_taps(s, "intended") for s in (224, 256)] == [29, 33]


@pytest.mark.parametrize("size", [224, 256])
def test_the_released_rule_gives_no_mask(size: int) -> None:
    assert mask_is_zero(size, "as_released_head")
    assert not mask_is_zero(size, "intended")
    assert mask_is_zero(size, "off")
    generator = torch.Generator().manual_seed(size)
    single = torch.zeros(1, 1, size, size)
    single[0, 0, 0, 0] = 1  # one pixel in a corner: the map that is furthest from flat
    noise = torch.rand(1, 1, size, size, generator=generator)
    for gradients in (single, noise, noise**8):
        assert float(saturated_mask(gradients, "as_released_head").abs().max()) == 0.0


@settings(max_examples=20, deadline=None)
@given(st.integers(8, 24), st.integers(0, 10_000))
def test_the_proof_agrees_with_single_pixels(size: int, seed: int) -> None:
    """Brute force over every single-pixel map, and random maps: never a mask where the proof says there is none."""
    if not mask_is_zero(size, "as_released_head"):
        return
    rng = np.random.default_rng(seed)
    maps = torch.tensor(rng.random((4, 1, size, size)) ** 6, dtype=torch.float32)
    singles = torch.eye(size * size).reshape(size * size, 1, size, size)
    assert float(saturated_mask(torch.cat([maps, singles]), "as_released_head").abs().max()) == 0.0


def test_mask_by_hand() -> None:
    """A flat map is at the limit everywhere but at the edges, whose smoothing meets zeros."""
    mask = saturated_mask(torch.ones(1, 1, 64, 64), "intended")
    assert mask.shape == (1, 1, 64, 64)
    assert 0 <= float(mask.min()) <= float(mask.max()) <= 1
    assert float(mask[0, 0, 32, 32]) == 0.0
    assert smoothing_line(9).sum() == pytest.approx(1)
    assert float(saturated_mask(torch.zeros(1, 1, 32, 32), "intended").min()) == 1.0


def test_released_shapes_match_the_published_counts() -> None:
    from frbias.synth.cusp.network import CuspNetwork

    with torch.device("meta"):
        rr, ls = (CuspNetwork(released_config(labels)) for labels in (101, 10))
    assert [len(n.state_dict()) for n in (rr, ls)] == [140, 140]
    assert sum(p.numel() for p in rr.parameters()) == 32_287_149
    assert sum(p.numel() for p in ls.parameters()) == 31_648_537
    assert sum(b.numel() for b in rr.buffers()) == 504_760
    assert sum(b.numel() for b in ls.buffers()) == 627_600
    state = dict(rr.state_dict())
    assert infer_config(state, {}) == released_config(101)


def test_loading_is_exact() -> None:
    state = tiny_network(101).state_dict()
    assert all(torch.equal(v, state[k]) for k, v in network_of(state, {}).state_dict().items())
    lacking = {k: v for k, v in state.items() if k != "image_dec.b64.torgb.bias"}
    with pytest.raises(BadInputError, match=r"image_dec\.b64\.torgb\.bias is missing"):
        network_of(lacking, {})
    with pytest.raises(BadInputError, match="surprise is not known"):
        network_of({**state, "surprise": torch.zeros(1)}, {})
    with pytest.raises(BadInputError, match="has shape"):
        network_of({**state, "style_map.w_avg": torch.zeros(3)}, {})
    with pytest.raises(BadInputError, match="rgb_attention"):
        network_of(state, {"synthesis_kwargs": {"rgb_attention": True}})
    filters = {k: v * 2 if k.endswith("b8.resample_filter") else v for k, v in state.items()}
    with pytest.raises(BadInputError, match="filter"):
        network_of(filters, {})
    with pytest.raises(BadInputError, match="not those of a CUSP"):
        network_of({"x": torch.zeros(1)}, {})


def test_classifier_names_of_dex() -> None:
    classifier = random_classifier()
    state = {k.replace("fc8_101", "fc8-101"): v for k, v in classifier.state_dict().items()}
    again = classifier_of(state)
    x = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert torch.equal(again(x), classifier(x))
    with pytest.raises(BadInputError, match="DEX"):
        classifier_of({"fc6.weight": torch.zeros(2, 2)})
    with pytest.raises(BadInputError, match="left over"):
        load_exactly(classifier, {**classifier.state_dict(), "extra": torch.zeros(1)}, "DEX age classifier")


def test_ages_do_not_depend_on_their_neighbours_and_seeds_matter() -> None:
    editor = CuspEditor(tiny_network(101), rule="intended", classifier=random_classifier())
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    face = editor.encode(image)
    assert face.mask is not None
    many = editor.decode_labels(face, [20, 40, 60])
    assert np.array_equal(many[1], editor.decode_labels(face, [40])[0])
    assert not np.array_equal(many[0], many[2])
    noisy = [editor.decode_labels(face, [40], "random", [seed])[0] for seed in (1, 1, 2)]
    assert np.array_equal(noisy[0], noisy[1])
    assert not np.array_equal(noisy[0], noisy[2])
    assert not np.array_equal(noisy[0], editor.decode_labels(face, [40], "none")[0])
    with pytest.raises(UsageError, match="seed"):
        editor.decode_labels(face, [40], "random")


@pytest.mark.parametrize("rule", ["intended", "off"])
@pytest.mark.parametrize("noise", ["const", "random"])
def test_faces_in_one_batch_are_those_alone(rule: Any, noise: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a device does it: faces encoded together, images decoded together, five at a time, whosever they are."""
    monkeypatch.setattr(editing, "_TOGETHER", 5)
    editor = CuspEditor(tiny_network(101), rule=rule, classifier=random_classifier())
    images = list(np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), dtype=np.uint8))
    labels, seeds = [20, 40, 60], list(range(12))
    found = []
    for batched in (False, True):
        editor.batched = batched
        faces = [face for face in editor.encode_all(images) for _ in labels]
        found.append(editor.decode(faces, labels * 4, noise, seeds))
    alone = [
        editor.decode_labels(editor.encode(image), labels, noise, seeds[3 * k : 3 * k + 3])
        for k, image in enumerate(images)
    ]
    assert found[0].std() > 0.1
    torch.testing.assert_close(found[1], found[0], atol=2e-4, rtol=0)
    assert np.abs(to_pixels(found[0]).astype(int) - np.concatenate(alone).astype(int)).max() <= 1
    assert editor.encode_all([]) == []


def test_mask_rule_needs_a_classifier_only_when_it_matters() -> None:
    with pytest.raises(UsageError, match="DEX"):
        CuspEditor(tiny_network(101), rule="intended")
    assert CuspEditor(tiny_network(101), rule="off").classifier is None
    with pytest.raises(UsageError, match=r"0 .none. to 1"):
        CuspEditor(tiny_network(101), rule="off", global_blur=1.5)


@pytest.mark.cuda
def test_cuda_agrees_with_the_processor() -> None:
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    pictures = []
    for device in ("cpu", "cuda"):
        editor = CuspEditor(tiny_network(101), rule="off", device=torch.device(device))
        pictures.append(editor.decode_labels(editor.encode(image), [20, 40, 60]).astype(int))
    assert np.abs(pictures[0] - pictures[1]).max() <= 1
