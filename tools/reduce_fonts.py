"""Cut matplotlib's DejaVu Sans down to what figures need, into ``frbias/core/reporting/figures/fonts``.

A PDF holds the part of a font that its text uses, and finding that part takes a third of the time of a figure when the
font has six thousand glyphs and tables for thirty scripts. What is kept: Latin, Greek, punctuation, arrows, signs.
Whatever else a name of a group may hold is drawn from the whole font, which matplotlib falls back to by itself.
"""

from pathlib import Path

import matplotlib
from fontTools import subset
from fontTools.ttLib import TTFont

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "frbias/core/reporting/figures/fonts"
FAMILY = "DejaVu Sans Reduced"
FACES = {"DejaVuSans": "DejaVuSansReduced", "DejaVuSans-Bold": "DejaVuSansReduced-Bold"}
KEPT = (
    range(0x20, 0x7F), range(0xA0, 0x180), range(0x370, 0x400), range(0x2010, 0x2040), (0x20AC, 0x2122),
    range(0x2190, 0x219A), range(0x2200, 0x2270), range(0x25A0, 0x25D0), (0x2713, 0x2717),
)  # fmt: skip
LAYOUT = ["GPOS", "GSUB", "GDEF", "FFTM", "PfEd", "MATH"]
NAMES = {1: FAMILY, 3: "{}", 4: "{}", 6: "{}", 16: FAMILY}


def reduce(source: Path, target: Path) -> None:
    """Write the reduced font; the licence in its names stays."""
    options = subset.Options(hinting=False, legacy_kern=True, glyph_names=True, notdef_outline=True, name_IDs=["*"])
    options.drop_tables += LAYOUT
    font = subset.load_font(str(source), options)
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=[code for codes in KEPT for code in codes])
    subsetter.subset(font)
    rename(font, target.stem)
    font.recalcTimestamp = False
    font.save(target)


def rename(font: TTFont, face: str) -> None:
    """Give the font a family of its own, so that nobody takes it for the whole one."""
    for record in list(font["name"].names):
        if record.nameID in NAMES:
            record.string = NAMES[record.nameID].format(face)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for whole, reduced in FACES.items():
        reduce(Path(matplotlib.get_data_path()) / f"fonts/ttf/{whole}.ttf", FOLDER / f"{reduced}.ttf")
