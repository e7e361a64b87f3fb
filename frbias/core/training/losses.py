"""Losses over normalised embeddings and class centres.

With t the angle between an embedding and the centre of its own class, c = cos t and s the scale, the
logits are s * c for the other classes and for the own class

===========  =======================================  ===========================================
name         own class                                source
===========  =======================================  ===========================================
``arcface``  s * cos(t + m)                           Deng et al. 2019, arXiv:1801.07698, eq. 3
``cosface``  s * (cos t - m)                          Wang et al. 2018, arXiv:1801.09414, eq. 4
``combined`` s * (cos(m1 t + m2) - m3)                Deng et al. 2019, eq. 4
``softmax``  s * cos t                                Wang et al. 2017, arXiv:1704.06369
===========  =======================================  ===========================================

followed by softmax cross-entropy, averaged over the batch. Two derivatives are offered. ``true`` is that of
the formula, continued past t + m = pi by cos t - m sin m so that it stays falling. ``straight`` is what the
insightface trainer computes: the margin changes the value but the derivative is that of plain s * c.

With an interclass filter, other classes whose cosine is above a limit get the logit 0 and push nothing (insightface's
``interclass_filtering_threshold``): under noisy labels such a class is likely to be the same person under another name.
"""

import math
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

from frbias.core.training.options import FinetuneOptions

IGNORED = -1


class IdentityLoss(nn.Module):
    """What every loss is: a module that turns embeddings and class numbers into one number to be made small.

    Its parameters are trained along with the recogniser (at ``centre_lr`` times its rate), and its state is kept in the
    checkpoints. A new loss is a subclass, a name in the choices of ``FinetuneOptions.loss``, and an entry in
    :data:`LOSSES`.

    Attributes:
        scale: What a difference of cosines of 1 is worth in the loss; weighs ``keep``.
    """

    scale: float = 1.0

    def start_from(self, means: torch.Tensor) -> None:
        """Start with class directions (C, D), the normalised means of the start model's embeddings."""

    def forward(self, embeddings: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Mean loss of embeddings (N, D) with class numbers int64 (N,), ``-1`` for none."""
        raise NotImplementedError


class MarginLoss(IdentityLoss):
    """Class centres with a margin softmax over them.

    Args:
        classes: Number of classes C.
        dim: Length D of an embedding.
        kind: ``arcface``, ``cosface``, ``combined`` or ``softmax``.
        margin: Radians for ``arcface``, difference of cosines for ``cosface``.
        margins: (m1, m2, m3) of ``combined``.
        scale: Factor s of the cosines.
        gradient: ``true`` or ``straight``.
        filter_above: Cosine above which other classes are left out; 0 for none.

    Attributes:
        centres: Parameter of shape (C, D), normalised when used; starts as N(0, 0.01).
    """

    def __init__(
        self,
        classes: int,
        dim: int,
        *,
        kind: str = "arcface",
        margin: float = 0.5,
        margins: tuple[float, float, float] = (1.0, 0.5, 0.0),
        scale: float = 64.0,
        gradient: str = "true",
        filter_above: float = 0.0,
    ) -> None:
        super().__init__()
        self.centres = nn.Parameter(torch.randn(classes, dim) * 0.01)
        self.margins = {
            "arcface": (1.0, margin, 0.0),
            "cosface": (1.0, 0.0, margin),
            "combined": margins,
            "softmax": (1.0, 0.0, 0.0),
        }[kind]
        self.scale, self.gradient, self.filter_above = scale, gradient, filter_above

    @torch.no_grad()
    def start_from(self, means: torch.Tensor) -> None:
        """The class centres become ``means`` (C, D)."""
        self.centres.copy_(means)

    def forward(self, embeddings: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Mean loss of a batch.

        Args:
            embeddings: (N, D), any length.
            labels: int64 (N,), class numbers; ``-1`` has no class and adds nothing to the mean.
        """
        return functional.cross_entropy(self.logits(embeddings, labels), labels, ignore_index=IGNORED)

    def logits(self, embeddings: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Scaled logits (N, C) with the margin applied to the labelled classes."""
        cosine = functional.linear(functional.normalize(embeddings), functional.normalize(self.centres))
        return margin_logits(
            cosine, labels, self.margins, self.scale, gradient=self.gradient, filter_above=self.filter_above
        )


def margin_logits(
    cosine: torch.Tensor,
    labels: torch.Tensor,
    margins: tuple[float, float, float],
    scale: float,
    *,
    gradient: str = "true",
    filter_above: float = 0.0,
) -> torch.Tensor:
    """Apply the margin to the labelled entries of a matrix of cosines and scale all of it.

    Args:
        cosine: (N, C), -1..1; rounding beyond that is clamped.
        labels: int64 (N,), -1 for rows without a class.
        margins: (m1, m2, m3) of cos(m1 t + m2) - m3; m2 in radians.
        scale: Factor of all entries.
        gradient: ``true`` or ``straight``.
        filter_above: Other classes with a cosine above this get the logit 0; 0 for no filter.

    Returns:
        Logits (N, C); finite, with finite derivatives everywhere, also where an embedding meets its centre.
    """
    cosine = cosine.clamp(-1.0, 1.0)
    columns = labels.clamp_min(0).unsqueeze(1)  # rows without a class are put back: to find them would make a host wait
    target = cosine.gather(1, columns)
    if gradient == "straight":
        with torch.no_grad():
            shift = torch.cos(margins[0] * torch.acos(target) + margins[1]) - margins[2] - target
        moved = target + shift
    else:
        moved = _with_margin(target, margins)
    if filter_above > 0:
        cosine = cosine.masked_fill(cosine > filter_above, 0.0)  # the labelled entries are put back below
    moved = torch.where(labels.unsqueeze(1) != IGNORED, moved, cosine.gather(1, columns))
    return cosine.scatter(1, columns, moved) * scale


def _with_margin(cosine: torch.Tensor, margins: tuple[float, float, float]) -> torch.Tensor:
    """cos(m1 t + m2) - m3 with its true derivative, falling over the whole range of t."""
    m1, m2, m3 = margins
    if m1 == 1.0 and m2 == 0.0:
        return cosine - m3
    smallest = 8 * torch.finfo(cosine.dtype).eps
    if m1 == 1.0:
        sine = (1.0 - cosine * cosine).clamp_min(smallest).sqrt()
        moved = cosine * math.cos(m2) - sine * math.sin(m2)
        moved = torch.where(cosine > math.cos(math.pi - m2), moved, cosine - m2 * math.sin(m2))
        return moved - m3
    inside = cosine.clamp(-1.0 + smallest, 1.0 - smallest)
    argument = m1 * torch.acos(inside) + m2
    beyond = -1.0 - (argument - math.pi)  # falls on where the cosine would rise again
    return torch.where(argument <= math.pi, torch.cos(argument), beyond) - m3


def class_means(embeddings: torch.Tensor, labels: torch.Tensor, classes: int) -> torch.Tensor:
    """Directions of the classes: normalised mean of normalised embeddings, (C, D).

    Args:
        embeddings: (N, D).
        labels: int64 (N,), 0..C-1, every class present.
        classes: C.
    """
    total = torch.zeros(classes, embeddings.shape[1], dtype=embeddings.dtype, device=embeddings.device)
    total.index_add_(0, labels, functional.normalize(embeddings))
    return functional.normalize(total)


def distance_to(embeddings: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """Mean of 1 - cosine between two sets of embeddings (N, D), 0..2."""
    return (1.0 - functional.cosine_similarity(embeddings, reference, dim=1)).mean()


def _margin_loss(options: FinetuneOptions, classes: int, dim: int) -> IdentityLoss:
    return MarginLoss(
        classes,
        dim,
        kind=options.loss,
        margin=options.margin,
        margins=options.margins,
        scale=options.scale,
        gradient=options.gradient,
        filter_above=options.filter_above,
    )


LOSSES: dict[str, Callable[[FinetuneOptions, int, int], IdentityLoss]] = {
    "arcface": _margin_loss,
    "cosface": _margin_loss,
    "combined": _margin_loss,
    "softmax": _margin_loss,
}


def make_loss(options: FinetuneOptions, classes: int, dim: int) -> IdentityLoss:
    """The loss that ``options.loss`` names, for classes (C) of embeddings of length D."""
    return LOSSES[options.loss](options, classes, dim)
