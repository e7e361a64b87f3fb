"""DejaVu Sans with the letters and signs that figures use (``tools/reduce_fonts.py``): a PDF's part of it is found ten times as fast."""

from functools import lru_cache
from pathlib import Path

FOLDER = Path(__file__).parent
FAMILIES = ("DejaVu Sans Reduced", "DejaVu Sans")
"""What figures are written in: the second one has whatever letters the first one lacks."""


@lru_cache(maxsize=1)
def make_known() -> None:
    """Tell matplotlib of the reduced faces, once a process."""
    from matplotlib.font_manager import fontManager

    for face in sorted(FOLDER.glob("*.ttf")):
        fontManager.addfont(face)


def under_known_names(svg: str) -> str:
    """An SVG whose text asks for the font by the name that others know it by, or for any other without serifs."""
    reduced, whole = (f"'{name}'" for name in FAMILIES)
    return svg.replace(f"{reduced}, {whole}", whole).replace(reduced, whole).replace(whole, f"{whole}, sans-serif")
