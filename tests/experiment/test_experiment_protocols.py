"""An experiment that asks for published protocols: both recognisers are judged, and the documents are those of evaluate."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from networks import tiny_network
from safetensors.torch import save_file

from frbias.cli.app import main
from frbias.core.data.images import write_png
from frbias.core.data.samples import make_table, write_samples
from frbias.core.stages.identify import identify
from frbias.core.stages.requests.protocols import IdentifyRequest, PairsRequest
from frbias.core.stages.verify_pairs import verify_pairs

EXPERIMENT = """
name = "with protocols"
[train]
data = "{0}/train"
[test]
data = "{0}/test"
[finetune]
weights = "{0}/small.safetensors"
frozen = "1,2,3"
epochs = 1
batch-size = 8
[evaluate]
groups = "0-19,20-60"
at-fmr = [0.1]
bootstrap = 20
figures = false
[identify]
bootstrap = 20
at-fpir = [0.5]
[pairs]
pairs = ["{0}/pairs.csv"]
folds = 2
at-fmr = [0.5]
bootstrap = 20
figures = false
"""


def patterns(root: Path, prefix: str, seed: int) -> None:
    """Five subjects, seen twice young and twice old, as blurred patterns."""
    rng, rows = np.random.default_rng(seed), []
    for subject in range(5):
        pattern = rng.uniform(30, 225, (6, 6, 3))
        for age in (5.0, 8.0, 30.0, 34.0):
            small = np.clip(pattern + rng.normal(0, 30, pattern.shape), 0, 255).astype(np.float32)
            face = np.clip(cv2.resize(small, (112, 112), interpolation=cv2.INTER_CUBIC), 0, 255).astype(np.uint8)
            name = f"{prefix}{subject}_{age:g}.png"
            write_png(root / name, face)
            rows.append({"file_name": name, "subject": f"{prefix}{subject}", "age": age})
    write_samples(make_table(root, rows))


def test_both_recognisers_are_judged_by_pairs_and_searches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FRBIAS_HOME", str(tmp_path / "home"))
    patterns(tmp_path / "train", "a", 1)
    patterns(tmp_path / "test", "b", 2)
    torch.manual_seed(2)
    save_file(tiny_network().state_dict(), tmp_path / "small.safetensors")
    pairs = [f"b{k}_5.png,b{k}_34.png,1\nb{k}_5.png,b{(k + 1) % 5}_5.png,0" for k in range(5)]
    (tmp_path / "pairs.csv").write_text("\n".join(["file1,file2,same", *pairs]))
    (tmp_path / "x.toml").write_text(EXPERIMENT.format(tmp_path))
    out = tmp_path / "out"
    with pytest.raises(SystemExit) as ended:
        main(["run", str(tmp_path / "x.toml"), "--out", str(out), "--device", "cpu", "--json"])
    said = capsys.readouterr()
    assert not ended.value.code, said.err
    summary = json.loads(said.out)
    for side, name in (("baseline", "small"), ("finetuned", "fine-tuned")):
        files = {"embeddings": out / "embeddings" / side, "name": name, "bootstrap": 20}
        alone = {
            "identify": identify(IdentifyRequest(at_fpir=(0.5,), **files), tmp_path / f"i-{side}"),
            "pairs": verify_pairs(
                PairsRequest(pairs=(str(tmp_path / "pairs.csv"),), folds=2, at_fmr=(0.5,), figures=False, **files),
                tmp_path / f"p-{side}",
            ),
        }
        for protocol, file in (("identify", "identification.json"), ("pairs", "pairs.json")):
            written = json.loads((out / protocol / side / file).read_text())
            assert written == alone[protocol].document
            assert summary[protocol][side == "finetuned"] == written
    assert summary["identify"][0]["gallery"]["images"] == 20
    assert summary["pairs"][0]["pairs"]["judged"] == 10
    assert summary["identify"][0]["provenance"] != summary["identify"][1]["provenance"]
