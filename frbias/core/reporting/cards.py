"""Cards as Hugging Face shows them: a README.md of a recogniser or of an image set, with its metadata at the top.

Everything in a card is taken from what was recorded when the thing was made or measured; what is not known is said to
be unknown. Names, never paths of the machine, are written.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from frbias import __version__
from frbias.core.foundation.files import write_text
from frbias.core.foundation.words import counted
from frbias.core.recognisers.base import Description
from frbias.core.reporting.documents import typed
from frbias.core.reporting.templating import text_environment
from frbias.core.reporting.verdict import judge
from frbias.core.verification.headline import headline_target
from frbias.core.verification.paired import Comparison
from frbias.core.verification.results import Evaluation

CARD_NAME = "README.md"
_UNKNOWN = "other"
_LICENCES = {"CC0": "cc0-1.0", "Apache-2.0": "apache-2.0", "MIT": "mit", "BSD-3-Clause": "bsd-3-clause"}


@dataclass(frozen=True)
class ModelFacts:
    """What a model card says.

    Attributes:
        name: Of the recogniser.
        sha256: Of what it computes with.
        about: What is known about it.
        files: Names of the files beside the card.
        settings: Options of the training or adaptation, by name; empty when it was neither trained nor adapted here.
        results: What was recorded at its end.
        made_of: What its map is made of.
        document: Evaluation or comparison of it, or None.
    """

    name: str
    sha256: str
    about: Description
    files: Sequence[str]
    settings: Mapping[str, Any]
    results: Mapping[str, Any]
    made_of: Sequence[str]
    document: dict[str, Any] | None


def licence_tag(text: str) -> str:
    """The licence as Hugging Face names it; ``other`` for one that it has no name for.

    Example:
        >>> licence_tag("Apache-2.0"), licence_tag("non-commercial research only"), licence_tag("")
        ('apache-2.0', 'other', 'other')
    """
    return next((tag for name, tag in _LICENCES.items() if text.startswith(name)), _UNKNOWN)


def model_card(facts: ModelFacts) -> str:
    """The text of a model's README.md."""
    licence = facts.about.licence
    header: dict[str, Any] = {
        "license": licence_tag(licence),
        **({"license_name": licence} if licence and licence_tag(licence) == _UNKNOWN else {}),
        "library_name": "frbias",
        "pipeline_tag": "image-feature-extraction",
        "tags": ["face-recognition", "biometrics", "fairness", "age-bias", *(["onnx"] if _has(facts, ".onnx") else [])],
    }
    found = None if facts.document is None else typed(facts.document)
    measured = None if found is None else _measured(found, facts.document or {})
    if measured is not None:
        header["model-index"] = [{"name": facts.name, "results": [_result(measured)]}]
    return text_environment().get_template("model_card.md.j2").render(
        header=front_matter(header), facts=facts, measured=measured, settings=[(name, json.dumps(value, ensure_ascii=False)) for name, value in facts.settings.items()],
        results=_plain_results(facts.results), version=__version__, has=lambda end: _has(facts, end),
    )  # fmt: skip


def front_matter(values: Mapping[str, Any]) -> str:
    """The YAML block that a card begins with; a JSON value is one in YAML too.

    Example:
        >>> print(front_matter({"license": "mit", "tags": ["a: b"]}))
        ---
        license: "mit"
        tags: ["a: b"]
        ---
    """
    lines = [f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in values.items()]
    return "\n".join(["---", *lines, "---"])


@dataclass(frozen=True)
class _Measured:
    """The evaluation of the model itself, at the headline target, with the verdict."""

    evaluation: Evaluation
    target: float
    baseline: str | None
    sentence: str
    cautions: tuple[str, ...]
    synthetic: str | None

    @property
    def at(self) -> Any:
        """Everything at the target."""
        return self.evaluation.at(self.target)


def _measured(found: Evaluation | Comparison, document: dict[str, Any]) -> _Measured:
    own = found.other if isinstance(found, Comparison) else found
    verdict = judge(document)
    both = (found.baseline, found.other) if isinstance(found, Comparison) else (found,)
    target = headline_target(both, None)
    baseline = found.baseline.name if isinstance(found, Comparison) else None
    cautions = tuple(text for text in verdict.cautions if text)
    sentence = " ".join(part for part in (verdict.headline, verdict.meaning) if part)
    return _Measured(own, target, baseline, sentence, cautions, own.provenance.get("synthetic"))


def _result(measured: _Measured) -> dict[str, Any]:
    """One entry of the model index: rates and measures at the headline target."""
    at = measured.at
    metrics: list[dict[str, Any]] = [{"type": "fnmr", "name": f"FNMR at FMR {at.target:g}", "value": at.fnmr.value}]
    metrics += [
        {"type": name, "name": result.label, "value": result.value}
        for name, result in at.measures.items()
        if name in ("garbe", "fdr") and result.value is not None
    ]
    task = {"type": "face-verification", "name": "Face verification"}
    kind = "synthetic faces" if measured.synthetic else "faces"
    return {"task": task, "dataset": {"type": "face-verification", "name": kind}, "metrics": metrics}


def _plain_results(results: Mapping[str, Any]) -> list[str]:
    """Sentences about the training, as far as they were recorded."""
    said = []
    if "images" in results and "subjects" in results:
        said.append(f"Learned from {counted(results['images'], 'image')} of {counted(results['subjects'], 'subject')}.")
    if results.get("epochs"):
        said.append(f"Trained for {counted(results['epochs'], 'epoch')}; the best was epoch {results['best_epoch']}.")
    return said


def _has(facts: ModelFacts, ending: str) -> bool:
    return any(name.endswith(ending) for name in facts.files)


def write_card(folder: Path, text: str) -> None:
    """Write README.md into a folder."""
    write_text(folder / CARD_NAME, text)
