"""The report page: every number is one of the document, nothing is loaded, the verdict says what the document says."""

import itertools
import json
import math
import re
from collections.abc import Iterator
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from frbias.core.data.images import write_png
from frbias.core.data.samples import make_table, write_samples
from frbias.core.foundation.errors import BadInputError
from frbias.core.foundation.provenance import Work, claim_folder, claim_work
from frbias.core.reporting.figures import comparison as figures_comparison
from frbias.core.reporting.figures import evaluation as figures_evaluation
from frbias.core.reporting.figures.every import Gallery
from frbias.core.reporting.html import write_report
from frbias.core.reporting.lanes import Side, fmr_ticks, rate_lanes
from frbias.core.reporting.making import read_stages, told_by
from frbias.core.reporting.tracing import MINUS, resolve
from frbias.core.reporting.verdict import headline_index, judge
from frbias.core.verification.evaluation import evaluate_embeddings
from frbias.core.verification.paired import Comparison, compare_embeddings

pytestmark = pytest.mark.xdist_group("page")  # what they share takes longer to make than they take
GROUPS = "0-12,13-59,60+"


@pytest.fixture(autouse=True, scope="module")
def few_figures() -> Iterator[None]:
    """Two figures of an evaluation and two of a comparison are enough here; all are drawn in the tests of figures."""
    with pytest.MonkeyPatch.context() as patch:
        evaluation = (figures_evaluation.rates_by_group, figures_evaluation.fmr_by_groups)
        patch.setattr(figures_evaluation, "MAKERS", evaluation)
        patch.setattr(figures_comparison, "MAKERS", (figures_comparison.rates_of_both, figures_comparison.differences))
        yield


class Page(HTMLParser):
    """The shown numbers with their paths, the loose text of traced parts, and every address."""

    VOID = frozenset({"meta", "img", "col", "br", "link", "input", "hr"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.shown: list[tuple[str, str]] = []
        self.loose: list[str] = []
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self._open: list[dict[str, str | None]] = []
        self.feed(text)
        assert self._open == [], "an element is not closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append(tag)
        self.addresses += [v or "" for k, v in attrs if k in ("src", "href", "action", "data", "poster")]
        if "data-json" in found:
            self.shown.append((found["data-json"] or "", ""))
        if tag not in self.VOID:
            self._open.append({"": tag, **found})

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop()[""] == tag

    def handle_data(self, data: str) -> None:
        inside = [e for e in self._open if "data-json" in e]
        if inside:
            path, text = self.shown[-1]
            self.shown[-1] = (path, text + data)
        elif any("data-traced" in e for e in self._open):
            self.loose.append(data)


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    rng = np.random.default_rng(5)
    people = 30
    subjects = np.repeat(np.arange(people), 6)
    ages = np.tile([5.0, 6.0, 30.0, 33.0, 70.0, 72.0], people)
    noise = (1.1 + 0.5 * (ages < 13))[:, None] * rng.normal(size=(len(subjects), 24))
    baseline = rng.normal(size=(people, 24))[subjects] + noise
    other = baseline - 0.45 * (ages < 13)[:, None] * noise
    return compare_embeddings(
        baseline.astype(np.float32),
        other.astype(np.float32),
        subjects,
        ages,
        names=("base <b>", "tuned & kept"),
        groups=GROUPS,
        targets=(0.1, 0.01, 0.0001),
        bootstrap=150,
    )


@pytest.fixture(scope="module")
def document(comparison: Comparison) -> dict[str, Any]:
    return json.loads(json.dumps(comparison.to_json()))


@pytest.fixture(scope="module")
def page(document: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("report")
    people = people_set(folder / "people")
    path = write_report(
        folder / "report.html",
        document,
        source="comparison.json",
        people=people,
        stages=[folder / "people"],
        held_out=True,
    )
    return path.read_text(encoding="utf-8")


def people_set(folder: Path) -> Any:
    claimed = claim_folder(folder, stage="generate", arguments={"backend": "mesh", "ages": [5, 30], "note": "<i>"})
    rows = []
    for subject in ("ada", "bob<script>"):
        for age in (5.0, 30.0):
            name = f"{len(rows)}.png"
            write_png(folder / name, np.full((40, 50, 3), 40 * len(rows), dtype=np.uint8))
            rows.append({"file_name": name, "subject": subject, "age": age, "generator": "mesh"})
    rows.append({"file_name": "gone.png", "subject": "ada", "age": 70.0, "generator": "mesh"})
    table = make_table(folder, rows)
    write_samples(table)
    claimed.finish({"images": len(rows)})
    return table


def agrees(shown: str, value: Any) -> bool:
    """Whether the text is the value: the same text, or the same number within half of its last digit."""
    if value is None:
        return shown == "undefined"
    if isinstance(value, str):
        return shown == value
    number = shown.replace("\u202f", "").replace(",", "").replace(MINUS, "-").replace("+", "")
    scale = 0.01 if number.endswith("%") else 1.0
    number = number.rstrip("%")
    half = 0.5 * 10.0 ** -len(number.partition(".")[2]) if "." in number else 0.0
    plain = abs(float(number) * scale - value) <= half * scale * 1.0001 + 1e-12
    points = abs(float(number) * 0.01 - value) <= half * 0.01 * 1.0001 + 1e-12
    return plain or (points and "." in number)


def test_every_shown_number_is_in_the_document(page: str, document: dict[str, Any]) -> None:
    shown = Page(page).shown
    assert len(shown) > 100
    wrong = [(path, text, resolve(document, path)) for path, text in shown if not agrees(text, resolve(document, path))]
    assert wrong == []


def test_only_differences_of_rates_are_in_points(page: str) -> None:
    marked = re.findall(r'data-json="([^"]*)"[^>]*>([^<]*)<', page)
    for path, text in marked:
        if path.endswith(("garbe", "tau", "d_prime")):
            assert re.fullmatch(r"undefined|\d+\.\d{3}", text), (path, text)
        if path.endswith((".fnmr", ".fmr", ".target", "eer.value")):
            assert text.endswith("%"), (path, text)


def test_findings_have_no_untraced_digits(page: str) -> None:
    loose = [text for text in Page(page).loose if re.search(r"\d", text)]
    allowed = re.compile(r"0 would be equal|GARBE, 0 is equal|rule of 30")
    assert [text for text in loose if not allowed.search(text)] == []


def test_the_shown_values_cover_what_was_asked(page: str, document: dict[str, Any]) -> None:
    paths = {path for path, _ in Page(page).shown}
    index = next(i for i, t in enumerate(document["targets"]) if t["target"] == 0.01)
    for side in ("baseline", "other"):
        base = f"{side}.targets.{index}"
        assert {f"{base}.garbe", f"{base}.measures.garbe.bootstrap.low", f"{base}.tau"} <= paths
        for i in range(len(document[side]["groups"]["evaluated"])):
            group = f"{base}.groups.{i}"
            assert {f"{group}.{k}" for k in ("fmr", "fnmr", "mated", "non_mated", "false_matches")} <= paths
    assert {f"targets.{index}.garbe.{k}" for k in ("difference", "bootstrap.low", "bootstrap.high")} <= paths


def test_nothing_is_loaded_and_nothing_runs(page: str) -> None:
    parsed = Page(page)
    assert "script" not in parsed.tags
    assert "link" not in parsed.tags
    assert parsed.addresses
    assert all(address.startswith("data:image/") for address in parsed.addresses)
    assert "http://" not in re.sub(r"base64,[A-Za-z0-9+/=]*", "", page)
    assert "https://" not in re.sub(r"base64,[A-Za-z0-9+/=]*", "", page)
    assert "url(" not in page
    assert "@import" not in page


def test_names_from_outside_are_escaped(page: str) -> None:
    assert "base &lt;b&gt;" in page
    assert "base <b>" not in page
    assert "bob&lt;script&gt;" in page
    assert "tuned &amp; kept" in page


def test_people_and_provenance_are_shown(page: str) -> None:
    assert page.count("data:image/jpeg") == 4
    assert page.count("data:image/svg+xml") == 4  # two of the pair, one of each side
    assert "ada at 5 years" in page
    assert "Made the faces" in page
    assert "These images are synthetic, made by mesh" in page


def test_what_was_measured_is_named(document: dict[str, Any], tmp_path: Path) -> None:
    changed = json.loads(json.dumps(document))
    changed["baseline"]["provenance"] = {"weights_sha256": "ab" * 32, "inputs": {"table": "cd" * 32}}
    changed["other"]["provenance"] = {"weights_sha256": "ef" * 32, "backbone": {"licence": "MIT"}}
    changed["other"]["provenance"]["backbone"]["guarded"] = ["Guard albums: TAR 97.31 -> 97.25 % (kept)."]
    claim_folder(tmp_path, stage="compare", arguments={"at_fmr": [0.1], "seed": 7321}).finish({})
    text = write_report(tmp_path / "r.html", changed, source="comparison.json").read_text(encoding="utf-8")
    paths = {path for path, _ in Page(text).shown}
    assert {
        "baseline.provenance.weights_sha256", "other.provenance.weights_sha256", "baseline.provenance.inputs.table",
        "other.provenance.backbone.licence", "other.provenance.backbone.guarded.0", "baseline.groups.rule", "baseline.test_record.uncontrolled.0",
        "baseline.overall.score_differentials.mated.range", "other.overall.score_differentials.non_mated.range",
    } <= paths  # fmt: skip
    assert any(path.endswith("cross_groups.worst_cell.fmr") for path in paths)
    assert any(path.endswith("fpir_projected.0.fpir_worst_group") for path in paths)
    assert "Compared both recognisers, paired" in text, "the document's own folder tells how it was made"
    assert "<dd>7321</dd>" in text
    assert text.count("photographs looked at while it was learned") == 1
    assert "Guard albums: TAR 97.31 -&gt; 97.25 % (kept)." in text


def test_command_data_licence_and_date_are_named(
    document: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("frbias.core.reporting.html.draw_document", lambda *a, **k: Gallery(()))
    told = {"command": "frbias compare a <b> --alpha 0.25", "data": "faces", "licence": "CC0-1.0"}
    claim_work(tmp_path, Work("compare", 1, {}, {}, told)).finish({})
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    text = write_report(tmp_path / "r.html", document, source="comparison.json").read_text(encoding="utf-8")
    assert "<code>frbias compare a &lt;b&gt; --alpha 0.25</code>" in text
    for words, value in (("data set", "faces"), ("its licence", "CC0-1.0"), ("date of this page", "1970-01-02")):
        assert f"<dt>{words}</dt><dd>{value}</dd>" in text
    given = write_report(tmp_path / "q.html", document, source="comparison.json", made_on="2001-02-03")
    assert "<dd>2001-02-03</dd>" in given.read_text(encoding="utf-8")


def test_the_licence_of_what_was_generated_is_found_among_the_stages(document: dict[str, Any], tmp_path: Path) -> None:
    claim_folder(tmp_path / "g", stage="generate", arguments={"head": {"licence": "CC0-1.0"}}).finish({})
    assert told_by(read_stages([tmp_path / "g"], tmp_path)) == {"licence": "CC0-1.0"}
    claim_folder(tmp_path / "m", stage="embed", arguments={"backbone": {"licence": "Apache-2.0"}}).finish({})
    assert told_by(read_stages([tmp_path / "g", tmp_path / "m"], tmp_path)) == {"licence": "CC0-1.0"}
    claim_work(tmp_path / "e", Work("evaluate", 1, {}, {}, {"licence": "own"})).finish({})
    assert told_by(read_stages([tmp_path / "g", tmp_path / "e"], tmp_path)) == {"licence": "own"}


def test_fmr_lanes_are_logarithmic_and_zeros_stand_at_the_left(document: dict[str, Any]) -> None:
    sides = [Side("baseline.", "a", 0), Side("other.", "b", 0)]
    places: dict[float, float] = {}
    for group in rate_lanes(document, sides, "fmr", 0):
        for lane in group.lanes:
            assert lane.dot is not None
            places[float(resolve(document, lane.value))] = lane.dot
    seen = sorted((value, place) for value, place in places.items() if value > 0)
    assert len(seen) > 2
    steps = [
        (b[1] - a[1]) / math.log(b[0] / a[0]) for a, b in itertools.pairwise(seen) if b[0] > 1.05 * a[0] and a[1] > 0
    ]
    assert steps
    assert max(steps) == pytest.approx(min(steps), rel=0.05)
    assert all(place == 0 for value, place in places.items() if value == 0)
    assert [place for place, _ in fmr_ticks(document, sides)] == sorted(
        place for place, _ in fmr_ticks(document, sides)
    )


def test_same_input_same_bytes(document: dict[str, Any], tmp_path: Path) -> None:
    one = {k: v for k, v in document["baseline"].items() if k != "curves"}
    pages = [write_report(tmp_path / name / "r.html", one).read_bytes() for name in ("a", "b")]
    assert len(pages[0]) > 10_000
    assert pages[0] == pages[1]


def test_a_page_in_a_new_folder_is_the_page_in_an_old_one(document: dict[str, Any], tmp_path: Path) -> None:
    one = {k: v for k, v in document["baseline"].items() if k != "curves"}
    claim_folder(tmp_path / "evaluated", stage="evaluate", arguments={"alpha": 0.5}).finish({"groups": 2})
    target = tmp_path / "new" / "deep" / "r.html"
    pages = [write_report(target, one, source="../../evaluated/evaluation.json").read_text() for _ in range(2)]
    assert "Compared every pair and measured" in pages[0]
    assert pages[0] == pages[1]


@pytest.mark.parametrize(
    ("outcome", "held_out", "tone", "words"),
    [
        ("fairer", True, "good", "Measured on unseen people."),
        ("fairer", False, "open", "These people were in the training set"),
        ("fairer_at_a_price", True, "open", "made of 9 &lt;words&gt;"),
        ("levelling_down", True, "bad", "made of 9 &lt;words&gt;"),
        ("less_fair", False, "bad", "because of 0-12"),
        ("better_for_all", True, "good", "because of 0-12"),
        ("better_at_a_price", True, "open", "because of 0-12"),
        ("worse_for_all", True, "bad", "because of 0-12"),
        ("no_clear_change", True, "open", "because of 0-12"),
        ("undecided", None, "open", "because of 0-12"),
    ],
)
def test_the_page_shows_the_verdict_of_the_document(
    document: dict[str, Any],
    tmp_path: Path,
    outcome: str,
    held_out: bool | None,
    tone: str,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("frbias.core.reporting.html.draw_document", lambda *a, **k: Gallery(()))
    changed = json.loads(json.dumps(document))
    verdict = next(v for v in changed["verdicts"] if v["target"] == 0.01)
    verdict |= {"outcome": outcome, "sentence": "made of 9 <words>", "reasons": ["because of 0-12"]}
    text = write_report(tmp_path / "r.html", changed, held_out=held_out).read_text(encoding="utf-8")
    assert f'class="verdict {tone}"' in text
    assert words in text
    if held_out is None:
        assert "is not recorded here" in text


def test_verdict_of_the_comparison_itself(comparison: Comparison, page: str) -> None:
    headline = re.search(r'<p class="words"><data [^>]*>(.*?)</data></p>', page)
    assert headline is not None
    assert unescape(headline[1]) == comparison.verdict_at(0.01).sentence
    judged = re.findall(r'data-json="overall\.(eer|d_prime)\.verdict"[^>]*>([^<]*)<', page)
    assert dict(judged) == {name: change.verdict for name, change in comparison.overall.items()}


def test_one_evaluation_without_bootstrap(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    subjects = np.repeat(np.arange(25), 4)
    matrix = rng.normal(size=(25, 16))[subjects] + 1.1 * rng.normal(size=(100, 16))
    done = evaluate_embeddings(
        matrix.astype(np.float32),
        subjects,
        np.tile([5.0, 6.0, 30.0, 33.0], 25),
        groups="0-12,13-59",
        targets=[0.05],
        bootstrap=0,
        curves=False,
        name="plain",
    )
    text = write_report(tmp_path / "report.html", done).read_text(encoding="utf-8")
    facts = json.loads(json.dumps(done.to_json()))
    assert all(agrees(shown, resolve(facts, path)) for path, shown in Page(text).shown)
    assert "by chance" in text


def undefine(record: dict[str, Any]) -> None:
    """GARBE of a target's record becomes undefined."""
    record |= {"garbe": None, "garbe_reason": "gini_fnmr:mean_zero"}
    record["measures"]["garbe"] |= {"value": None, "reason": "gini_fnmr:mean_zero"}


def test_undefined_values_are_said_to_be_undefined(document: dict[str, Any], tmp_path: Path) -> None:
    changed = json.loads(json.dumps(document))
    for side in ("baseline", "other"):
        del changed[side]["curves"]
    for record in changed["other"]["targets"]:
        undefine(record)
    for record in changed["targets"]:
        record["garbe"] |= {"other": None, "difference": None, "bootstrap": None, "verdict": "no interval"}
    for verdict in changed["verdicts"]:
        verdict |= {"outcome": "undecided", "sentence": "Undecided."}
    text = write_report(tmp_path / "r.html", changed).read_text(encoding="utf-8")
    assert ">undefined<" in text
    assert "Undecided" in text
    assert "GARBE of tuned &amp; kept is undefined: no group has a false non-match." in text
    assert "nearest to the usual one" not in text  # it is undefined everywhere: the headline stays


def test_the_headline_moves_to_where_garbe_is_defined(
    document: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("frbias.core.reporting.html.draw_document", lambda *a, **k: Gallery(()))
    changed = json.loads(json.dumps(document))
    index = next(i for i, t in enumerate(changed["targets"]) if t["target"] == 0.01)
    changed["targets"][index]["garbe"] |= {"other": None, "difference": None, "bootstrap": None}
    undefine(changed["other"]["targets"][index])
    moved = write_report(tmp_path / "a.html", changed).read_text(encoding="utf-8")
    assert "nearest to the usual one GARBE is undefined" in moved
    assert f'data-json="targets.{index}.garbe.other"' not in moved
    asked = write_report(tmp_path / "b.html", changed, target=0.01).read_text(encoding="utf-8")
    assert f'data-json="targets.{index}.garbe.other"' in asked


def test_the_headline_is_about_a_target_with_enough_errors(document: dict[str, Any]) -> None:
    changed = json.loads(json.dumps(document))
    assert [record["target"] for record in changed["targets"]] == [0.1, 0.01]
    for record in changed["targets"]:
        record["garbe"]["difference"] = -0.1
    for model in ("baseline", "other"):
        for record in changed[model]["targets"]:
            record["false_matches"] = record["false_non_matches"] = 30
    assert headline_index(changed, None) == 1
    changed["other"]["targets"][1]["false_non_matches"] = 29
    assert headline_index(changed, None) == 0
    assert any("too few errors" in caution for caution in judge(changed).cautions)
    changed["baseline"]["targets"][0]["false_matches"] = 29
    assert headline_index(changed, None) == 1, "nowhere enough errors: the nearest that is defined"
    assert headline_index(changed, 0.1) == 0


def test_something_else_is_refused(document: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="neither an evaluation nor a comparison"):
        write_report(tmp_path / "r.html", {"schema": "other"})
    with pytest.raises(BadInputError, match=r"no provenance\.json"):
        write_report(tmp_path / "r.html", document["baseline"], stages=[tmp_path])
