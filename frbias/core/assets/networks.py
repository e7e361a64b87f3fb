"""Generator networks from strangers' pickles, as data: read once, kept as ``.safetensors`` + ``.json``.

:func:`read_network` takes either the pickle or the converted pair and gives the same
:class:`NetworkRecord`, so that generators need to know one form only.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from frbias.core.assets.pickles import (
    MAX_DEPTH,
    MAX_STATE_ENTRIES,
    InertObject,
    LazyTensor,
    PersistentObject,
    entries,
    load_persistence_pickle,
    state_dict,
)
from frbias.core.assets.tensor_files import load_tensors
from frbias.core.foundation.errors import BadInputError
from frbias.core.foundation.files import atomic_path, read_json, sha256_file, write_json

if TYPE_CHECKING:
    import torch

SCHEMA = 1
_TABLES = frozenset({"_parameters", "_buffers", "_modules", "_init_args", "_init_kwargs"})


@dataclass(frozen=True, eq=False)
class NetworkRecord:
    """A network as data.

    Attributes:
        class_name: Class of the outermost object, e.g. ``TriPlaneGenerator``.
        init_kwargs: Keyword arguments it was made with, as JSON values.
        attributes: Plain attributes of it and of everything inside it, by dotted name
            (``neural_rendering_resolution``, ``superresolution.sr_antialias``), as JSON values.
        training_set_kwargs: As stored beside the network; empty when absent.
        tensors: Its state dict (CPU tensors, in the order of ``Module.state_dict()``).
        extra_tensors: Tensors outside of the state dict, by dotted name: plain attributes such as
            ``renderer.plane_axes``, and networks that hang on plain attributes.
        sources: Class name -> source text embedded in the pickle. Inert; never run it.
        source_sha256: SHA-256 of the pickle.
    """

    class_name: str
    init_kwargs: dict[str, Any]
    attributes: dict[str, Any] = field(repr=False)
    training_set_kwargs: dict[str, Any] = field(repr=False)
    tensors: "dict[str, torch.Tensor]" = field(repr=False)
    extra_tensors: "dict[str, torch.Tensor]" = field(repr=False)
    sources: dict[str, str] = field(repr=False)
    source_sha256: str


def read_network(path: Path, key: str = "G_ema") -> NetworkRecord:
    """Read a network from a persistence pickle or from the ``.safetensors`` that frbias made of one.

    Raises:
        UnsafePickleError: The pickle asks for more than data.
        BadInputError: There is no such file, or no network called ``key`` in it.
    """
    path = Path(path)
    if path.suffix == ".safetensors":
        return _read_converted(path)
    content = load_persistence_pickle(path)
    return network_record(content, sha256_file(path), key)


def network_record(content: dict[str, Any], source_sha256: str, key: str = "G_ema") -> NetworkRecord:
    """Collect the network ``key`` of a loaded persistence pickle.

    Raises:
        BadInputError: ``content`` has no such network.
    """
    top = content.get(key)
    if not isinstance(top, PersistentObject):
        raise BadInputError(f"The pickle holds no network called {key!r}; it holds {', '.join(map(str, content))}.")
    attributes: dict[str, Any] = {}
    extra: dict[str, torch.Tensor] = {}
    sources: dict[str, str] = {}
    tensors = state_dict(top)
    for prefix, record in _objects(top):
        if isinstance(record, PersistentObject):
            sources.setdefault(record.class_name, record.module_source)
        for name, value in record.state.items():
            if name not in _TABLES and isinstance(value, LazyTensor):
                extra[prefix + name] = value.tensor()
            elif name not in _TABLES and not str(name).startswith("_"):
                plain = to_json(value)
                if plain is not _NOT_JSON:
                    attributes[f"{prefix}{name}"] = plain
        for table in ("_parameters", "_buffers"):
            for name, value in entries(record, table).items():
                if isinstance(value, LazyTensor) and prefix + name not in tensors:
                    extra[prefix + name] = value.tensor()
    return NetworkRecord(
        top.class_name,
        _json_dict(top.init_kwargs),
        attributes,
        _json_dict(content.get("training_set_kwargs") or {}),
        tensors,
        extra,
        sources,
        source_sha256,
    )


def write_network(record: NetworkRecord, path: Path) -> None:
    """Write ``path`` (``.safetensors``) and the ``.json`` beside it, atomically; the ``.json`` last."""
    from safetensors.torch import save_file

    with atomic_path(path) as temporary:
        save_file({**record.tensors, **record.extra_tensors}, temporary)
    write_json(
        path.with_suffix(".json"),
        {
            "schema": SCHEMA,
            "class_name": record.class_name,
            "init_kwargs": record.init_kwargs,
            "attributes": record.attributes,
            "training_set_kwargs": record.training_set_kwargs,
            "tensors": list(record.tensors),
            "extra_tensors": list(record.extra_tensors),
            "sources": record.sources,
            "source_sha256": record.source_sha256,
        },
    )


def _read_converted(path: Path) -> NetworkRecord:
    from safetensors import SafetensorError

    try:
        described = read_json(path.with_suffix(".json"))
        loaded = load_tensors(path)
        if described["schema"] != SCHEMA:
            raise BadInputError(
                f"{path.with_suffix('.json')} has schema {described['schema']}; this frbias knows {SCHEMA}."
            )
        return NetworkRecord(
            described["class_name"],
            described["init_kwargs"],
            described["attributes"],
            described["training_set_kwargs"],
            {name: loaded[name] for name in described["tensors"]},
            {name: loaded[name] for name in described["extra_tensors"]},
            described["sources"],
            described["source_sha256"],
        )
    except (OSError, KeyError, TypeError, ValueError, RecursionError, AttributeError, SafetensorError) as error:
        raise BadInputError(f"{path} and its .json are no converted network ({error}); add the model again.") from error


def _objects(top: PersistentObject) -> Iterator[tuple[str, PersistentObject | InertObject]]:
    seen: set[int] = set()
    waiting: list[tuple[str, PersistentObject | InertObject, int]] = [("", top, 0)]
    while waiting:
        prefix, record, depth = waiting.pop()
        if id(record.state) in seen:
            continue
        seen.add(id(record.state))
        if depth > MAX_DEPTH or len(seen) > MAX_STATE_ENTRIES:
            raise BadInputError("The networks in the pickle are nested without end.")
        yield prefix, record
        inside = [*entries(record, "_modules").items(), *record.state.items()]
        for name, value in reversed(inside):
            if isinstance(value, PersistentObject | InertObject):
                waiting.append((f"{prefix}{name}.", value, depth + 1))


_NOT_JSON = object()
_MAX_VALUES = 20_000


def to_json(value: Any) -> Any:
    """``value`` as JSON (numpy numbers become plain ones), or the marker ``_NOT_JSON`` when it is something else."""
    return _plain(value, 8, [_MAX_VALUES])


def _plain(value: Any, depth: int, left: list[int]) -> Any:
    left[0] -= 1
    if left[0] < 0 or (isinstance(value, np.ndarray) and value.size > left[0]):
        return _NOT_JSON
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else _NOT_JSON
    if depth and isinstance(value, list | tuple):
        items = [_plain(item, depth - 1, left) for item in value[: left[0] + 1]]
        return _NOT_JSON if any(item is _NOT_JSON for item in items) else items
    if depth and isinstance(value, dict) and len(value) <= max(left[0], 0):
        pairs = {str(name): _plain(item, depth - 1, left) for name, item in value.items()}
        return _NOT_JSON if any(item is _NOT_JSON for item in pairs.values()) else pairs
    return _NOT_JSON


def _json_dict(value: Any) -> dict[str, Any]:
    items = value.items() if isinstance(value, dict) else ()
    plain = {str(name): to_json(item) for name, item in items}
    return {name: item for name, item in plain.items() if item is not _NOT_JSON}
