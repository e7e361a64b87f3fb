"""The reduced fonts draw what the whole ones draw."""

from pathlib import Path

import matplotlib
import pytest
from fontTools.pens.recordingPen import DecomposingRecordingPen
from fontTools.ttLib import TTFont

from frbias.core.reporting.figures.drawing import Points, Sketch, new_figure, save, styled
from frbias.core.reporting.figures.fonts import FAMILIES, FOLDER, make_known

WHOLE = Path(matplotlib.get_data_path()) / "fonts/ttf"


def outline(font: TTFont, name: str) -> list[object]:
    pen = DecomposingRecordingPen(font.getGlyphSet())
    font.getGlyphSet()[name].draw(pen)
    return pen.value


@pytest.mark.parametrize("face", ["", "-Bold"])
def test_letters_have_the_outlines_and_widths_of_the_whole_font(face: str) -> None:
    reduced, whole = TTFont(FOLDER / f"DejaVuSansReduced{face}.ttf"), TTFont(WHOLE / f"DejaVuSans{face}.ttf")
    letters, all_letters = reduced.getBestCmap(), whole.getBestCmap()
    assert {chr(code) for code in letters} > set("AZaz09%.,:;()<>=+-×–—…≤≥ÀÿŁαΩ→±−")
    for code, name in letters.items():
        assert reduced["hmtx"][name][0] == whole["hmtx"][all_letters[code]][0]
        assert outline(reduced, name) == outline(whole, all_letters[code])


def test_both_faces_are_found_and_other_letters_come_from_the_whole_font(tmp_path: Path) -> None:
    from matplotlib.font_manager import FontProperties, fontManager

    make_known()
    for weight, file in (("normal", "DejaVuSansReduced.ttf"), ("bold", "DejaVuSansReduced-Bold.ttf")):
        assert Path(str(fontManager.findfont(FontProperties(family=FAMILIES[0], weight=weight)))).name == file
    with styled():
        figure, axes = new_figure(1, 1.0)
        axes[0, 0].set_title("young Юн")
        figure.savefig(tmp_path / "x.pdf", metadata={"CreationDate": None})
    named = (tmp_path / "x.pdf").read_bytes()
    assert b"DejaVuSansReduced" in named
    assert b"+DejaVuSans " in named or b"+DejaVuSans\n" in named


def test_an_svg_asks_for_fonts_that_others_may_have(tmp_path: Path) -> None:
    with styled():
        figure, axes = new_figure(1, 1.5)
        axes[0, 0].set_xscale("log")  # powers of ten are set as formulas, whose font is named elsewhere
        axes[0, 0].set_title("young")
    drawn = save(Sketch("x", "title", "", figure, Points((), [])), tmp_path)
    text = drawn.svg.read_text(encoding="utf-8")
    assert "Reduced" not in text
    assert text.count("font-family: 'DejaVu Sans', sans-serif") == text.count("font-family:") > 5
