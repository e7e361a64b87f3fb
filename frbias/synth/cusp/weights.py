"""The weights a CUSP run needs, found and put together: network, mask rule with its evidence, age classifier."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

from frbias.core.assets.store import resolve_weights
from frbias.core.faces.dex import AgeClassifier, load_dex
from frbias.core.foundation.errors import AssetMissingError, UsageError
from frbias.synth.cusp import trial
from frbias.synth.cusp.labels import LABELS
from frbias.synth.cusp.loading import LoadedCusp, load_cusp
from frbias.synth.cusp.saliency import MaskRule, mask_is_zero

DEFAULT_RULE: MaskRule = "as_released_head"
NAMES = {"rr": "cusp", "ls": "cusp-ls"}
AUTO = "auto"
CHOSEN, SHOWN, DEFAULT = "chosen", "checkpoint", "default: no evidence in the checkpoint"


@dataclass(frozen=True, eq=False)
class CuspWeights:
    """Everything learnt that a run uses.

    Attributes:
        loaded: The network and what its file says of itself.
        rule: Mask rule.
        rule_from: ``chosen``, ``checkpoint`` (its own text shows it), or the default for want of evidence.
        classifier: Age classifier; None where the rule makes the mask 0 everywhere.
        classifier_from: ``not needed``, ``checkpoint``, or the hash of the file.
    """

    loaded: LoadedCusp
    rule: MaskRule
    rule_from: str
    classifier: AgeClassifier | None
    classifier_from: str

    def describe(self) -> dict[str, Any]:
        """What the pictures depend on, for the manifest."""
        return {
            "weights_sha256": self.loaded.sha256,
            "mask_rule": self.rule,
            "mask_rule_from": self.rule_from,
            "embedded_texts_sha256": self.loaded.texts_sha256,
            "mask": "computed" if self.classifier else "0 everywhere, not computed",
            "age_classifier": self.classifier_from,
        }


@lru_cache(maxsize=2)
def find_weights(name: str, variant: str, mask_rule: str) -> CuspWeights:
    """Load the weights of a run.

    Args:
        name: Name or path of the network; empty for the registered one of the variant, ``tiny`` for a random one.
        variant: ``rr`` or ``ls``.
        mask_rule: ``auto`` or a rule.

    Raises:
        UsageError: The network is of the other variant.
        BadInputError: The files are not what they should be.
        AssetMissingError: The network, or the age classifier that its rule needs, is not installed.
    """
    loaded = _network(name or NAMES[variant], LABELS[variant])
    labels = loaded.network.config.labels
    if labels != LABELS[variant]:
        other = next((v for v, count in LABELS.items() if count == labels), "")
        advice = f"they go with --variant {other}" if other else "frbias knows 101 (rr) and 10 (ls)"
        raise UsageError(f"These weights have {labels} age labels; {advice}.")
    rule, origin = _rule(loaded, mask_rule)
    if mask_is_zero(loaded.network.config.resolution, rule):
        return CuspWeights(loaded, rule, origin, None, "not needed")
    if loaded.classifier is not None:
        return CuspWeights(loaded, rule, origin, loaded.classifier, "checkpoint")
    classifier, digest = _dex(rule)
    return CuspWeights(loaded, rule, origin, classifier, digest)


def _network(name: str, labels: int) -> LoadedCusp:
    if name == trial.NAME:
        return LoadedCusp(trial.tiny_network(labels), "random, for tests", None, trial.random_classifier())
    return load_cusp(resolve_weights(name, "cusp"))


def _rule(loaded: LoadedCusp, wanted: str) -> tuple[MaskRule, str]:
    if wanted != AUTO:
        return cast(MaskRule, wanted), CHOSEN
    return (loaded.rule, SHOWN) if loaded.rule else (DEFAULT_RULE, DEFAULT)


def _dex(rule: MaskRule) -> tuple[AgeClassifier, str]:
    try:
        return load_dex()
    except AssetMissingError as error:
        raise AssetMissingError(
            f"The mask rule {rule!r} asks an age classifier. {error.message}", hint=error.hint
        ) from error
