"""Adding weights: recognised by content, converted once, hashed, and remembered by name."""

import glob
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from filelock import FileLock

from frbias.core.assets.archives import unpack
from frbias.core.assets.catalogue import KINDS, ModelAsset, check_name, find_model_asset
from frbias.core.assets.download import download
from frbias.core.assets.embedded import embedded_model
from frbias.core.assets.networks import write_network
from frbias.core.assets.paths import data_home
from frbias.core.assets.placing import mend, put_in_place
from frbias.core.assets.records import drop_record, put_record, read_book, restored_path, stored_path
from frbias.core.assets.skins import NAME as SKINS
from frbias.core.assets.skins import extract_skins, skin_folder, skins_problems
from frbias.core.assets.store import find_model
from frbias.core.foundation.errors import BadInputError, UsageError
from frbias.core.foundation.files import TEMPORARY_PREFIX, atomic_path, make_folder, sha256_file, write_json
from frbias.core.foundation.folders import make_private
from frbias.core.foundation.progress import SILENT, Progress
from frbias.core.installing.recognise import Recognised, recognise
from frbias.core.recognisers.packs import pack_recogniser

if TYPE_CHECKING:
    import torch

    from frbias.core.recognisers.onnx_running import OnnxRecogniser


@dataclass(frozen=True)
class Installed:
    """A model that is there now.

    Attributes:
        name: Name it is registered under.
        kind: One of :data:`frbias.core.assets.catalogue.KINDS`.
        variant: Closer name, e.g. ``r50``.
        path: What it was converted to (or the file that is used of a pack).
        source_sha256: Hash of the file it came from.
        details: Facts read from the content.
    """

    name: str
    kind: str
    variant: str
    path: Path
    source_sha256: str
    details: dict[str, Any]


def add_model(name: str, source: Path, *, force: bool = False, progress: Progress = SILENT) -> Installed:
    """Take a weight file in: find out what it is, convert it to ``.safetensors`` + ``.json``, remember it.

    The file itself is only read and may be deleted afterwards.

    Args:
        name: A name of the registry (then the content has to be that), or one of your own.
        source: Torch checkpoint, safetensors, persistence pickle, ONNX recogniser, insightface pack (zip or
            folder) or Caffe network.
        force: Replace what was added under the name before.
        progress: Where to report.

    Raises:
        UnsafePickleError: The file asks for more than data; nothing of it was run.
        BadInputError: It is no weight file frbias knows, or not what the name says.
        UsageError: The name is taken.
    """
    check_name(name)
    source = Path(source).expanduser()
    if not source.exists():
        raise BadInputError(f"{source} does not exist; give the weight file you have downloaded.")
    asset = find_model_asset(name)
    name = asset.name if asset else name
    _refuse_taken(name, force)
    progress.note(f"reading {source}")
    found = recognise(source)
    if asset is not None:
        _check_match(asset, found, source)
    elif found.format == "skins":
        raise BadInputError(f"{source} holds MakeHuman's skins; add it as {SKINS}.")
    digest = sha256_file(source) if source.is_file() else ""
    target = data_home() / "models" / name
    make_private(target.parent)
    prefix = f"{TEMPORARY_PREFIX}{name}@"
    with (
        FileLock(data_home() / ".adding.lock"),
        _left_clear(target, prefix),
        tempfile.TemporaryDirectory(prefix=prefix, dir=target.parent) as made,
    ):
        _refuse_taken(name, force)  # another process may have been faster
        folder = Path(made) / name
        folder.mkdir()
        _convert(found, source, folder / f"{name}{_suffix(found)}", digest, progress)
        hashes = {path.name: sha256_file(path) for path in sorted(folder.iterdir())}
        put_in_place(folder, target)
        used = pack_recogniser(target) if found.format == "pack" else target / f"{name}{_suffix(found)}"
        record = {
            "kind": found.kind,
            "variant": found.variant,
            "path": stored_path(used),
            "files": hashes,
            "source": source.name,
            "source_sha256": digest,
            "licence": asset.licence if asset else "",
            "details": found.details,
        }
        put_record("models", name, record)
    return Installed(name, found.kind, found.variant, used, digest, found.details)


def _refuse_taken(name: str, force: bool) -> None:
    if not force and name in read_book("models"):
        raise UsageError(f"{name} has been added before; replace it with --force, or choose another name.")


@contextmanager
def _left_clear(target: Path, prefix: str) -> Iterator[None]:
    """Mend and clear away what a killed installation of the same name left."""
    mend(target)
    shutil.rmtree(_removed(target), ignore_errors=True)
    for leftover in target.parent.glob(f"{glob.escape(prefix)}*"):
        shutil.rmtree(leftover, ignore_errors=True)
    yield


def fetch_model(name: str, *, force: bool = False, time_limit: float = 0.0, progress: Progress = SILENT) -> Installed:
    """Download a model that has a direct address and add it, in at most ``time_limit`` seconds (0: no limit).

    Raises:
        UsageError: It has no direct address (the message says where to get it), or is not known.
        AssetMissingError: The download failed; run it again to go on.
        BadInputError: What arrived is not what was announced.
    """
    asset = find_model_asset(name)
    if asset is None:
        raise UsageError(f"No known model is called {name!r}; see 'frbias models list'.")
    if asset.embedded:
        path = embedded_model(asset.embedded)
        return Installed(asset.name, asset.kind, asset.name, path, sha256_file(path), {"embedded": True})
    if not asset.url:
        raise UsageError(
            f"{asset.name} has no direct address: at {asset.source}, {asset.get} (licence: {asset.licence}).",
            hint=f"Then run:  {asset.install_command}",
        )
    if not force and asset.name in read_book("models"):
        raise UsageError(f"{asset.name} is installed already; fetch it again with --force.")
    progress.note(f"{asset.title}. Licence: {asset.licence}. Source: {asset.source}")
    target = make_private(data_home() / "downloads") / _file_name(asset)
    arrived = download(asset.url, target, sha256=asset.sha256, time_limit=time_limit, progress=progress)
    installed = add_model(asset.name, arrived.path, force=force, progress=progress)
    arrived.path.unlink(missing_ok=True)
    return installed


def remove_model(name: str) -> bool:
    """Forget a model and delete its converted copy; the file it came from is not touched."""
    asset = find_model_asset(name)
    name = asset.name if asset else check_name(name)
    folder = data_home() / "models" / name
    aside = _removed(folder)
    if name in read_book("models") and folder.is_dir():
        shutil.rmtree(aside, ignore_errors=True)
        folder.rename(aside)
    known = drop_record("models", name)
    shutil.rmtree(aside, ignore_errors=True)
    return known


def _removed(folder: Path) -> Path:
    """Where a model goes first that is removed, so that what a killed removal left is known by its name."""
    return folder.with_name(f".{folder.name}.removed")


def verify_model(name: str) -> list[str]:
    """Compare the files of an installed model with the hashes recorded when it was added.

    Returns:
        Sentences on what is wrong; empty when nothing is.

    Raises:
        BadInputError: Nothing of that name is installed.
    """
    asset = find_model_asset(name)
    key = asset.name if asset else name
    record = read_book("models").get(key)
    if record is None:
        if asset is not None and asset.embedded and find_model(name) is not None:
            embedded_model(asset.embedded)  # checks its pinned hash, and mends it
            return []
        if (found := find_model(name)) is not None:
            if key == SKINS:
                return skins_problems(skin_folder())
            recognise(found.path)
            return []
        raise BadInputError(f"{name} is not installed; 'frbias models info {name}' says where it comes from.")
    path = restored_path(str(record["path"]))
    folder = path.parent
    problems = []
    for file, digest in dict(record.get("files", {})).items():
        if not (folder / file).is_file():
            problems.append(f"{folder / file} is missing.")
        elif sha256_file(folder / file) != digest:
            problems.append(f"{folder / file} has changed since it was added.")
    return problems


def convert_file(source: Path, target: Path, *, force: bool = False, progress: Progress = SILENT) -> Recognised:
    """Convert a weight file to ``target`` (``.safetensors``) and a ``.json`` beside it, without adding it.

    Both appear together, the weights last; what a killed call left half made is cleared away.

    Raises:
        UsageError: ``target`` has another suffix or exists.
        BadInputError: As :func:`add_model`.
    """
    if target.suffix != ".safetensors":
        raise UsageError(f"{target} has to end with .safetensors.")
    if target.exists() and not force:
        raise UsageError(f"{target} exists; replace it with --force.")
    found = recognise(source)
    if found.format == "pack":
        raise BadInputError(f"{source} is an insightface pack; add it with 'frbias models add NAME {source}'.")
    if found.format == "skins":
        raise BadInputError(f"{source} holds pictures, no weights; add it with 'frbias models add {SKINS} {source}'.")
    if found.running is not None:
        raise BadInputError(
            f"{source} can only be run as it is ({found.details['not_trainable']}); there is nothing to convert."
        )
    digest, prefix = sha256_file(source), f"{TEMPORARY_PREFIX}{target.stem}@"
    make_folder(target.parent)
    for leftover in target.parent.glob(f"{glob.escape(prefix)}*"):
        shutil.rmtree(leftover, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=prefix, dir=target.parent) as made:
        whole = Path(made) / target.name
        _convert(found, source, whole, digest, progress)
        for suffix in (".json", ".safetensors"):
            whole.with_suffix(suffix).replace(target.with_suffix(suffix))
    return found


def _suffix(found: Recognised) -> str:
    if found.format == "skins":
        return ".json"
    return ".onnx" if found.running is not None else ".safetensors"


def _convert(found: Recognised, source: Path, target: Path, digest: str, progress: Progress) -> None:
    if found.format == "pack":
        _copy_pack(source, target.parent, progress)
        return
    described: dict[str, Any] = {"schema": 1, "kind": found.kind, "variant": found.variant, "details": found.details}
    if found.network is not None:
        _refuse_not_finite(found.network.tensors, source)
        write_network(found.network, target)
        return
    if found.running is not None:
        _copy_onnx(found.running, target)
        described["input"] = found.running.reading.format().to_json()
    elif found.format == "skins":
        extract_skins(source, target.parent)
    elif found.trainable is not None:
        from frbias.core.recognisers.trainable.weights import write_state

        with atomic_path(target) as temporary:
            write_state(temporary, found.trainable.weights(), found.trainable.model.pixels)
    elif found.tensors is not None:
        from safetensors.torch import save_file

        _refuse_not_finite(found.tensors, source)
        with atomic_path(target) as temporary:
            save_file({key: value.detach().clone().contiguous() for key, value in found.tensors.items()}, temporary)
    else:
        raise BadInputError(f"{source} is a model that frbias carries itself; there is nothing to add.")
    write_json(target.with_suffix(".json"), {**described, "source_sha256": digest})


def _copy_onnx(running: "OnnxRecogniser", target: Path) -> None:
    """Copy a graph and the files with its weights, which it finds by their names."""
    if any(path.name in (target.name, target.with_suffix(".json").name) for path in running.file.side_files):
        raise BadInputError(
            f"{running.file.path} keeps weights in a file called like the model; add it under another name."
        )
    for path, name in ((running.file.path, target.name), *((p, p.name) for p in running.file.side_files)):
        with atomic_path(target.with_name(name)) as temporary:
            shutil.copyfile(path, temporary)


def _refuse_not_finite(tensors: "Mapping[str, torch.Tensor]", source: Path) -> None:
    import torch

    for name, value in tensors.items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise BadInputError(f"{source}: the weights {name!r} hold values that are not finite.")


def _copy_pack(source: Path, folder: Path, progress: Progress) -> None:
    with tempfile.TemporaryDirectory(prefix=TEMPORARY_PREFIX, dir=folder.parent) as place:
        if source.is_file():
            unpack(source, Path(place), progress=progress)
        for path in sorted((Path(place) if source.is_file() else source).rglob("*.onnx")):
            if (folder / path.name).exists():
                raise BadInputError(f"{source} has two files called {path.name}; give the folder of one pack.")
            if not path.is_symlink():
                shutil.copyfile(path, folder / path.name)
    recognise(pack_recogniser(folder))


def _check_match(asset: ModelAsset, found: Recognised, source: Path) -> None:
    expected = asset.architecture or (asset.name if asset.kind in ("cusp", "eg3d") else "")
    right_variant = not expected or found.variant == expected
    right_form = asset.pack == (found.format == "pack")
    if found.kind == asset.kind and right_variant and right_form:
        return
    fitting = find_model_asset(found.variant)
    name = fitting.name if fitting else "NAME"
    what = f"a {KINDS[found.kind]} ({found.variant})"
    raise BadInputError(
        f"{source} is {what}, not {asset.name} ({asset.title}).",
        hint=f"Add it under another name, e.g.:  frbias models add {name} {source}",
    )


def _file_name(asset: ModelAsset) -> str:
    parts = urlsplit(asset.url)
    name = (parse_qs(parts.query).get("path") or [Path(parts.path).name])[0]
    return f"{asset.name}-{Path(name).name}"
