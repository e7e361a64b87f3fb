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


def text_environment() -> jinja2.Environment:
    """The environment that plain text (Markdown) is rendered in: nothing is escaped but cells of tables."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("frbias.core.reporting"),
        autoescape=False,  # Markdown, not HTML
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters |= {"percent": _percent, "cell": _cell}
    return made


def _percent(value: float) -> str:
    return f"{100 * value:.3g} %"


def _cell(text: object) -> str:
    return str(text).replace("|", "\\|").replace("\n", " ")


def template(name: str) -> str:
    """Text of a file among the templates."""
    return (Path(__file__).parent / "templates" / name).read_text(encoding="utf-8")
