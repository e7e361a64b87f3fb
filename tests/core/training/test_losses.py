import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from frbias.core.training.losses import MarginLoss, class_means, distance_to, margin_logits

ARC, COS = (1.0, 0.5, 0.0), (1.0, 0.0, 0.35)


def one(angle: float, margins: tuple[float, float, float], gradient: str = "true") -> tuple[float, float]:
    """Target logit at scale 1 and its derivative with respect to the angle."""
    theta = torch.tensor([[angle]], dtype=torch.float64, requires_grad=True)
    logit = margin_logits(torch.cos(theta), torch.tensor([0]), margins, 1.0, gradient=gradient)
    logit.sum().backward()
    return logit.item(), theta.grad.item()


@given(st.floats(0.01, math.pi - 0.51))
def test_arcface_is_the_cosine_of_the_enlarged_angle(angle: float) -> None:
    value, slope = one(angle, ARC)
    assert value == pytest.approx(math.cos(angle + 0.5), abs=1e-12)
    assert slope == pytest.approx(-math.sin(angle + 0.5), abs=1e-9)


@given(st.floats(0.01, 3.13))
def test_straight_gradient_is_that_of_the_plain_cosine(angle: float) -> None:
    value, slope = one(angle, ARC, "straight")
    assert value == pytest.approx(math.cos(angle + 0.5), abs=1e-12)
    assert slope == pytest.approx(-math.sin(angle), abs=1e-9)


@given(st.floats(0.02, 3.12), st.sampled_from([ARC, COS, (1.2, 0.3, 0.1), (1.0, 0.3, 0.2)]))
def test_target_logit_falls_with_the_angle(angle: float, margins: tuple[float, float, float]) -> None:
    assert one(angle + 0.01, margins)[0] < one(angle, margins)[0]


def test_combined_formula() -> None:
    assert one(0.7, (1.2, 0.3, 0.1))[0] == pytest.approx(math.cos(1.2 * 0.7 + 0.3) - 0.1)
    assert one(0.7, COS)[0] == pytest.approx(math.cos(0.7) - 0.35)


def test_other_classes_are_left_alone_and_scaled() -> None:
    cosine = torch.tensor([[0.2, 0.9], [-0.4, 0.1]])
    found = margin_logits(cosine, torch.tensor([1, -1]), ARC, 64.0)
    assert torch.equal(found[1], cosine[1] * 64)
    assert found[0, 0] == cosine[0, 0] * 64
    assert found[0, 1] < cosine[0, 1] * 64


@pytest.mark.parametrize("kind", ["arcface", "cosface", "combined", "softmax"])
@pytest.mark.parametrize("gradient", ["true", "straight"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_are_finite_where_an_embedding_meets_its_centre(kind: str, gradient: str, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    loss = MarginLoss(4, 8, kind=kind, margins=(1.1, 0.3, 0.1), gradient=gradient).to(dtype)
    centres = loss.centres.detach()
    embeddings = torch.cat([centres, -centres, centres * 1e-6, centres * 7]).clone().requires_grad_()
    value = loss(embeddings, torch.arange(4).repeat(4))
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(embeddings.grad).all()
    assert torch.isfinite(loss.centres.grad).all()


@settings(max_examples=20)
@given(st.integers(0, 1000), st.sampled_from(["arcface", "cosface", "combined", "softmax"]))
def test_true_gradient_is_the_derivative(seed: int, kind: str) -> None:
    torch.manual_seed(seed)
    loss = MarginLoss(5, 6, kind=kind, margins=(1.2, 0.2, 0.1), scale=8.0).double()
    embeddings = torch.randn(4, 6, dtype=torch.float64, requires_grad=True)
    labels = torch.randint(0, 5, (4,))
    assert torch.autograd.gradcheck(lambda e: loss(e, labels), (embeddings,), atol=1e-6)


def test_loss_is_cross_entropy_over_every_class() -> None:
    torch.manual_seed(1)
    loss = MarginLoss(5, 6, kind="softmax", scale=10.0)
    embeddings, labels = torch.randn(7, 6), torch.tensor([0, 1, 2, 3, 4, -1, 0])
    cosine = functional.normalize(embeddings) @ functional.normalize(loss.centres).T
    wanted = -functional.log_softmax(cosine * 10, 1)[torch.arange(7), labels][labels >= 0].mean()
    assert loss(embeddings, labels).item() == pytest.approx(wanted.item(), rel=1e-5)


def test_class_means_are_mean_directions() -> None:
    embeddings = torch.tensor([[2.0, 0.0], [0.0, 5.0], [-3.0, 0.0]])
    means = class_means(embeddings, torch.tensor([0, 0, 1]), 2)
    assert torch.allclose(means, torch.tensor([[math.sqrt(0.5), math.sqrt(0.5)], [-1.0, 0.0]]))


def test_distance_is_of_directions() -> None:
    a = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    assert distance_to(a, 9 * a).item() == pytest.approx(0.0)
    assert distance_to(a, -a).item() == pytest.approx(2.0)


def test_near_classes_are_left_out_and_push_nothing() -> None:
    cosine = torch.tensor([[0.9, 0.5, 0.3], [0.6, -0.2, 0.41]], dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([0, -1])
    logits = margin_logits(cosine, labels, (1.0, 0.0, 0.2), 10.0, filter_above=0.4)
    assert logits.tolist() == [[pytest.approx(7.0), 0.0, 3.0], [0.0, -2.0, 0.0]]
    logits.sum().backward()
    assert cosine.grad is not None
    assert cosine.grad.tolist() == [[10.0, 0.0, 10.0], [0.0, 10.0, 0.0]]


def test_every_loss_that_can_be_asked_for_has_an_entry() -> None:
    from typing import get_args

    from frbias.core.foundation.requests import option_types
    from frbias.core.training.losses import LOSSES, IdentityLoss, make_loss
    from frbias.core.training.options import FinetuneOptions

    assert set(LOSSES) == set(get_args(option_types(FinetuneOptions)["loss"]))
    for name in LOSSES:
        loss = make_loss(FinetuneOptions(loss=name, margin=0.3), 5, 8)
        assert isinstance(loss, IdentityLoss)
        means = torch.randn(5, 8)
        loss.start_from(means)
        assert torch.equal(loss.state_dict()["centres"], means)
