"""Values that a shell completes: names are looked up when somebody presses the tab key, not before."""

from collections.abc import Callable, Sequence

Completer = Callable[[str], list[str]]


def among(choices: Sequence[str]) -> Completer:
    """Complete one of ``choices``."""

    def complete(incomplete: str) -> list[str]:
        return [c for c in choices if c.startswith(incomplete)]

    return complete


def names_of(what: str) -> Completer:
    """Complete the names of ``data`` sets, ``weights``, ``protocol``s, ``backend``s or ``device``s."""

    def complete(incomplete: str) -> list[str]:
        return [name for name in _SOURCES[what]() if name.startswith(incomplete)]

    return complete


def _data() -> list[str]:
    from frbias.core.assets.catalogue import dataset_assets
    from frbias.core.assets.records import read_book

    return sorted({*dataset_assets(), *read_book("datasets")})


def _known_data() -> list[str]:
    from frbias.core.assets.catalogue import dataset_assets

    return sorted(dataset_assets())


def _layouts() -> list[str]:
    from frbias.core.data.datasets.layouts.known import LAYOUTS

    return list(LAYOUTS)


def _weights() -> list[str]:
    from frbias.core.assets.catalogue import model_assets
    from frbias.core.assets.records import read_book

    return sorted({*model_assets(), *read_book("models")})


def _protocols() -> list[str]:
    from frbias.core.verification.groups import PROTOCOLS

    return list(PROTOCOLS)


def _backends() -> list[str]:
    from frbias.synth.backends import BACKENDS

    return list(BACKENDS)


def _recipes() -> list[str]:
    from frbias.core.training.recipes import recipe_names

    return list(recipe_names())


def _devices() -> list[str]:
    return ["auto", "cpu", "cuda"]


_SOURCES: dict[str, Callable[[], list[str]]] = {
    "data": _data,
    "known data": _known_data,
    "layout": _layouts,
    "weights": _weights,
    "protocol": _protocols,
    "backend": _backends,
    "device": _devices,
    "recipe": _recipes,
}
