"""The tiny generator through the synthesizer: what images depend on, and what they do not."""

import dataclasses

import numpy as np
import pytest
import torch

from frbias.core.foundation.errors import BadInputError, UsageError
from frbias.synth.eg3d import renderer
from frbias.synth.eg3d.cameras import Pose
from frbias.synth.eg3d.conditions import condition
from frbias.synth.eg3d.config import RenderingConfig, read_config
from frbias.synth.eg3d.loading import build, tiny_generator
from frbias.synth.eg3d.renderer import render
from frbias.synth.eg3d.sampling import depth_jitter, latent, to_bytes
from frbias.synth.eg3d.synthesizer import Person, SynthesisOptions, Synthesizer

LEFT, RIGHT = Pose(-25, 5), Pose(30, 0)


def synthesizer(**options: object) -> Synthesizer:
    return Synthesizer(tiny_generator(), "cpu", SynthesisOptions(**options))  # type: ignore[arg-type]


def test_an_image_does_not_depend_on_what_is_made_with_it() -> None:
    together = synthesizer()
    people = [Person(4, 20.0), Person(9, 60.0), Person(4, 60.0)]
    faces = together.faces(people)
    images = together.images([(face, pose) for face in faces for pose in (LEFT, RIGHT)])
    for i, person in enumerate(people):
        alone = synthesizer()
        (face,) = alone.faces([person])
        assert np.array_equal(alone.images([(face, RIGHT)])[0], images[2 * i + 1])
        assert np.array_equal(alone.images([(face, LEFT)])[0], images[2 * i])


def test_an_image_does_not_depend_on_the_chunk() -> None:
    sizes = [None, 1, 100, 10**6]
    faces = [synthesizer(chunk=size) for size in sizes]
    made = [s.images([(s.faces([Person(1, 30.0)])[0], LEFT)]) for s in faces]
    assert all(np.array_equal(made[0], other) for other in made[1:])


def test_an_image_does_not_depend_on_the_number_of_threads() -> None:
    before = torch.get_num_threads()
    made = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            s = synthesizer()
            faces = s.faces([Person(1, 30.0), Person(2, 30.0)])
            made.append((faces[1].table.rows, s.images([(face, LEFT) for face in faces])))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    for table, images in made[1:]:
        assert torch.equal(table, made[0][0])
        assert np.array_equal(images, made[0][1])


def test_smaller_tiles_give_the_same_features_up_to_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    made = synthesizer()
    (face,) = made.faces([Person(1, 30.0)])
    whole = made.feature_image(face, LEFT)
    monkeypatch.setattr(renderer, "CPU_TILE", 37)
    assert torch.allclose(made.feature_image(face, LEFT), whole, atol=1e-4)


def test_turning_the_camera_leaves_the_planes_alone() -> None:
    made = synthesizer()
    (face,) = made.faces([Person(2, 30.0)])
    before = face.table.rows.clone()
    images = made.images([(face, LEFT), (face, RIGHT)])
    assert not np.array_equal(images[0], images[1])
    assert torch.equal(face.table.rows, before)
    (again,) = made.faces([Person(2, 30.0)])
    assert torch.equal(again.table.rows, before)


def test_identity_and_age_change_the_face() -> None:
    made = synthesizer()
    tables = [face.table.rows for face in made.faces([Person(1, 20.0), Person(1, 60.0), Person(2, 20.0)])]
    assert all(not torch.allclose(tables[0], other, atol=1e-3) for other in tables[1:])


@pytest.mark.parametrize("mode", ["const", "none", "random"])
def test_noise_comes_from_the_seed(mode: str) -> None:
    first, second = (synthesizer(noise=mode).faces([Person(3, 40.0)])[0].table.rows for _ in range(2))
    assert torch.equal(first, second)
    other = "none" if mode != "none" else "const"
    assert not torch.allclose(first, synthesizer(noise=other).faces([Person(3, 40.0)])[0].table.rows, atol=1e-3)


def test_jitter_is_the_persons_own() -> None:
    config = RenderingConfig(depth_resolution=6, depth_resolution_importance=5)
    one, same, other = (depth_jitter(seed, 9, config, "random") for seed in (1, 1, 2))
    assert torch.equal(one.coarse, same.coarse)
    assert not torch.equal(one.fine, other.fine)
    assert one.coarse.shape == (1, 9, 6)
    assert 0 <= float(one.fine.min()) <= float(one.fine.max()) < 1
    even = depth_jitter(1, 9, config, "even")
    assert even.fine[0, 0].tolist() == pytest.approx([0.1, 0.3, 0.5, 0.7, 0.9])
    assert set(even.coarse.flatten().tolist()) == {0.5}


def test_latents_are_those_of_the_published_scripts() -> None:
    assert torch.equal(latent(17, 8), torch.from_numpy(np.random.RandomState(17).randn(1, 8)).float()[0])


def test_truncation_moves_faces_to_the_average() -> None:
    def ws(psi: float, cutoff: int | None = None) -> torch.Tensor:
        made = synthesizer()
        c = condition(made.config, 30.0)[None]
        return made.network.styles(latent(1, made.config.z_dim)[None], c, psi=psi, cutoff=cutoff)

    average = tiny_generator().network.backbone.mapping.w_avg
    assert torch.allclose(ws(0.0), average.expand_as(ws(0.0)))
    assert torch.allclose(ws(0.5), (ws(1.0) + average) / 2, atol=1e-5)
    assert torch.equal(ws(0.5, 3)[:, 3:], ws(1.0)[:, 3:])


def test_half_precision_super_resolution_is_close() -> None:
    full, half = synthesizer(), synthesizer(half=torch.bfloat16)
    views = [s.images([(s.faces([Person(5, 50.0)])[0], LEFT)])[0].astype(int) for s in (full, half)]
    difference = np.abs(views[0] - views[1])
    assert difference.max() > 0
    assert difference.mean() < 3


@pytest.mark.cuda
def test_cuda_gives_the_same_images_up_to_rounding() -> None:
    cpu = synthesizer()
    gpu = Synthesizer(tiny_generator(), "cuda", SynthesisOptions())
    people = [Person(1, 20.0), Person(2, 50.0)]
    images = [
        s.images([(face, pose) for face in s.faces(people) for pose in (LEFT, RIGHT)]).astype(int) for s in (cpu, gpu)
    ]
    assert np.abs(images[0] - images[1]).mean() < 0.5


def test_conditions() -> None:
    scalar, classes, none = (tiny_generator(size).network.config for size in (26, 126, 25))
    assert [c.age_kind for c in (scalar, classes, none)] == ["scalar", "classes", "none"]
    assert float(condition(scalar, 75.0)[25]) == 1
    assert float(condition(scalar, 37.5)[25]) == 0
    assert float(condition(scalar, 100.0)[25]) > 1  # not clamped
    assert float(condition(scalar, 50.0, (0.0, 100.0))[25]) == 0
    assert tiny_generator(25 + 11).network.config.age_kind == "classes"
    one_hot = condition(classes, 33.9)[25:]
    assert one_hot.nonzero().flatten().tolist() == [33]
    assert torch.equal(condition(none, None), condition(scalar, 3.0)[:25])
    for config, age in ((none, 20.0), (scalar, None), (classes, 101.0), (classes, -1.0)):
        with pytest.raises(UsageError):
            condition(config, age)


def test_config_is_read_off_the_tensors() -> None:
    for size in (25, 26, 126):
        network = tiny_generator(size).network
        kwargs = {**dataclasses.asdict(network.config.rendering), "gpc_reg_prob": 0.5, "clamp_mode": "softplus"}
        read = read_config(network.state_dict(), kwargs, rendering_resolution=16)
        assert read == network.config
        rebuilt = build(read, network.state_dict())
        assert all(torch.equal(v, network.state_dict()[k]) for k, v in rebuilt.state_dict().items())


def test_missing_left_over_and_misshapen_tensors_are_refused() -> None:
    network = tiny_generator().network
    state = network.state_dict()
    name = "superresolution.block1.conv1.bias"
    for wrong in (
        {k: v for k, v in state.items() if k != name},
        {**state, "backbone.extra": torch.zeros(1)},
        {**state, name: torch.zeros(99)},
    ):
        with pytest.raises(BadInputError, match="tensors"):
            build(network.config, wrong)


@pytest.mark.parametrize(
    "kwargs",
    [
        {"clamp_mode": "relu"},
        {"disparity_space_sampling": True},
        {"density_noise": 0.5},
        {"ray_start": "auto"},
        {"superresolution_noise_mode": "random"},
    ],
)
def test_rendering_that_is_not_done_is_refused(kwargs: dict[str, object]) -> None:
    with pytest.raises(BadInputError):
        RenderingConfig.from_kwargs(kwargs)


def test_absent_condition_scale_means_no_condition() -> None:
    assert RenderingConfig.from_kwargs({}).c_scale == 0


def test_two_fold_variants_do_not_double_in_their_first_block() -> None:
    state = dict(tiny_generator().network.state_dict())
    config = read_config(state, {"superresolution_module": "training.superresolution.SuperresolutionHybrid2X"})
    assert not config.superresolution.first_up
    assert config.superresolution.input_resolution == 32
    sr = build(config, state).superresolution
    assert sr(torch.randn(1, 32, 16, 16), torch.randn(1, 32)).shape == (1, 3, 64, 64)


def test_bytes_are_cut_off_not_rounded() -> None:
    values = torch.tensor([-2.0, -1.0, 0.0, 0.0039, 1.0, 2.0]).view(1, 1, 1, 6).expand(1, 3, 1, 6)
    assert to_bytes(values)[0, 0, :, 0].tolist() == [0, 0, 128, 128, 255, 255]


def test_white_background_fills_empty_rays() -> None:
    made = synthesizer()
    (face,) = made.faces([Person(1, 30.0)])
    rendering = made.config.rendering.overridden(white_back=True)
    decoder = made.network.decoder
    away = (torch.zeros(1, 4, 3) + 50.0, torch.tensor([0.0, 0.0, 1.0]).expand(1, 4, 3))
    jitter = depth_jitter(1, 4, rendering, "even")
    white = render(face.table, decoder, away, jitter, rendering)
    plain = render(face.table, decoder, away, jitter, made.config.rendering)
    assert torch.allclose(white.features, plain.features + 2 * (1 - plain.weight_sum), atol=1e-5)
