"""Write frbias/__init__.pyi: the signatures of ``import frbias`` for editors and type checkers, from the requests."""

import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from frbias import _PLACES, __all__
from frbias.api import CHOOSER, VERBS, Verb
from frbias.core.foundation.machine import Resources
from frbias.core.foundation.requests import facts_of, option_fields, option_types

STUB = Path(__file__).parent.parent / "frbias" / "__init__.pyi"
_HEAD = '''"""Signatures of ``import frbias``, written by tools/write_stub.py from the requests of the stages."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

'''


def stub() -> str:
    """The text of the stub."""
    lines = [_HEAD + "\n".join(sorted(_imports()))]
    lines.append(f"\n__version__: str\n__all__ = {sorted(__all__)!r}\n".replace("'", '"'))
    for verb in VERBS.values():
        result = verb.result.partition(":")[2]
        lines.append(f"def {verb.name}({', '.join(_parameters(verb))}) -> {result}: ...")
    return "\n".join(lines) + "\n"


def _imports() -> Iterator[str]:
    for name, place in _PLACES.items():
        module, _, inner = place.partition(":")
        yield f"from {module} import {inner} as {name}"
    for place in {verb.result for verb in VERBS.values()}:
        module, _, inner = place.partition(":")
        yield f"from {module} import {inner}"


def _parameters(verb: Verb) -> Iterator[str]:
    signature = verb.signature()
    resources, options = option_types(Resources), verb.options()
    starred = False
    for name, parameter in signature.parameters.items():
        if parameter.kind is parameter.KEYWORD_ONLY and not starred:
            starred = True
            yield "*"
        if name in options:
            owners = [r for r in verb.requests.values() if any(f.name == options[name].name for f in option_fields(r))]
            texts = [_text(option_types(r)[options[name].name]) for r in owners]
            if any(facts_of(f).parse for r in owners for f in option_fields(r) if f.name == options[name].name):
                texts.append("str")
            kind = " | ".join(dict.fromkeys(part for text in texts for part in text.split(" | ")))
        elif name in resources:
            kind = _text(resources[name])
        elif name == CHOOSER:
            kind = f"Literal[{', '.join(repr(n) for n in verb.requests)}]".replace("'", '"')
        else:
            kind = {"out": "str | Path | None", "force": "bool", "tell": "Callable[[str], None] | None"}[name]
        yield f"{name}: {kind}" + ("" if parameter.default is parameter.empty else " = ...")


def _text(kind: Any) -> str:
    """A type as values of it are given in Python: lists for tuples, text for paths."""
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return " | ".join(dict.fromkeys(part for arm in get_args(kind) for part in _text(arm).split(" | ")))
    if origin is Literal:
        return f"Literal[{', '.join(repr(a) for a in get_args(kind))}]".replace("'", '"')
    if origin is tuple:
        inner = _text(get_args(kind)[0])
        return f"Sequence[{inner}] | {inner} | str"
    if kind is Path:
        return "str | Path"
    return "None" if kind is type(None) else str(kind.__name__)


if __name__ == "__main__":
    STUB.write_text(stub(), encoding="utf-8")
    subprocess.run([sys.executable, "-m", "ruff", "format", "--quiet", str(STUB)], check=True)
    sys.stdout.write(f"{STUB}\n")
