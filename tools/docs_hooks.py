"""Hooks of the documentation site: links into the repository, and the list of names of the Python reference."""

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
_OUTSIDE = re.compile(r"\[([^\]]*)\]\(\s*\.\./([^)#\s]+)(#[^)\s]*)?\s*\)")
_REFERENCE = "<!-- reference -->"


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Turn links to files of the repository, which the site does not have, into their names; fill in the reference.

    A link to a file that the repository does not have is left alone, so that the strict build fails.
    """
    markdown = _OUTSIDE.sub(_named, markdown)
    return markdown.replace(_REFERENCE, reference()) if page.file.src_uri == "api.md" else markdown


def reference() -> str:
    """One entry for every public name, stages first."""
    import frbias

    stages = list(frbias._STAGES)
    others = [name for name in frbias.__all__ if name not in stages]
    return "\n\n".join(f"::: frbias.{name}" for name in (*stages, *others))


def _named(link: re.Match[str]) -> str:
    text, target = link[1], link[2]
    if not (ROOT / target).exists():
        return link[0]
    return text if text.strip("`") == target else f"{text} (`{target}` in the repository)"
