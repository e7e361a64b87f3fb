"""CUSP against tensors made by the original code: encoders, codes, blurs, masks, decoder, snapshot."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from frbias.core.faces.dex import classifier_of
from frbias.core.foundation.errors import BadInputError
from frbias.synth.cusp.blur import blur_index, make_bank
from frbias.synth.cusp.editing import to_input, to_pixels
from frbias.synth.cusp.evidence import mask_rule_of
from frbias.synth.cusp.loading import load_cusp, network_of
from frbias.synth.cusp.network import CuspNetwork
from frbias.synth.cusp.saliency import gradient_map, kernel_taps, mask_is_zero, saturated_mask, smoothing_line


class Case:
    """One fixture: configuration, tensors, network, classifiers.

    The committed copy leaves out the deeper encoder layers and the larger tensors; what depends on the layers then
    starts from the stored features, and what is not stored is not compared.
    """

    def __init__(self, folder: Path) -> None:
        self.config: dict[str, Any] = json.loads((folder / "config.json").read_text())
        self.tensors = load_file(folder / "tensors.safetensors")
        self.state = load_file(folder / "g_ema.safetensors")
        self.complete = "style_enc.conv0.weight" in self.state
        self.network: CuspNetwork = network_of(self._whole_state(), self.config["g_kwargs"])
        self.compared: set[str] = set()
        dex = load_file(folder / "dex.safetensors")
        self.classifiers = {guided: classifier_of(dex, guided=guided) for guided in (False, True)}
        self.image = self.tensors["in.image"]
        self.blurs = (self.config["global_blur_val"], self.config["mask_blur_val"])

    def _whole_state(self) -> dict[str, torch.Tensor]:
        if self.complete:
            return self.state
        state, shapes = dict(self.state), self.config["left_out"]
        return {**state, **{name: torch.zeros(shape) for name, shape in shapes.items()}}

    def content(self) -> list[torch.Tensor]:
        """Encoder outputs; zeros for the finest level, which nothing uses, where it is not stored."""
        if self.complete:
            return self.network.content_enc(self.image)  # type: ignore[no-any-return]
        first = torch.zeros(1)
        return [first, *(self.tensors[f"content.{i}"] for i in range(1, 5))]

    def style(self) -> torch.Tensor:
        """Style codes."""
        return self.network.style_code(self.image) if self.complete else self.tensors["style.code"]

    def expect(self, found: torch.Tensor, name: str, tolerance: float) -> None:
        """Compare with a stored tensor; tolerance relative to its largest magnitude."""
        if name not in self.tensors and not self.complete:
            return
        wanted = self.tensors[name]
        self.compared.add(name)
        assert found.shape == wanted.shape
        scale = float(wanted.abs().max())
        worst = float((found - wanted).abs().max())
        assert worst <= tolerance * scale, f"{name}: {worst:.2e} of {scale:.2e}"

    def mask(self, name: str) -> torch.Tensor:
        """Mask of the stored gradient map ``plain_sum`` or ``guided_max`` under the intended rule."""
        return saturated_mask(self.tensors[f"mask.{name}.gb"], "intended")

    def decode(self, mask: torch.Tensor | None, noise: Any, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        """The whole path in one batch."""
        n = self.network
        content = self.content()
        skip = n.merge_skip(content[n.config.skip_level], mask, *self.blurs)
        ws = n.slots(self.style(), n.age_codes(self.tensors["in.label"]))
        for block, resolution in zip(n.image_dec.blocks(), n.config.block_resolutions, strict=True):
            block.dtype = dtype if n.config.half_precision(resolution) else torch.float32
        try:
            return n.image_dec(content[-1], skip, ws, noise)  # type: ignore[no-any-return]
        finally:
            for block in n.image_dec.blocks():
                block.dtype = torch.float32


@pytest.fixture(scope="module")
def case(fixtures_dir: Path) -> Case:
    return Case(fixtures_dir / "cusp")


@pytest.fixture(autouse=True)
def _no_gradients() -> Any:
    with torch.no_grad():
        yield


def test_every_key_is_used_and_none_is_missing(case: Case) -> None:
    if not case.complete:
        with pytest.raises(BadInputError, match=r"not those of a CUSP generator|keys missing"):
            network_of(case.state, case.config["g_kwargs"])
        return
    assert set(case.network.state_dict()) == set(case.state)
    for name, value in case.network.state_dict().items():
        assert torch.equal(value, case.state[name]), name


def test_input_and_encoders_and_codes(case: Case) -> None:
    n, t = case.network, case.tensors
    pixels = t["in.image_u8"].permute(0, 2, 3, 1).numpy()
    found = to_input(np.stack(list(pixels)), torch.device("cpu"))
    case.expect(found, "in.image", 1e-6)
    stored = [i for i in range(5) if f"content_enc.conv{i}.weight" in case.state]
    assert len(stored) >= 3
    for level, features in enumerate(n.content_enc(case.image)):
        if level in stored:
            case.expect(features, f"content.{level}", 2e-5)
    if case.complete:
        case.expect(n.style_enc(case.image)[-1], "style.feat", 2e-5)
        case.expect(n.style_enc(case.image)[-1].mean(dim=(2, 3)), "style.pooled", 2e-5)
        case.expect(n.style_code(case.image), "style.code", 2e-5)
    code = n.style_map(t["style.pooled"])
    case.expect(code, "style.code", 2e-5)
    case.expect(n.style_map.w_avg.lerp(code, 0.7), "style.code_psi0.7", 2e-5)
    case.expect(n.age_codes(t["in.label"]), "attr.code", 2e-5)
    case.expect(n.slots(code, n.age_codes(t["in.label"])), "w", 2e-5)
    assert {"content.1", "style.code", "attr.code", "w"} <= case.compared


def test_blurs_and_bank(case: Case) -> None:
    n, t = case.network, case.tensors
    skip = t[f"content.{n.config.skip_level}"]
    blurs = [k for k in t if k.startswith("skip.blur_") and k.endswith(".image0")]
    assert blurs
    for name in blurs:
        strength = float(name.removeprefix("skip.blur_").removesuffix(".image0"))
        case.expect(n.blur(skip[:1], strength), name, 2e-5)
    for strength, index in case.config["blur_index"].items():
        assert blur_index(float(strength)) == index
    assert any(name in case.compared for name in blurs)
    light = n.blur(skip, case.blurs[0])
    case.expect(light, "skip.global_blur", 2e-5)
    case.expect(n.blur(light, case.blurs[1]), "skip.mask_blur", 2e-5)
    made = make_bank(n.config.resolution, n.config.skip_level)
    assert torch.allclose(made, case.state["blur_list"], atol=1e-6)


def test_masks_of_both_rules(case: Case) -> None:
    t, size = case.tensors, case.network.config.resolution
    case.expect(case.classifiers[False](case.image), "mask.logits", 1e-4)
    for guided in (False, True):
        for score in ("sum", "max"):
            name = f"mask.{'guided' if guided else 'plain'}_{score}"
            if f"{name}.gb" not in t and not case.complete:
                continue
            gradients = gradient_map(case.classifiers[guided], case.image, score=score)  # type: ignore[arg-type]
            case.expect(gradients, f"{name}.gb", 1e-4)
            for rule, short in (("intended", "swapped"), ("as_released_head", "head")):
                taps = kernel_taps(size, rule)  # type: ignore[arg-type]
                assert taps == case.config["mask_ksize"][short]
                if f"{name}.{short}.mask" in t:
                    mask = saturated_mask(gradients, rule)  # type: ignore[arg-type]
                    case.expect(mask, f"{name}.{short}.mask", 2e-4)
                    small = torch.nn.functional.adaptive_avg_pool2d(mask, t[f"{name}.{short}.mask_area"].shape[-2:])
                    case.expect(small, f"{name}.{short}.mask_area", 2e-4)
            assert mask_is_zero(size, "as_released_head")
            assert float(saturated_mask(gradients, "as_released_head").abs().max()) == 0.0
    assert {"mask.plain_sum.swapped.mask", "mask.guided_max.swapped.mask", "mask.logits"} <= case.compared
    assert not mask_is_zero(size, "intended")
    assert smoothing_line(case.config["mask_ksize"]["head"]).sum() == pytest.approx(1)


def test_merged_skip(case: Case) -> None:
    skip = case.tensors[f"content.{case.network.config.skip_level}"]
    for name in ("plain_sum", "guided_max"):
        merged = case.network.merge_skip(skip, case.mask(name), *case.blurs)
        case.expect(merged, f"skip.merged.{name}.swapped", 2e-4)
        assert merged.shape == skip.shape


def test_outputs(case: Case) -> None:
    plain = case.mask("plain_sum")
    case.expect(case.decode(None, "const"), "out.A_fp32_const_head", 1e-4)
    intended = case.decode(plain, "const")
    case.expect(intended, "out.B_fp32_const_swapped", 1e-4)
    case.expect(intended, "out.E_fp32_const_swapped_nonfused", 1e-4)
    case.expect(case.decode(case.mask("guided_max"), "const"), "out.C_fp32_const_guidedmax_swapped", 1e-4)
    case.expect(case.decode(plain, "none"), "out.D_fp32_none_swapped", 1e-4)
    assert {"out.A_fp32_const_head", "out.B_fp32_const_swapped"} <= case.compared
    wanted = case.tensors["out.B_u8"].permute(0, 2, 3, 1).numpy().astype(int)
    assert np.abs(to_pixels(intended).astype(int) - wanted).max() <= 1


def test_random_noise_in_the_original_order(case: Case) -> None:
    stored = [
        case.tensors[f"noise.b{r}.{layer}"] for r in case.config["block_resolutions"] for layer in ("conv0", "conv1")
    ]
    planes = iter(stored)
    found = case.decode(case.mask("plain_sum"), lambda resolution: next(planes))
    case.expect(found, "out.H_fp32_random_swapped", 1e-4)


def test_one_at_a_time_is_the_batch(case: Case) -> None:
    """A single image has its style folded into the weights; a batch has not: the same up to rounding."""
    n = case.network
    content = [features[:1] for features in case.content()]
    skip = n.merge_skip(content[n.config.skip_level], case.mask("plain_sum")[:1], *case.blurs)
    ws = n.slots(case.style()[:1], n.age_codes(case.tensors["in.label"][:1]))
    alone = n.image_dec(content[-1], skip, ws, "const")
    wanted = case.tensors["out.B_fp32_const_swapped"][:1]
    assert float((alone - wanted).abs().max()) <= 1e-4 * float(wanted.abs().max())


def test_mixed_precision(case: Case) -> None:
    found = case.decode(case.mask("plain_sum"), "const", torch.float16)
    case.expect(found, "out.F_fp16_const_swapped_batch", 1e-2)
    assert found.dtype == torch.float32
    case.expect(found, "out.B_fp32_const_swapped", 1e-2)


def test_decoder_blocks_and_styles(case: Case) -> None:
    n, t = case.network, case.tensors
    content = case.content()
    ws = n.slots(case.style(), n.age_codes(t["in.label"]))
    x, image, compared = content[-1], None, 0
    for i, (block, r) in enumerate(zip(n.image_dec.blocks(), n.config.block_resolutions, strict=True)):
        if i == n.config.skip_block:
            skip = n.merge_skip(content[n.config.skip_level], case.mask("plain_sum"), *case.blurs)
            x = torch.cat([x, skip], dim=1)
        x, image = block(x, image, ws[:, 3 * i : 3 * i + 3], "const")
        for name, value in ((f"dec.B.b{r}.x", x), (f"dec.B.b{r}.img", image)):
            if name in t:
                case.expect(value, name, 1e-4)
                compared += 1
        if f"dec.styles.b{r}.conv0" in t:
            case.expect(block.conv0.affine(ws[:, 3 * i]), f"dec.styles.b{r}.conv0", 2e-5)
    assert compared > 0


def test_snapshot_pickle(fixtures_dir: Path) -> None:
    folder = fixtures_dir / "cusp"
    loaded = load_cusp(folder / "snapshot_tiny.pkl")
    wanted = load_file(folder / "snapshot_tiny_expected.safetensors")
    state = loaded.network.state_dict()
    assert set(state) == set(wanted)
    assert all(torch.equal(state[name], wanted[name]) for name in wanted)
    assert loaded.rule == json.loads((folder / "snapshot_tiny_expected.json").read_text())["mask_rule"]
    assert loaded.classifier is not None


def test_rules_in_texts() -> None:
    assert mask_rule_of(["k = scale_prop_kernel(224, x.size(-1), 29)"]) == "intended"
    assert mask_rule_of(["k = scale_prop_kernel(29,x.shape[ 2 ] , 224)", "nothing"]) == "as_released_head"
    assert mask_rule_of(["def scale_prop_kernel(ref, tar, v): pass"]) is None
    assert mask_rule_of(["scale_prop_kernel(224, w, 29)", "scale_prop_kernel(29, w, 224)"]) is None
    assert mask_rule_of([]) is None
