"""An evaluation lists the crops that are not to be trusted: in its document, on the terminal, on the page."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from frbias.cli.evaluation_view import show_evaluation
from frbias.core.data.embeddings import Embeddings
from frbias.core.reporting.html import write_report
from frbias.core.stages.measuring import compare_embeddings, measure_embeddings
from frbias.core.stages.requests.measuring import MeasureOptions
from frbias.core.verification.results import Evaluation

OPTIONS = MeasureOptions(groups="0-19,20+", at_fmr=(0.1,), bootstrap=20)


def embeddings(seed: int = 0, **columns: object) -> Embeddings:
    rng, who = np.random.default_rng(seed), np.repeat(np.arange(12), 4)
    vectors = (rng.normal(size=(12, 16))[who] + rng.normal(size=(48, 16))).astype(np.float32)
    frame = pd.DataFrame(
        {
            "file_name": [f"{k}.png" for k in range(48)],
            "subject": [f"p{k}" for k in who],
            "age": np.tile([5.0, 9.0, 30.0, 150.0], 12),
            "sex": "",
            **columns,
        }
    )
    return Embeddings(frame, vectors, {})


def doubted() -> Embeddings:
    agreement, score = np.full(48, 0.99), np.full(48, 0.95)
    agreement[[1, 6]], score[6] = (0.5, 0.3), 0.1
    agreement[40:] = np.nan
    score[40:] = np.nan
    return embeddings(point_agreement=agreement, detector_score=score, source_file=[f"{k}.JPG" for k in range(48)])


def test_they_stand_in_the_document_with_their_groups() -> None:
    done = measure_embeddings(doubted(), OPTIONS, name="x")
    found = done.samples.doubtful
    assert found is not None
    assert (found.judged, found.count) == (40, 2)
    assert found.by_group == {"0-19": 1, "20+": 1}
    assert [(one.source_file, one.group, len(one.reasons)) for one in found.worst] == [
        ("6.JPG", "20+", 2),
        ("1.JPG", "0-19", 1),
    ]
    assert set(found.rules) == {"point_agreement", "transform_residual", "detector_score"}
    assert Evaluation.from_json(done.to_json()).samples == done.samples


def test_nothing_is_said_where_nothing_is_known() -> None:
    assert measure_embeddings(embeddings(), OPTIONS, name="x").samples.doubtful is None


def test_terminal_and_page_list_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = measure_embeddings(doubted(), OPTIONS, name="x").to_json()
    show_evaluation(document)
    said = " ".join(capsys.readouterr().out.split())
    assert "crops not to be trusted: 2 of 40, 0-19: 1, 20+: 1" in said
    assert "6.JPG (scales do not agree, detector unsure), 1.JPG (scales do not agree)" in said
    page = write_report(tmp_path / "report.html", document).read_text()
    assert "crops not to be trusted" in page
    assert 'data-json="samples.doubtful.worst.0.source_file"' in page


def test_a_comparison_says_it_of_the_faces_both_saw(capsys: pytest.CaptureFixture[str]) -> None:
    from frbias.cli.comparison_view import show_comparison

    one = doubted()
    two = Embeddings(one.frame, embeddings(seed=3).matrix, {})
    show_comparison(compare_embeddings(one, two, OPTIONS, names=("a", "b")).to_json())
    assert capsys.readouterr().out.count("crops not to be trusted") == 1
