"""Templates of the pages: autoescaped, and strict about names."""

from pathlib import Path

import jinja2


def environment() -> jinja2.Environment:
    """The environment that pages are rendered in."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader("frbias.core.reporting"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def template(name: str) -> str:
    """Text of a file among the templates."""
    return (Path(__file__).parent / "templates" / name).read_text(encoding="utf-8")
