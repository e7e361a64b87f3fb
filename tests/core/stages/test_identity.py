"""Identity of work: for every stage and every field of its request, a change makes other work, no change reuses."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from stage_cases import MACHINE, Case, snapshot

from frbias.core.data.embeddings import Embeddings, write_embeddings
from frbias.core.data.samples import make_table, write_samples
from frbias.core.foundation.errors import UsageError
from frbias.core.foundation.requests import Request, facts_of, option_fields
from frbias.core.stages.requests.adapt import AdaptRequest
from frbias.core.stages.requests.align import AlignRequest
from frbias.core.stages.requests.audit import AuditRequest
from frbias.core.stages.requests.compare import CompareRequest
from frbias.core.stages.requests.embed import EmbedRequest
from frbias.core.stages.requests.evaluate import EvaluateRequest
from frbias.core.stages.requests.export import ExportRequest
from frbias.core.stages.requests.finetune import FinetuneRequest
from frbias.core.stages.requests.protocols import IdentifyRequest, PairsRequest
from frbias.core.stages.requests.publish import PublishRequest
from frbias.synth.mesh.request import MeshRequest


def photographs(folder: Path, brightness: int = 0) -> Path:
    """Two photographs with annotated points."""
    from skimage.data import astronaut

    photo = np.asarray(astronaut())[0:260, 90:370].astype(int) + brightness
    points = {f"{axis}{k}": 60.0 + 20 * k + (axis == "y") * 15 * (k % 2) for k in range(1, 6) for axis in "xy"}
    folder.mkdir(parents=True)
    rows = []
    for name in ("a", "b"):
        Image.fromarray(photo.clip(0, 255).astype(np.uint8)).save(folder / f"{name}.png")
        rows.append({"file_name": f"{name}.png", "subject": name, "age": 30.0, **points})
    write_samples(make_table(folder, rows))
    return folder


def faces(folder: Path, seed: int = 0) -> Path:
    """Twelve 112 x 112 pictures of four subjects, young and old."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    rows = []
    for k in range(12):
        Image.fromarray(rng.integers(0, 256, (112, 112, 3), dtype=np.uint8)).save(folder / f"{k}.png")
        sex = "f" if k % 2 else "m"
        rows.append({"file_name": f"{k}.png", "subject": f"s{k % 4}", "age": 10.0 + 30 * (k // 6), "sex": sex})
    write_samples(make_table(folder, rows))
    return folder


def embeddings(path: Path, seed: int) -> Path:
    rng = np.random.default_rng(seed)
    who = np.arange(60) % 10
    frame = pd.DataFrame(
        {
            "file_name": [f"{k}.png" for k in range(60)],
            "subject": [f"s{w}" for w in who],
            "age": 10.0 + 30 * (np.arange(60) // 30),
            "sex": np.where(who % 2, "f", "m"),
        }
    )
    matrix = rng.normal(size=(10, 8))[who] + rng.normal(size=(60, 8))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_embeddings(path, Embeddings(frame, matrix.astype(np.float32), {"name": "m"}))
    return path


def weights(path: Path, nudge: float = 0.0) -> Path:
    """A network as a weight file, one weight nudged."""
    import torch
    from networks import tiny_network
    from safetensors.torch import save_file

    torch.manual_seed(0)
    state = tiny_network().state_dict()
    first = next(k for k, v in state.items() if v.is_floating_point() and v.ndim == 4)
    state[first].view(-1)[0] += nudge
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(state, path)
    return path


def open_graph(path: Path) -> Path:
    """An ONNX recogniser that takes any layout and size: the mean of every channel."""
    import onnx

    nodes = [
        onnx.helper.make_node("GlobalAveragePool", ["x"], ["p"]),
        onnx.helper.make_node("Flatten", ["p"], ["y"]),
    ]
    x = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n", "c", "h", "w"])
    y = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["n", "d"])
    graph = onnx.helper.make_graph(nodes, "means", [x], [y])
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8), str(path))
    return path


def inputs(model: Path) -> dict[str, dict[str, Any]]:
    """What can be said about the input: the first two of ``model``, an ONNX that leaves them open."""
    return {
        "input_size": {"weights": str(model), "input_size": (56,)},
        "layout": {"weights": str(model), "layout": "NHWC"},
        "colour": {"colour": "BGR"},
        "mean": {"mean": (100.0,)},
        "scale": {"scale": (100.0, 100.0, 101.0)},
    }


def copied(source: Path, target: Path) -> str:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copy(source, target)
    return str(target)


def finished(case: Case) -> Case:
    assert not case.run(case.request, case.out)
    return case


def align_case(root: Path) -> Case:
    from frbias.core.stages.align import align, plan_align

    data = photographs(root / "set")
    return finished(
        Case(
            AlignRequest(data=str(data)),
            root / "out",
            lambda request, out: bool(align(request, out, machine=MACHINE).reused),
            plan=plan_align,
            other={
                "data": {"data": str(photographs(root / "brighter" / "set", 9))},
                "template": {"template": "ffhq"},
                "size": {"size": 224},
                "detector": {"detector": "points"},
                "faces": {"faces": "central"},
                "max_residual": {"max_residual": 0.5},
            },
            same={
                "data": {"data": copied(data, root / "elsewhere" / "set")},
                "size": {"size": 112},
                "against_points": {"against_points": True},
            },
        )
    )


def embed_case(root: Path) -> Case:
    from frbias.core.stages.embed import embed, plan_embed

    data, model = faces(root / "set"), weights(root / "one" / "model.safetensors")
    return finished(
        Case(
            EmbedRequest(data=str(data), weights=str(model)),
            root / "out",
            lambda request, out: embed(request, out, machine=MACHINE).reused,
            plan=plan_embed,
            other={
                "data": {"data": str(faces(root / "others" / "set", 1))},
                "weights": {"weights": str(weights(root / "two" / "model.safetensors", 1e-3))},
                "flip": {"flip": "add"},
                "arithmetic": {"arithmetic": "bf16"},
                **inputs(open_graph(root / "open.onnx")),
            },
            same={
                "data": {"data": copied(data, root / "elsewhere" / "set")},
                "weights": {"weights": copied(model, root / "copy" / "model.safetensors")},
            },
        )
    )


def audit_case(root: Path) -> Case:
    from frbias.core.stages.audit import audit, plan_audit

    data, model = faces(root / "set"), weights(root / "one" / "model.safetensors")
    return finished(
        Case(
            AuditRequest(data=str(data), weights=str(model), apparent_ages=False),
            root / "out",
            lambda request, out: audit(request, out, machine=MACHINE).reused,
            plan=plan_audit,
            other={
                "data": {"data": str(faces(root / "others" / "set", 1))},
                "against": {"against": str(faces(root / "photographs" / "set", 2))},
                "weights": {"weights": str(weights(root / "two" / "model.safetensors", 1e-3))},
                "young_below": {"young_below": 12.0},
                "old_from": {"old_from": 20.0},
                "apparent_ages": {"apparent_ages": True},
                "show_people": {"show_people": True},
                "replicates": {"replicates": 500},
                "confidence": {"confidence": 0.9},
                "seed": {"seed": 1},
            },
            same={
                "data": {"data": copied(data, root / "elsewhere" / "set")},
                "weights": {"weights": copied(model, root / "copy" / "model.safetensors")},
                "drop": {"drop": None},
            },
        )
    )


def embed_onnx_case(root: Path) -> Case:
    from frbias.core.stages.embed import embed, plan_embed

    data, model = faces(root / "set"), open_graph(root / "open.onnx")
    return finished(
        Case(
            EmbedRequest(data=str(data), weights=str(model)),
            root / "out",
            lambda request, out: embed(request, out, machine=MACHINE).reused,
            plan=plan_embed,
            other=inputs(model),
            same={"weights": {"weights": copied(model, root / "copy" / "open.onnx")}},
        )
    )


MEASURES: dict[str, dict[str, Any]] = {
    "groups": {"groups": "0-29,30+"},
    "protocol": {"protocol": "decades"},
    "at_fmr": {"at_fmr": (0.1,)},
    "alpha": {"alpha": 0.4},
    "bootstrap": {"bootstrap": 10},
    "confidence": {"confidence": 0.9},
    "non_mated": {"non_mated": "all"},
    "matched_age": {"matched_age": 5.0},
    "drop_duplicates": {"drop_duplicates": 0.9},
    "seed": {"seed": 1},
    "figures": {"figures": True},
}
SMALL: dict[str, Any] = {"at_fmr": (0.1, 0.2), "bootstrap": 0, "figures": False, "groups": "0-19,20+"}


def evaluate_case(root: Path) -> Case:
    """Of images and a recogniser; embeddings and scores have cases of their own."""
    from frbias.core.stages.evaluate import evaluate, plan_evaluate

    data, model = faces(root / "set"), weights(root / "one" / "model.safetensors")
    scores = root / "scores.csv"
    scores.write_text("score,mated\n" + "".join(f"{k / 10},{k % 2}\n" for k in range(80)))
    return finished(
        Case(
            EvaluateRequest(data=str(data), weights=str(model), **SMALL),
            root / "out",
            lambda request, out: evaluate(request, out, machine=MACHINE).reused,
            plan=plan_evaluate,
            other={
                **MEASURES,
                "protocol": {"protocol": "decades", "groups": None},
                "data": {"data": str(faces(root / "others" / "set", 1))},
                "weights": {"weights": str(weights(root / "two" / "model.safetensors", 1e-3))},
                "embeddings": {"data": None, "embeddings": embeddings(root / "e.parquet", 0)},
                "scores": {"data": None, "scores": scores, "groups": None},
                "baseline": {"baseline": "sface"},
                "name": {"name": "mine"},
                "save_scores": {"save_scores": True},
                **inputs(open_graph(root / "open.onnx")),
            },
            same={
                "data": {"data": copied(data, root / "elsewhere" / "set")},
                "weights": {"weights": copied(model, root / "copy" / "model.safetensors")},
                "fail_if": {"fail_if": ("garbe > 2",)},
            },
        )
    )


def evaluate_embeddings_case(root: Path) -> Case:
    from frbias.core.stages.evaluate import evaluate, plan_evaluate

    one, two = embeddings(root / "e.parquet", 0), embeddings(root / "o.parquet", 1)
    return finished(
        Case(
            EvaluateRequest(embeddings=one, baseline=str(two), **SMALL),
            root / "out",
            lambda request, out: evaluate(request, out, machine=MACHINE).reused,
            plan=plan_evaluate,
            other={
                "embeddings": {"embeddings": embeddings(root / "others" / "e.parquet", 2)},
                "baseline": {"baseline": str(embeddings(root / "others" / "o.parquet", 3))},
            },
            same={
                "embeddings": {"embeddings": Path(copied(one, root / "copy" / "e.parquet"))},
                "baseline": {"baseline": copied(two, root / "copy" / "o.parquet")},
            },
        )
    )


def evaluate_scores_case(root: Path) -> Case:
    from frbias.core.stages.evaluate import evaluate, plan_evaluate

    scores, others = root / "s.csv", root / "others" / "s.csv"
    others.parent.mkdir(parents=True)
    scores.write_text("score,mated\n" + "".join(f"{k / 10},{k % 2}\n" for k in range(80)))
    others.write_text("score,mated\n" + "".join(f"{k / 10},{(k + 1) % 2}\n" for k in range(80)))
    return finished(
        Case(
            EvaluateRequest(scores=scores, **{**SMALL, "groups": None}),
            root / "out",
            lambda request, out: evaluate(request, out, machine=MACHINE).reused,
            plan=plan_evaluate,
            other={"scores": {"scores": others}},
            same={"scores": {"scores": Path(copied(scores, root / "copy" / "s.csv"))}},
        )
    )


def compare_case(root: Path) -> Case:
    """Of recognisers on images; embeddings have a case of their own."""
    from frbias.core.stages.compare import compare, plan_compare

    data, one = faces(root / "set"), weights(root / "one" / "model.safetensors")
    two = weights(root / "two" / "other.safetensors", 1e-3)
    return finished(
        Case(
            CompareRequest(data=str(data), models=(str(one), str(two)), **SMALL),
            root / "out",
            lambda request, out: compare(request, out, machine=MACHINE).reused,
            plan=plan_compare,
            other={
                **MEASURES,
                "protocol": {"protocol": "decades", "groups": None},
                "data": {"data": str(faces(root / "others" / "set", 1))},
                "models": {"models": (str(one), str(weights(root / "three" / "other.safetensors", 2e-3)))},
                "names": {"names": ("before", "after")},
                "remedy": {"remedy": ("z-norm",)},
                "cohort": {"remedy": ("z-norm",), "cohort": str(faces(root / "cohort", 2))},
                "remedy_folds": {"remedy_folds": 4},
                "cohort_top": {"cohort_top": 50},
                "save_draws": {"save_draws": True},
            },
            same={
                "data": {"data": copied(data, root / "elsewhere" / "set")},
                "models": {"models": (copied(one, root / "copy" / "model.safetensors"), str(two))},
                "fail_if": {"fail_if": ("garbe > 2",)},
            },
        )
    )


def compare_embeddings_case(root: Path) -> Case:
    from frbias.core.stages.compare import compare, plan_compare

    one, two = embeddings(root / "e.parquet", 0), embeddings(root / "o.parquet", 1)
    other = embeddings(root / "others" / "o.parquet", 2)
    return finished(
        Case(
            CompareRequest(models=(str(one), str(two)), **SMALL),
            root / "out",
            lambda request, out: compare(request, out, machine=MACHINE).reused,
            plan=plan_compare,
            other={"models": {"models": (str(one), str(other))}},
            same={"models": {"models": (str(one), copied(two, root / "copy" / "o.parquet"))}},
        )
    )


def pairs_case(root: Path) -> Case:
    """Of a list, images and a recogniser."""
    from frbias.core.stages.verify_pairs import plan_pairs, verify_pairs

    data, model = faces(root / "set"), weights(root / "one" / "model.safetensors")
    lists = [root / name for name in ("pairs.csv", "others/pairs.csv")]
    for shift, path in enumerate(lists, start=1):
        path.parent.mkdir(exist_ok=True)
        rows = [f"{a}.png,{(a + 4) % 12}.png,1\n{a}.png,{(a + shift) % 12}.png,0\n" for a in range(12)]
        path.write_text("file1,file2,same\n" + "".join(rows))
    small = {"at_fmr": (0.1, 0.2), "bootstrap": 0, "figures": False, "folds": 4}
    measures = {k: MEASURES[k] for k in ("at_fmr", "alpha", "bootstrap", "confidence", "seed", "figures")}
    return finished(
        Case(
            PairsRequest(pairs=(str(lists[0]),), data=str(data), weights=str(model), **small),
            root / "out",
            lambda request, out: verify_pairs(request, out, machine=MACHINE).reused,
            plan=plan_pairs,
            other={
                **measures,
                "pairs": {"pairs": (str(lists[1]),)},
                "data": {"data": str(faces(root / "other" / "set", 1))},
                "weights": {"weights": str(weights(root / "two" / "model.safetensors", 1e-3))},
                "embeddings": {"data": None, "embeddings": embeddings(root / "e.parquet", 0)},
                "flip": {"flip": "add"},
                "groups": {"groups": "sex"},
                "folds": {"folds": 3},
                "thresholds": {"thresholds": "exact"},
                "name": {"name": "mine"},
                **inputs(open_graph(root / "open.onnx")),
            },
            same={
                "fail_if": {"fail_if": ("eer > 2",)},
                "pairs": {"pairs": (copied(lists[0], root / "copy" / "pairs.csv"),)},
                "data": {"data": copied(data, root / "elsewhere" / "set")},
                "weights": {"weights": copied(model, root / "copy" / "model.safetensors")},
            },
        )
    )


def identify_case(root: Path) -> Case:
    from frbias.core.stages.identify import identify, plan_identify

    data, model = faces(root / "set"), weights(root / "one" / "model.safetensors")
    return finished(
        Case(
            IdentifyRequest(data=str(data), weights=str(model), bootstrap=0),
            root / "out",
            lambda request, out: identify(request, out, machine=MACHINE).reused,
            plan=plan_identify,
            other={
                **{k: MEASURES[k] for k in ("bootstrap", "confidence", "seed")},
                "data": {"data": str(faces(root / "other" / "set", 1))},
                "weights": {"weights": str(weights(root / "two" / "model.safetensors", 1e-3))},
                "embeddings": {"data": None, "embeddings": embeddings(root / "e.parquet", 0)},
                "groups": {"groups": "sex"},
                "gallery": {"gallery": "youngest"},
                "at_fpir": {"at_fpir": (0.2,)},
                "ranks": {"ranks": 5},
                "figures": {"figures": False},
                "name": {"name": "mine"},
                **inputs(open_graph(root / "open.onnx")),
            },
            same={
                "fail_if": {"fail_if": ("rank_1 < 0",)},
                "identify": {"identify": True},
                "data": {"data": copied(data, root / "elsewhere" / "set")},
                "weights": {"weights": copied(model, root / "copy" / "model.safetensors")},
            },
        )
    )


def grown_up_faces(folder: Path, seed: int = 0) -> Path:
    """Twelve pictures of six people, each as a child and as an adult."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    rows = []
    for k in range(12):
        Image.fromarray(rng.integers(0, 256, (112, 112, 3), dtype=np.uint8)).save(folder / f"{k}.png")
        rows.append({"file_name": f"{k}.png", "subject": f"s{k % 6}", "age": 5.0 + 30 * (k // 6)})
    write_samples(make_table(folder, rows))
    return folder


def adapt_case(root: Path) -> Case:
    from frbias.core.stages.adapt import adapt, plan_adapt

    data, model = grown_up_faces(root / "set"), weights(root / "one" / "model.safetensors")
    photos, pairs = faces(root / "photos"), root / "pairs.csv"
    pairs.write_text("file1,file2,same\n" + "".join(f"{k}.png,{k + 4}.png,{k % 2}\n" for k in range(4)))
    return finished(
        Case(
            AdaptRequest(data=(str(data),), weights=str(model)),
            root / "out",
            lambda request, out: adapt(request, out, machine=MACHINE).reused,
            plan=plan_adapt,
            other={
                "data": {"data": (str(grown_up_faces(root / "others" / "set", 1)),)},
                "weights": {"weights": str(weights(root / "two" / "model.safetensors", 1e-3))},
                "photos": {"photos": str(photos)},
                "remove": {"remove": ("common",)},
                "within": {"within": 1},
                "damage": {"damage": "none"},
                "child": {"child": 12.0},
                "adult": {"adult": 20.0},
                "normalise": {"normalise": "wccn"},
                "shrinkage": {"shrinkage": 0.1},
                "dimensions": {"normalise": "lda", "dimensions": 3},
                "seed": {"seed": 1},
                "guard": {"guard": (str(photos),)},
                "guard_pairs": {"guard": (str(photos),), "guard_pairs": (str(pairs),)},
                "guard_fall": {"guard_fall": 0.5},
                "guard_drift": {"guard_drift": 0.5},
                "guard_fmr": {"guard_fmr": 0.1},
            },
            same={
                "data": {"data": (copied(data, root / "elsewhere" / "set"),)},
                "weights": {"weights": copied(model, root / "copy" / "model.safetensors")},
            },
        )
    )


def finetune_case(root: Path) -> Case:
    """The map alone, which takes no training; that every option decides is seen in test_request_identity.py."""
    from frbias.core.stages.finetune import finetune, plan_finetune

    data, model = grown_up_faces(root / "set"), weights(root / "one" / "model.safetensors")
    request = FinetuneRequest(
        data=str(data),
        weights=str(model),
        epochs=0,
        batch_size=4,
        remove=("common",),
        damage="none",
        validation=0.34,
    )
    return finished(
        Case(
            request,
            root / "out",
            lambda request, out: finetune(request, out, machine=MACHINE).reused,
            plan=plan_finetune,
            other={
                "data": {"data": str(grown_up_faces(root / "others" / "set", 1))},
                "weights": {"weights": str(weights(root / "two" / "model.safetensors", 1e-3))},
                "eval_data": {"eval_data": str(faces(root / "photos", 2)), "eval_names_unrelated": True},
                "seed": {"seed": 1},
            },
            same={"data": {"data": copied(data, root / "elsewhere" / "set")}, "cache": {"cache": "off"}},
        )
    )


def scored(folder: Path, weights_sha256: str) -> Path:
    """An evaluation of embeddings that a recogniser with this hash is said to have made."""
    from frbias.core.foundation.files import write_json
    from frbias.core.verification.evaluation import evaluate_embeddings

    rng, who = np.random.default_rng(0), np.repeat(np.arange(30), 4)
    vectors = (rng.normal(size=(30, 8))[who] + rng.normal(size=(120, 8))).astype(np.float32)
    ages = np.tile([5.0, 10.0, 30.0, 50.0], 30)
    done = evaluate_embeddings(vectors, who, ages, groups="0-19,20+", targets=(0.1,), bootstrap=0, curves=False)
    write_json(folder / "evaluation.json", done.described({"weights_sha256": weights_sha256}).to_json())
    return folder


def export_case(root: Path) -> Case:
    from frbias.core.stages.export import export, plan_export

    model = weights(root / "one" / "model.safetensors")
    detectors = [root / "one.onnx", root / "two.onnx"]
    for number, detector in enumerate(detectors):
        detector.write_bytes(b"detector %d" % number)

    from frbias.core.recognisers.loading import load_recogniser

    measured = scored(root / "measured", load_recogniser(str(model)).sha256)

    def run(request: Any, out: Path) -> bool:
        before = (out / "provenance.json").stat().st_mtime_ns if out.exists() else None
        export(request, out, machine=MACHINE)
        return before == (out / "provenance.json").stat().st_mtime_ns

    return finished(
        Case(
            ExportRequest(weights=str(model), detector=str(detectors[0])),
            root / "out",
            run,
            plan=plan_export,
            other={
                "card": {"card": False},
                "evaluation": {"evaluation": measured},
                "weights": {"weights": str(weights(root / "two" / "model.safetensors", 1e-3))},
                "onnx": {"onnx": False, "detector": None},
                "pack": {"pack": False, "detector": None},
                "detector": {"detector": str(detectors[1])},
            },
            same={
                "weights": {"weights": copied(model, root / "copy" / "model.safetensors")},
                "detector": {"detector": copied(detectors[0], root / "copied.onnx")},
            },
        )
    )


def generate_case(root: Path) -> Case:
    from frbias.synth.generate import generate, plan_generate

    (root / "home" / "models" / "makehuman-skins").mkdir(parents=True)  # where the skins would be looked for
    return finished(
        Case(
            MeshRequest(subjects=1, ages=(30.0,), variants=1, size=64),
            root / "out",
            lambda request, out: generate(request, out, machine=MACHINE).reused > 0,
            plan=plan_generate,
            other={
                "seed": {"seed": 1},
                "ages": {"ages": (31.0,)},
                "subjects": {"subjects": 2},
                "first_subject": {"first_subject": 1},
                "variants": {"variants": 2},
                "size": {"size": 65},
                "yaw": {"yaw": 20.0},
                "pitch": {"pitch": 5.0},
                "roll": {"roll": 5.0},
                "truth": {"truth": ("landmarks",)},
                "kin": {"kin": "twins"},
                "accessories": {"accessories": 0.5},
                "skins": {"skins": "makehuman"},
                "layout": {"layout": "fgnet", "ages": (), "variants": None},
            },
        )
    )


def publish_case(root: Path) -> Case:
    from frbias.core.stages.publish import plan_publish, publish

    data = made_up(root / "set")
    return finished(
        Case(
            PublishRequest(data=str(data)),
            root / "out",
            lambda request, out: publish(request, out, machine=MACHINE).reused,
            plan=plan_publish,
            other={"data": {"data": str(made_up(root / "others" / "set", 1))}},
            same={"data": {"data": copied(data, root / "elsewhere" / "set")}},
        )
    )


def made_up(folder: Path, seed: int = 0) -> Path:
    """Faces whose table says that a generator made them."""
    faces(folder, seed)
    frame = pd.read_csv(folder / "metadata.csv", dtype={"subject": str})
    frame.assign(generator="mesh").to_csv(folder / "metadata.csv", index=False)
    return folder


CASES: dict[str, tuple[type[Request], Callable[[Path], Case]]] = {
    "align": (AlignRequest, align_case),
    "embed": (EmbedRequest, embed_case),
    "audit": (AuditRequest, audit_case),
    "evaluate": (EvaluateRequest, evaluate_case),
    "evaluate --pairs": (PairsRequest, pairs_case),
    "evaluate --identify": (IdentifyRequest, identify_case),
    "compare": (CompareRequest, compare_case),
    "adapt": (AdaptRequest, adapt_case),
    "export": (ExportRequest, export_case),
    "generate": (MeshRequest, generate_case),
    "data export": (PublishRequest, publish_case),
}
FURTHER: dict[str, Callable[[Path], Case]] = {
    "embed onnx": embed_onnx_case,
    "finetune": finetune_case,
    "evaluate embeddings": evaluate_embeddings_case,
    "evaluate scores": evaluate_scores_case,
    "compare embeddings": compare_embeddings_case,
}
"""Cases of the same stages with other sources; their fields are those of ``other`` and ``same``."""


@pytest.fixture(scope="module", params=[*CASES, *FURTHER])
def named(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Case]:
    name = str(request.param)
    root = tmp_path_factory.mktemp(name.replace(" ", "-"))
    build = CASES[name][1] if name in CASES else FURTHER[name]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FRBIAS_HOME", str(root / "home"))
        return name, build(root)


@pytest.fixture(autouse=True)
def _home(named: tuple[str, Case], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRBIAS_HOME", str(named[1].out.parent / "home"))


@pytest.mark.xdist_group("identity")
def test_every_field_has_a_case(named: tuple[str, Case]) -> None:
    name, case = named
    if name in CASES:
        fields = option_fields(CASES[name][0])
        assert {f.name for f in fields} == {*case.other, *case.same}
        assert {f.name for f in fields if facts_of(f).decides} <= {*case.other}


@pytest.mark.xdist_group("identity")
def test_nothing_changed_is_reused(named: tuple[str, Case]) -> None:
    _, case = named
    before = snapshot(case.out)
    assert case.run(case.request, case.out)
    assert snapshot(case.out) == before


@pytest.mark.xdist_group("identity")
def test_what_changes_the_result_is_refused(named: tuple[str, Case]) -> None:
    _, case = named
    before = snapshot(case.out)
    for field, changes in case.other.items():
        try:
            with pytest.raises(UsageError, match="holds other work"):
                case.run(case.changed(changes), case.out)
        except pytest.fail.Exception as failure:
            raise AssertionError(f"{field}: changed, and the old result was taken for it") from failure
    assert snapshot(case.out) == before


@pytest.mark.xdist_group("identity")
def test_what_does_not_change_the_result_is_reused(named: tuple[str, Case]) -> None:
    _, case = named
    before = snapshot(case.out)
    for field, changes in case.same.items():
        assert case.run(case.changed(changes), case.out), field
    assert snapshot(case.out) == before


@pytest.mark.xdist_group("identity")
def test_a_plan_says_what_the_stage_would_do(named: tuple[str, Case]) -> None:
    _, case = named
    if case.plan is None:
        pytest.skip("the stage has no plan")
    before = snapshot(case.out)
    assert case.plan(case.request, case.out).steps[-1].state == "finished"
    changes = next(iter(case.other.values()))
    assert case.plan(case.changed(changes), case.out).steps[-1].state == "other"
    assert case.plan(case.request, case.out.parent / "nothing").steps[-1].state == "new"
    assert snapshot(case.out) == before
