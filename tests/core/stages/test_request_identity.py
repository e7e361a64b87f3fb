"""What a request calls its identity: every field that decides changes it, no other does."""

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest

from frbias.core.foundation.errors import UsageError
from frbias.core.foundation.requests import Request, facts_of, option_fields, option_types
from frbias.core.stages.requests.adapt import AdaptRequest
from frbias.core.stages.requests.export import ExportRequest
from frbias.core.stages.requests.finetune import FinetuneRequest
from frbias.synth.cusp.request import CuspRequest
from frbias.synth.eg3d.request import Eg3dRequest
from frbias.synth.mesh.request import MeshRequest

REQUESTS = (
    FinetuneRequest(remove=("common",)),
    MeshRequest(),
    CuspRequest(variant="ls"),
    Eg3dRequest(),
    ExportRequest(weights="sface"),
    AdaptRequest(data=("people",), guard=("album",)),
)


def others(value: Any, kind: Any) -> Iterator[Any]:
    """Values of a type that differ from ``value``, the likely ones first."""
    if get_origin(kind) is Literal:
        yield from (choice for choice in get_args(kind) if choice != value)
    elif get_origin(kind) is tuple:
        yield from (("stem",), ("growth",), ("20-29",), (33.0,), (1.0, 80.0), (1.5, 0.25, 0.1), ("elsewhere",))
    elif kind is bool:
        yield not value
    elif kind is int:
        yield from ((value or 0) + step for step in (1, 5, 39, -1))
    elif kind is float:
        yield from ((value or 0.0) + step for step in (0.01, 0.5, -0.01, 1.0))
    elif kind is Path:
        yield Path("elsewhere")
    elif kind is str:
        yield from ("elsewhere", "3-6,20-30", "10x0", "mesh:7")
    elif args := get_args(kind):
        for arm in args:
            if arm is not type(None):
                yield from others(value, arm)


def changed(request: Request, name: str, kind: Any) -> Request | None:
    for value in others(getattr(request, name), kind):
        try:
            return replace(request, **{name: value})
        except UsageError:
            continue
    return None


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda r: type(r).__name__)
def test_what_decides_changes_the_identity_and_nothing_else_does(request_: Request) -> None:
    types = option_types(type(request_))
    looked_at = 0
    for field in option_fields(type(request_)):
        other = changed(request_, field.name, types[field.name])  # type: ignore[arg-type]
        if other is None:
            continue
        looked_at += 1
        assert (other.identity() != request_.identity()) == facts_of(field).decides, field.name
    assert looked_at >= math.ceil(0.9 * len(option_fields(type(request_))))
