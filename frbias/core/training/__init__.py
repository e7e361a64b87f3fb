"""Fine-tuning with frozen stages. Names are imported when they are used, so that options can be read without torch."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from frbias.core.training.finetuning import FinetuneResult, finetune
    from frbias.core.training.options import FinetuneOptions

__all__ = ["FinetuneOptions", "FinetuneResult", "finetune"]
_HOMES = {"FinetuneOptions": "options", "FinetuneResult": "finetuning", "finetune": "finetuning"}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        found = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
        globals()[name] = found
        return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
