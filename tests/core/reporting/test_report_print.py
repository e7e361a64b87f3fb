"""The page as it is printed: by a browser where one is installed, and its style rules everywhere."""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from demo_like import MODELS, write_demo_like

from frbias.core.reporting.templating import template

pytestmark = pytest.mark.xdist_group("print")  # what they share takes longer to make than they take
BROWSER = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
MOST_PAGES = 8
needs_browser = pytest.mark.skipif(BROWSER is None, reason="needs Chromium")
printed = pytest.mark.skipif(
    BROWSER is None or not shutil.which("pdftotext") or not shutil.which("pdftoppm"),
    reason="printing needs Chromium and the tools of poppler",
)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_demo_like(tmp_path_factory.mktemp("print"))


@pytest.fixture(scope="module", params=["A4", "letter"])
def pdf(request: pytest.FixtureRequest, page: Path) -> Path:
    """The page on a paper, which a browser lets its user choose: the style names none."""
    paper = str(request.param)
    sized = page.with_name(f"{paper}.html")
    text = page.read_text(encoding="utf-8")
    sized.write_text(text.replace("@page {", f"@page {{ size: {paper};", 1), encoding="utf-8")
    out = page.with_name(f"{paper}.pdf")
    profile = page.with_name(f"profile-{paper}")
    command = [
        str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer",
        f"--user-data-dir={profile}", f"--print-to-pdf={out}", sized.as_uri(),
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    return out


def browse(page: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Open a page in the browser without a window."""
    command = [
        str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
        f"--user-data-dir={page.with_suffix('.profile')}", *arguments, page.as_uri(),
    ]  # fmt: skip
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)


@needs_browser
def test_the_browser_has_nothing_to_say_and_asks_for_nothing(page: Path) -> None:
    log = page.with_suffix(".net.json")
    said = browse(page, f"--log-net-log={log}", "--dump-dom")
    assert "<h1>" in said.stdout
    assert [line for line in said.stderr.splitlines() if "CONSOLE" in line] == []
    asked = set(re.findall(r'"url":"((?!data:|chrome|about:)[^"]+)"', log.read_text(errors="replace")))
    ours = {url for url in asked if "google" not in url and "gvt1" not in url}  # the browser asks for its own updates
    assert ours <= {page.as_uri()}, ours


@needs_browser
def test_a_request_and_an_error_would_be_seen(page: Path) -> None:
    bad = page.with_name("bad.html")
    text = page.read_text(encoding="utf-8").replace("</body>", '<img src="http://127.0.0.1:9/x.png"></body>')
    bad.write_text(text, encoding="utf-8")
    said = browse(bad, "--dump-dom")
    assert any("CONSOLE" in line and "Content Security Policy" in line for line in said.stderr.splitlines())


def told_by_the_page(page: Path, expression: str, *options: str) -> tuple[int, ...]:
    """Numbers that a script in a copy of the page finds when it is loaded; ``expression`` is the text that holds them."""
    probe = page.with_name("probe.html")
    script = f"<script>addEventListener('load', () => {{ document.title = {expression}; }});</script>"
    text = re.sub(r"<meta http-equiv=.Content-Security-Policy.[^>]*>", "", page.read_text(encoding="utf-8"))
    probe.write_text(text.replace("</body>", f"{script}</body>"), encoding="utf-8")
    (title,) = re.findall(r"<title>([^<]*)</title>", browse(probe, *options, "--dump-dom").stdout)[:1]
    return tuple(map(int, re.findall(r"\d+", title)))


@needs_browser
def test_every_picture_is_drawn(page: Path) -> None:
    drawn = "[...document.images].filter(i => i.complete && i.naturalWidth > 0).length"
    shown, there = told_by_the_page(page, f"`${{{drawn}}} of ${{document.images.length}}`")
    assert shown == there == page.read_text(encoding="utf-8").count("<img ")
    assert there > 10


@needs_browser
def test_a_telephone_scrolls_in_one_direction_only(page: Path) -> None:
    width = "`${document.documentElement.scrollWidth} in ${innerWidth}`"
    needed, there = told_by_the_page(page, width, "--window-size=390,900")
    assert needed <= there < 520


def pages(pdf: Path) -> list[str]:
    text = subprocess.run(["pdftotext", "-layout", str(pdf), "-"], check=True, capture_output=True, timeout=60).stdout
    return text.decode("utf-8").split("\f")[:-1]


@printed
def test_every_column_is_on_paper_and_pages_are_numbered(pdf: Path) -> None:
    found = pages(pdf)
    assert len(found) <= MOST_PAGES
    for position, text in enumerate(found, 1):
        assert f"Page {position} of {len(found)}" in text
    whole = "\n".join(found)
    header = next(line for line in whole.splitlines() if "Recogniser" in line and "People" in line)
    assert re.findall(r"FNMR|FMR", header) == ["FNMR", "FMR"]
    rows = [
        line
        for line in whole.splitlines()
        if re.search(rf"\b({'|'.join(MODELS)})\b.*\d[†‡]? of [\d,]+.*\d[†‡]? of [\d,]+", line)
    ]
    assert len(rows) == 2 * (5 + 1)
    for row in rows[:-2]:
        assert len(re.findall(r"[\d.]+\s?% +[\d.]+\s?% to [\d.]+\s?%", row)) == 2, row
    for row in rows[-2:]:
        assert len(re.findall(r"[\d.]+\s?%", row)) == 2, row


@printed
def test_no_page_but_the_last_is_half_empty(pdf: Path) -> None:
    for number in range(1, len(pages(pdf))):
        picture = subprocess.run(
            ["pdftoppm", "-gray", "-r", "20", "-f", str(number), "-l", str(number), str(pdf)],
            check=True, capture_output=True, timeout=60,
        ).stdout  # fmt: skip
        width, height = map(int, picture.split(None, 4)[1:3])
        grey = np.frombuffer(picture[-width * height :], dtype=np.uint8).reshape(height, width)
        body = grey[: int(0.93 * height)]
        assert np.flatnonzero((body < 200).any(axis=1)).max() > 0.5 * height, f"page {number}"


def test_the_style_prints_whole() -> None:
    style = template("style.css")
    sheet = style[style.index("@media print") :]
    assert "counter(page)" in style[style.index("@page") :]
    assert re.search(r"\.scroll[^{]*\{ overflow: visible", sheet)
    assert "white-space: normal" in sheet[sheet.index("table.rates td") :][:120]
    narrow = re.findall(r"@media ([^{]*max-width[^{]*)\{", style)
    assert narrow
    assert all("screen" in query for query in narrow), "paper is narrow too, but is no telephone"
