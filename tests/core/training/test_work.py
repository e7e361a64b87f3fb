"""What a training will cost: counted by hand for small cases."""

import time
from types import SimpleNamespace

import pytest
import torch

from frbias.core.training import work
from frbias.core.training.options import FinetuneOptions
from frbias.core.training.work import count_work


def options(**changes: object) -> FinetuneOptions:
    return FinetuneOptions(**{"epochs": 4, "batch_size": 10, "eval_every": 3, **changes})  # type: ignore[arg-type]


def count(chosen: FinetuneOptions, views: int = 2) -> tuple[int, int, int]:
    work = count_work(chosen, steps=8, images=100, train=80, validation=20, evaluation=50, views=views)
    return work.trained, work.looked_at, work.kept


def test_validation_after_every_epoch_and_evaluations_when_due() -> None:
    # Validation: start and 4 epochs. Evaluation: start, epoch 3 and the last. Class means: once.
    assert count(options()) == (4 * 80, 5 * 20 + 3 * 50 + 80, 2 * 100 + 50)
    assert count(options(eval_every=2)) == (320, 5 * 20 + 3 * 50 + 80, 250)
    assert count(options(eval_every=10, centres="random")) == (320, 5 * 20 + 2 * 50, 250)


def test_what_the_start_model_says_is_asked_once_for_fixed_views() -> None:
    plain = count(options())
    assert count(options(keep=0.5))[1] - plain[1] == 2 * 80
    fresh = count(options(keep=0.5, augment="fresh"), views=0)
    assert fresh[1] - plain[1] == 4 * 80


def test_a_cache_is_worth_it_when_it_saves_passes() -> None:
    short = count_work(options(epochs=1), steps=8, images=100, train=80, validation=20, evaluation=0, views=2)
    long = count_work(options(epochs=20), steps=8, images=100, train=80, validation=20, evaluation=0, views=2)
    assert short.uncached == 80 + 2 * 20 + 80
    assert short.kept == 200
    assert long.uncached > 5 * long.kept


@pytest.mark.parametrize(("images", "timed"), [(10, 1), (10**9, 3)])
def test_long_work_is_timed_until_it_is_warm_and_short_work_once(
    images: int, timed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(work, "tail_embeddings", lambda *_: asked.append(1))
    seconds = work.seconds_of(
        work.Work(images, images, images), SimpleNamespace(input_size=8), (), Slow(), "off",  # type: ignore[arg-type]
        cached=True, processes=1,
    )  # fmt: skip
    assert len(asked) == timed
    assert seconds >= images * 0.001 / 16


class Slow:
    """A prefix that takes a millisecond for whatever it is given."""

    device = torch.device("cpu")

    def __call__(self, faces: object) -> object:
        time.sleep(0.001)
        return faces
