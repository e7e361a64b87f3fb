"""The requests of the published protocols: lists of pairs, and identification."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from frbias.core.foundation.requests import option, shared_option
from frbias.core.foundation.values import shares, shown_shares
from frbias.core.stages.requests.embed import EmbedOptions, Flip
from frbias.core.stages.requests.evaluate import EvaluateRequest
from frbias.core.stages.requests.input import InputOptions
from frbias.core.stages.requests.measuring import MeasureOptions

PAIRS, SEARCHES = "Pairs (--pairs)", "Searches (--identify)"
ALL_PAIRS, CACDVS = "all", "cacdvs"


@dataclass(frozen=True, kw_only=True)
class PairsRequest(InputOptions):
    """Judge a recogniser by lists of pairs.

    Attributes:
        pairs: Lists (or ``.bin`` sets, which bring their pictures); ``cacdvs`` for the pairs in CACD-VS's names; ``all``
            for every two images of ``data``. Of several, each is a group.
        data: Image set with the pictures of the lists.
        weights: Recogniser for ``data`` and ``.bin`` sets.
        embeddings: Embeddings of the pictures, instead of ``data``.
        flip: Whether the mirrored face is embedded too; published figures of insightface add it.
        groups: A column of the lists, or groups of the images (ages, a column): pairs across two groups are groups
            of their own; None: no groups.
        folds: Folds of lists that give none.
        thresholds: ``grid`` (as the field computes accuracy) or ``exact``.
        at_fmr: Target FARs of TAR at FAR.
        alpha, bootstrap, confidence, seed: See :class:`MeasureOptions`.
        name: Name to show; None: the recogniser's, or the file's.
        fail_if: Conditions that make the evaluation fail, such as ``accuracy < 99%`` or ``tar[young]@0.1% < 0.9``.
        figures: Draw figures.
    """

    title = "evaluate --pairs"
    pairs: tuple[str, ...] = option(
        help="List of pairs (LFW's pairs.txt, CALFW style, CSV), an insightface .bin set, cacdvs, or all; "
        "several times: each is a group.",
        panel=PAIRS,
        metavar="FILE",
        many=True,
        decides=False,
    )
    data: str | None = shared_option(EvaluateRequest, "data")
    weights: str = shared_option(EvaluateRequest, "weights")
    embeddings: Path | None = shared_option(EvaluateRequest, "embeddings")
    flip: Flip = shared_option(EmbedOptions, "flip", panel=PAIRS)
    groups: str | None = shared_option(MeasureOptions, "groups")
    folds: int = option(10, help="Folds of a list that gives none.", panel=PAIRS, low=2, high=1000)
    thresholds: Literal["grid", "exact"] = option(
        "grid",
        help="Thresholds of the accuracy: grid (squared distances 0, 0.01, .. as the field does) or exact.",
        panel=PAIRS,
    )
    at_fmr: tuple[float, ...] = shared_option(MeasureOptions, "at_fmr")
    alpha: float = shared_option(MeasureOptions, "alpha")
    bootstrap: int = shared_option(MeasureOptions, "bootstrap")
    confidence: float = shared_option(MeasureOptions, "confidence")
    seed: int = shared_option(MeasureOptions, "seed")
    name: str | None = shared_option(EvaluateRequest, "name")
    fail_if: tuple[str, ...] = shared_option(EvaluateRequest, "fail_if")
    figures: bool = shared_option(EvaluateRequest, "figures")

    def conflicts(self) -> Iterator[str]:
        """Lists without pictures, ``.bin`` sets with them, and targets that are no rates."""
        yield from super().conflicts()
        yield from _no_rates(self.at_fmr, "--at-fmr")
        if self.fail_if:
            from frbias.core.verification.protocol_gates import PAIR_QUANTITIES, protocol_gate_problems

            yield from protocol_gate_problems(self.fail_if, PAIR_QUANTITIES, self.at_fmr, "--at-fmr")
        if not self.pairs:
            yield "--pairs is empty; name a list of pairs or a .bin set."
        packed = [text for text in self.pairs if is_bin(text)]
        if packed and len(packed) < len(self.pairs):
            yield "--pairs: give lists or .bin sets, not both at once."
        stems = [Path(text).stem for text in self.pairs]
        if len(set(stems)) < len(stems):
            repeated = next(stem for stem in stems if stems.count(stem) > 1)
            yield f"--pairs: several are called {repeated}; rename them, since each is a group."
        given = [name for name in ("data", "embeddings") if getattr(self, name) is not None]
        if packed and given:
            yield f"--pairs {packed[0]} brings its own pictures; leave out --{given[0]}."
        if self.pairs and not packed and len(given) != 1:
            yield "--pairs needs the pictures: give one of --data IMAGES or --embeddings FILE."
        if ALL_PAIRS in self.pairs and (len(self.pairs) > 1 or self.groups is None):
            yield "--pairs all stands alone and needs --groups, e.g. --groups age_group."
        if self.flip != "none" and self.embeddings is not None:
            yield "--flip needs pictures; embeddings are made already."


@dataclass(frozen=True, kw_only=True)
class IdentifyRequest(InputOptions):
    """Search a gallery with every image.

    Attributes:
        identify: True; what chooses this request on a command line.
        data, weights, embeddings: See :class:`EvaluateRequest`.
        groups: Groups of the probes; None: the usual age groups when ages are known.
        gallery: ``others`` (leave one out), or the ``youngest`` or ``oldest`` image of every subject.
        at_fpir: Target false positive identification rates.
        ranks: Length of the CMC.
        bootstrap, confidence, seed: See :class:`MeasureOptions`.
        name: Name to show; None: the recogniser's, or the file's.
        fail_if: Conditions that make the evaluation fail, such as ``rank_1 < 90%`` or ``fnir@1% > 0.3``.
        figures: Draw figures.
    """

    title = "evaluate --identify"
    identify: bool = option(
        True, help="Search a gallery: rank-1, CMC, FNIR at FPIR, per group and age gap.", panel=SEARCHES, decides=False
    )
    data: str | None = shared_option(EvaluateRequest, "data")
    weights: str = shared_option(EvaluateRequest, "weights")
    embeddings: Path | None = shared_option(EvaluateRequest, "embeddings")
    groups: str | None = shared_option(MeasureOptions, "groups")
    gallery: Literal["others", "youngest", "oldest"] = option(
        "others",
        help="Gallery: all other images (leave one out), or the youngest or oldest image of every subject.",
        panel=SEARCHES,
    )
    at_fpir: tuple[float, ...] = option(
        (0.1, 0.01),
        help="Target false positive identification rates.",
        panel=SEARCHES,
        metavar="RATES",
        parse=shares,
        show=shown_shares,
    )
    ranks: int = option(20, help="Length of the CMC.", panel=SEARCHES, low=1, high=10_000)
    bootstrap: int = shared_option(MeasureOptions, "bootstrap")
    confidence: float = shared_option(MeasureOptions, "confidence")
    seed: int = shared_option(MeasureOptions, "seed")
    name: str | None = shared_option(EvaluateRequest, "name")
    fail_if: tuple[str, ...] = shared_option(EvaluateRequest, "fail_if")
    figures: bool = shared_option(EvaluateRequest, "figures")

    def conflicts(self) -> Iterator[str]:
        """No source or two, and targets that are no rates."""
        yield from super().conflicts()
        yield from _no_rates(self.at_fpir, "--at-fpir")
        if self.fail_if:
            from frbias.core.verification.protocol_gates import SEARCH_QUANTITIES, protocol_gate_problems

            yield from protocol_gate_problems(self.fail_if, SEARCH_QUANTITIES, self.at_fpir, "--at-fpir")
        if not self.identify:
            yield "--no-identify asks for no search."
        if (self.data is None) == (self.embeddings is None):
            yield "--identify needs one of --data NAME or --embeddings FILE."


def is_bin(text: str) -> bool:
    """Whether an argument of ``--pairs`` names a verification set."""
    return text.lower().endswith(".bin")


def _no_rates(targets: tuple[float, ...], flag: str) -> Iterator[str]:
    for target in targets:
        if not 0 < target < 1:
            yield f"{flag} {target:g} is no rate; write one between 0 and 1, e.g. 0.01 or 1%."
