"""The documentation site: built strictly, so that a broken link or anchor fails, and readable without JavaScript."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from blocks import ROOT


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("mkdocstrings")
    folder = tmp_path_factory.mktemp("site")
    command = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "-q",
        "-f",
        str(ROOT / "mkdocs.yml"),
        "-d",
        str(folder),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, timeout=280)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.mark.slow
@pytest.mark.xdist_group("site")
def test_every_page_is_there_and_reached_without_scripts(site: Path) -> None:
    pages = {path.stem for path in (ROOT / "docs").glob("*.md")}
    text = (site / "index.html").read_text()
    plain = re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
    reached = set(re.findall(r'href="(?:\./)?([\w-]+)\.html', plain)) | {"index"}
    assert {path.stem for path in site.glob("*.html")} - {"404"} == pages
    assert pages <= reached
    for path in site.glob("*.html"):
        body = re.sub(r"<script.*?</script>", "", path.read_text(), flags=re.DOTALL)
        assert not re.findall(r'<(?:img|link|script)[^>]+(?:src|href)="https?://[^"]+\.(?:js|css|woff2?|png|jpg)', body)


@pytest.mark.slow
@pytest.mark.xdist_group("site")
def test_the_reference_has_every_public_name_with_its_words(site: Path) -> None:
    import frbias

    text = (site / "api.html").read_text()
    for name in frbias.__all__:
        assert f'id="frbias.{name}"' in text, name
    assert "Find the faces of an image set" in text
