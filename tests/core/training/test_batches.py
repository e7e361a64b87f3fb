import numpy as np
import pytest
import torch
from torch import nn

from frbias.core.foundation.errors import UsageError
from frbias.core.recognisers.trainable.weights import build
from frbias.core.training.batches import FRESH, Sampler
from frbias.core.training.losses import MarginLoss
from frbias.core.training.options import FinetuneOptions
from frbias.core.training.schedule import make_optimiser, parameter_groups, rate, set_rate

LABELS = np.repeat(np.arange(10), 6)
AGES = np.tile([3.0, 3.0, 3.0, 3.0, 30.0, 70.0], 10)


def sampler(kind: str, batch: int = 12, views: tuple[int, ...] = (0, 1)) -> Sampler:
    return Sampler(kind, LABELS, AGES, batch, 3, views, seed=4)


@pytest.mark.parametrize("kind", ["uniform", "per-subject", "age-balanced"])
def test_an_epoch_follows_from_its_number(kind: str) -> None:
    first, again, next_one = (sampler(kind).order(e) for e in (1, 1, 2))
    assert np.array_equal(first.positions, again.positions)
    assert np.array_equal(first.views, again.views)
    assert not np.array_equal(first.positions, next_one.positions)
    assert first.positions.shape == first.views.shape == (5, 12)
    assert set(np.unique(first.views)) == {0, 1}


def test_uniform_shows_every_image_at_most_once() -> None:
    positions = sampler("uniform", batch=7).order(3).positions
    assert positions.shape == (8, 7)
    assert len(np.unique(positions)) == 56


def test_per_subject_batches() -> None:
    for batch in sampler("per-subject").order(1).positions:
        _, counts = np.unique(LABELS[batch], return_counts=True)
        assert counts.tolist() == [3, 3, 3, 3]
        assert len(np.unique(batch)) == 12


def test_age_groups_come_equally_often() -> None:
    many = np.concatenate([sampler("age-balanced").order(e).positions.ravel() for e in range(40)])
    shares = [np.mean(AGES[many] == age) for age in (3.0, 30.0, 70.0)]
    assert np.allclose(shares, 1 / 3, atol=0.04)


def test_fresh_views_belong_to_one_epoch() -> None:
    assert set(sampler("uniform", views=()).order(5).views.ravel()) == {FRESH + 5}


def test_orders_that_cannot_be() -> None:
    with pytest.raises(UsageError, match="--batch-size 61"):
        sampler("uniform", batch=61)
    with pytest.raises(UsageError, match="needs 11 subjects"):
        sampler("per-subject", batch=33)
    with pytest.raises(UsageError, match="age"):
        Sampler("age-balanced", LABELS, np.full(60, np.nan), 12, 3, (0,), 0)


@pytest.mark.parametrize(
    ("schedule", "half", "last"), [("cosine", 0.5, 0.0), ("poly", 0.25, 0.0), ("step", 0.1, 0.01), ("constant", 1, 1)]
)
def test_schedules(schedule: str, half: float, last: float) -> None:
    options = FinetuneOptions(schedule=schedule, warmup=0.0)
    assert rate(0, 1000, options, 10) == 1
    assert rate(500, 1000, options, 10) == pytest.approx(half)
    assert rate(999, 1000, options, 10) == pytest.approx(last, abs=0.01)


def test_warm_up_rises_in_a_line_to_the_top() -> None:
    rates = [rate(step, 100, FinetuneOptions(warmup=2.0), 5) for step in range(11)]
    assert np.allclose(np.diff(rates), 1 / 11)
    assert rates[10] == 1


def test_decay_spares_norms_slopes_and_biases() -> None:
    model, loss = build("mobilefacenet"), MarginLoss(3, 512)
    groups = parameter_groups(model, loss, FinetuneOptions(lr=0.01, layer_decay=0.5, centre_lr=10.0))
    decayed = {id(p) for g in groups if g["weight_decay"] for p in g["params"]}
    weights = {id(m.weight) for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)} | {id(loss.centres)}
    assert decayed == weights
    assert sum(len(g["params"]) for g in groups) == len(list(model.parameters())) + 1
    optimiser = make_optimiser(groups, FinetuneOptions(lr=0.01))
    set_rate(optimiser, 0.5)
    rates = {g["stage"]: g["lr"] for g in optimiser.param_groups}
    assert rates["head"] == pytest.approx(0.005)
    assert rates["4"] == pytest.approx(0.0025)
    assert rates["stem"] == pytest.approx(0.01 * 0.5**5 / 2)
    assert rates["loss"] == pytest.approx(0.05)


def test_the_fused_optimiser_is_the_plain_one_whatever_the_layout() -> None:
    def trained(fused: bool, layout: torch.memory_format) -> torch.Tensor:
        torch.manual_seed(3)
        model = torch.nn.Conv2d(5, 6, 3).to(memory_format=layout)
        x = torch.randn(4, 5, 9, 9).contiguous(memory_format=layout)
        options = {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.01}
        if fused:
            groups = [{"params": [*model.parameters()], "peak": 0.05, "weight_decay": 0.01, "stage": "4"}]
            optimiser = make_optimiser(groups, FinetuneOptions(lr=0.05, momentum=0.9))
        else:
            optimiser = torch.optim.SGD(model.parameters(), **options, foreach=False)
        for _ in range(4):
            optimiser.zero_grad()
            model(x).square().mean().backward()  # a sum lets the weights grow without end
            optimiser.step()
        return model.weight.detach()

    for layout in (torch.contiguous_format, torch.channels_last):
        torch.testing.assert_close(trained(True, layout), trained(False, layout), rtol=1e-6, atol=1e-7)
