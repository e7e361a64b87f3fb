"""What one training step computes: trained stages, loss, and the pull towards the start model."""

import torch
from torch import nn

from frbias.core.recognisers.trainable.base import Backbone
from frbias.core.training.losses import IdentityLoss, distance_to

_AMP = {"bf16": torch.bfloat16, "fp16": torch.float16}


class TrainStep(nn.Module):
    """Loss of a batch of prefix features; one module, so that processes can share its gradients.

    Args:
        model: The backbone.
        tail: Stages after the prefix.
        loss: What makes people tell apart.
        keep: Weight of the pull towards the start model.
        amp: ``off``, ``bf16`` or ``fp16`` for the stages before the head.
    """

    def __init__(self, model: Backbone, tail: tuple[str, ...], loss: IdentityLoss, *, keep: float, amp: str) -> None:
        super().__init__()
        self.model, self.tail, self.loss = model, tail, loss
        self.keep, self.amp = keep, amp

    def forward(
        self,
        features: torch.Tensor,
        labels: torch.Tensor,
        reference: torch.Tensor | None,
        photographs: tuple[torch.Tensor, torch.Tensor] | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Total loss, its classification part and the distance to the start model, each a mean over the batch.

        Args:
            features: Output of the prefix, (n, ...).
            labels: int64 (n,).
            reference: Embeddings of the start model (n, D), or None without ``keep``.
            photographs: Features (m, ...) of photographs that ``keep`` is for as well, and embeddings (m, D) of the
                start model; the distance then is the mean of that of the batch and theirs.
        """
        embeddings = tail_embeddings(self.model, features, self.tail, self.amp)
        identity = self.loss(embeddings, labels)
        if reference is None:
            return identity, identity.detach(), torch.zeros((), device=identity.device)
        moved = distance_to(embeddings, reference)
        if photographs is not None:
            seen = tail_embeddings(self.model, photographs[0], self.tail, self.amp)
            moved = (moved + distance_to(seen, photographs[1])) / 2
        return identity + self.keep * self.loss.scale * moved, identity.detach(), moved.detach()


def tail_embeddings(model: Backbone, features: torch.Tensor, tail: tuple[str, ...], amp: str) -> torch.Tensor:
    """Embeddings (n, D) in float32 from prefix features; the head is never computed in 16 bits."""
    if features.ndim == 4:
        features = features.contiguous(memory_format=torch.channels_last)
    body = tuple(stage for stage in tail if stage != "head")
    if body:
        with torch.autocast(features.device.type, _AMP.get(amp, torch.bfloat16), enabled=amp != "off"):
            features = model.run(features, body)
    return model.run(features.float(), ("head",)) if amp != "off" else model.run(features, ("head",))
