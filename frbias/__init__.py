"""frbias: measure the age bias of face recognisers, and try to mend it with synthetic faces.

::

    import frbias

    frbias.generate("people", subjects=40, ages=[5, 15, 30, 60])
    frbias.align("people", "faces")
    result = frbias.evaluate("faces", weights="sface", at_fmr=[0.1, 0.01])
    print(result.out, result.evaluation.at(0.1).fnmr.value)

The stages (``generate align finetune adapt embed evaluate compare audit export report``) build the same requests as the command
line; everything else is in :mod:`frbias.core` (data, recognisers, training, verification) and :mod:`frbias.synth`
(face generators). Names are imported when they are used: ``import frbias`` itself loads nothing.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_STAGES = ("generate", "align", "finetune", "adapt", "embed", "evaluate", "compare", "audit", "export", "report")
_PLACES = {
    "read_images": "frbias.core.data.datasets.resolving:resolve_data",
    "read_embeddings": "frbias.core.data.embeddings:read_embeddings",
    "read_evaluation": "frbias.core.reporting.documents:read_evaluation",
    "load_recogniser": "frbias.core.recognisers.loading:load_recogniser",
    "evaluate_embeddings": "frbias.core.verification.evaluation:evaluate_embeddings",
    "garbe": "frbias.core.verification.measures.fairness:garbe",
    "Evaluation": "frbias.core.verification.results:Evaluation",
    "Comparison": "frbias.core.verification.paired:Comparison",
}
__all__ = [
    "Comparison",
    "Evaluation",
    "adapt",
    "align",
    "audit",
    "compare",
    "embed",
    "evaluate",
    "evaluate_embeddings",
    "export",
    "finetune",
    "garbe",
    "generate",
    "load_recogniser",
    "read_embeddings",
    "read_evaluation",
    "read_images",
    "report",
]


def __getattr__(name: str) -> Any:
    if name in _STAGES:
        api = import_module("frbias.api")  # not an import statement: core imports this module for its version
        value: Any = api.function_of(api.VERBS[name])
    elif name in _PLACES:
        module, _, inner = _PLACES[name].partition(":")
        value = getattr(import_module(module), inner)
    else:
        raise AttributeError(f"module 'frbias' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
