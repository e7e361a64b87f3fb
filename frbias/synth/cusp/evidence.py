"""Which mask rule a checkpoint was made with, read off its own embedded source text as inert text."""

import re
from collections.abc import Iterable

from frbias.synth.cusp.saliency import MaskRule

_CALL = re.compile(r"scale_prop_kernel\s*\(([^()]*(?:\([^()]*\)[^()]*)*)\)")
_DEFINITION = re.compile(r"def\s+scale_prop_kernel")
_IMAGE, _KERNEL = "224", "29"


def mask_rule_of(texts: Iterable[str]) -> MaskRule | None:
    """The rule that embedded source texts show, or None when they show none, or both.

    The helper scales a kernel from a reference image to another: its arguments are the reference size, the size at
    hand and the kernel at the reference. Called with (224, size, 29) it does what was meant; with (29, size, 224)
    the kernel becomes eight times wider than the image.
    """
    found = {rule for text in texts for rule in _rules(text)}
    return found.pop() if len(found) == 1 else None


def _rules(text: str) -> Iterable[MaskRule]:
    for match in _CALL.finditer(text):
        before = text[max(0, match.start() - 8) : match.start()]
        if _DEFINITION.search(before + match.group(0)):
            continue
        arguments = [part.strip() for part in _split(match.group(1))]
        if len(arguments) != 3:
            continue
        if (arguments[0], arguments[2]) == (_KERNEL, _IMAGE):
            yield "as_released_head"
        elif (arguments[0], arguments[2]) == (_IMAGE, _KERNEL):
            yield "intended"


def _split(arguments: str) -> list[str]:
    parts, depth = [""], 0
    for letter in arguments:
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return parts
