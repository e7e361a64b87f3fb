"""Importing a data set: every usable image is copied into the data root, with a table; the source is only read."""

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from frbias.core.assets.archives import is_archive, unpack
from frbias.core.assets.catalogue import check_name, find_dataset_asset
from frbias.core.assets.download import download
from frbias.core.assets.paths import data_home
from frbias.core.assets.records import put_record, stored_path
from frbias.core.data.datasets.layouts.known import find_layout
from frbias.core.data.datasets.layouts.layout import Layout
from frbias.core.data.datasets.loading import CSV, IMAGE_SET, load_whole, synthetic_origin
from frbias.core.data.datasets.packed import BIN, RECORDIO, packed_identity, packed_layout, unpack_pictures
from frbias.core.data.datasets.scan import Loaded
from frbias.core.data.images import MAX_FILE_BYTES, read_image
from frbias.core.data.samples import Rejected, SampleTable, make_table, rejected_row, write_rejected, write_samples
from frbias.core.foundation.errors import BadImageError, BadInputError, UsageError
from frbias.core.foundation.files import atomic_path, sha256_file, sha256_json
from frbias.core.foundation.folders import make_private
from frbias.core.foundation.progress import SILENT, Progress
from frbias.core.foundation.provenance import StageFolder, claim_folder, read_provenance

_UNPACKED = ".unpacked"
_MISSING_LAYOUTS = frozenset({IMAGE_SET.name, CSV.name, RECORDIO.name, BIN.name})


@dataclass(frozen=True)
class Imported:
    """What came of an import.

    Attributes:
        name: Name it is registered under.
        path: Folder with the copied images and ``metadata.csv``.
        layout: Layout the source was read with.
        images: Images in the table.
        subjects: Identities in the table.
        rejected: Files that were left out; listed in ``rejected.csv``.
        sha256: Hash over names and contents of the images.
        finished_before: True when the same source had been imported already.
        skipped: Files called like pictures that were passed over for where they lie, by the reason.
    """

    name: str
    path: Path
    layout: str
    images: int
    subjects: int
    rejected: int
    sha256: str
    finished_before: bool
    skipped: dict[str, int] = field(default_factory=dict)


def import_dataset(
    name: str,
    source: Path,
    *,
    layout: str | None = None,
    out: Path | None = None,
    force: bool = False,
    progress: Progress = SILENT,
) -> Imported:
    """Copy the data set at ``source`` (folder, CSV file, zip or tar archive, RecordIO or ``.bin`` set) and register it as ``name``.

    Every image is decoded once; one that cannot be is left out and listed in ``rejected.csv``. Names and
    bytes of the images stay as they are. An interrupted import goes on when it is run again.

    Args:
        name: What to call it; a name of the registry implies its layout.
        source: Never changed.
        layout: Name of the layout; None to take that of the registry, or to find out.
        out: Where to copy to; default ``datasets/<name>`` in the data root.
        force: Replace an earlier import.
        progress: Where to report.

    Raises:
        BadInputError: The source cannot be read or holds no usable image, or the archive is refused.
        UsageError: ``out`` holds something else.
    """
    check_name(name)
    source = Path(source).expanduser()
    if not source.exists():
        raise BadInputError(f"{source} does not exist.")
    asset = find_dataset_asset(name)
    wanted = layout or (asset.layout if asset else None)
    if wanted is not None and wanted not in _MISSING_LAYOUTS:
        find_layout(wanted)
    out = Path(out) if out is not None else data_home() / "datasets" / name
    _refuse_overlap(source, out)
    make_private(data_home())
    if packed_layout(source) is not None:
        identity = packed_identity(source)
    else:
        identity = sha256_file(source) if source.is_file() else _listing_hash(source)
    if asset is not None and asset.sha256 and source.is_file() and identity != asset.sha256:
        progress.note(
            f"{source.name} is not byte for byte the archive frbias knows; 'frbias data verify {name}' compares the counts."
        )
    arguments = {"name": name, "layout": wanted, "source": source.name}
    folder = claim_folder(out, stage="import", arguments=arguments, inputs={"source": identity}, force=force)
    if not folder.finished:
        _fill(folder, source, wanted, progress)
    return _registered(name, folder)


def _refuse_overlap(source: Path, out: Path) -> None:
    inner, outer = source.resolve(), out.resolve()
    if source.is_dir() and (outer.is_relative_to(inner) or inner.is_relative_to(outer)):
        raise BadInputError(f"{out} and {source} lie inside each other; give another folder with --out.")


def _registered(name: str, folder: StageFolder) -> Imported:
    results = folder.results()
    facts = {key: results[key] for key in ("layout", "images", "subjects", "sha256")}
    put_record("datasets", name, {"path": stored_path(folder.path), **facts})
    told = results.get("skipped", {})
    skipped = {why: n for why, n in told.items() if isinstance(n, int)} if isinstance(told, dict) else {}
    rejected, before = results["rejected"], folder.finished
    return Imported(name=name, path=folder.path, rejected=rejected, finished_before=before, skipped=skipped, **facts)


def fetch_archive(name: str, *, time_limit: float = 0.0, progress: Progress = SILENT) -> Path:
    """Download the archive of a data set that has a direct address, checked against its published hash.

    Args:
        name: Name of the data set.
        time_limit: Seconds it may take; 0 for no limit.
        progress: Where to report.

    Raises:
        UsageError: It has none, or is not known; the message says where to get it.
        AssetMissingError: The download failed; run it again to go on.
        BadInputError: What arrived is another file than the published one.
    """
    asset = find_dataset_asset(name)
    if asset is None:
        raise UsageError(f"{name} is no known data set; say where it is:  frbias data import {name} FILE_OR_FOLDER")
    if not asset.url:
        raise UsageError(
            f"{asset.name} has no direct address: go to {asset.source} and {asset.get} (licence: {asset.licence}).",
            hint=f"Then run:  frbias data import {asset.name} FILE_OR_FOLDER",
        )
    progress.note(f"{asset.title}. Licence: {asset.licence}. Source: {asset.source}")
    target = make_private(data_home() / "downloads") / asset.url.rsplit("/", 1)[-1]
    return download(asset.url, target, sha256=asset.sha256, time_limit=time_limit, progress=progress).path


def register_dataset(name: str, path: Path, *, layout: str | None = None) -> Loaded:
    """Remember ``path`` as ``name`` without copying anything; the folder is read in place from then on.

    Raises:
        BadInputError: It holds no images that can be named.
    """
    check_name(name)
    asset = find_dataset_asset(name)
    found = load_whole(Path(path), layout or (asset.layout if asset else None))
    put_record("datasets", name, {"path": stored_path(Path(path).absolute()), "layout": found.layout.name})
    return found


def _fill(folder: StageFolder, source: Path, wanted: str | None, progress: Progress) -> None:
    out = folder.path
    if packed_layout(source) is not None:
        _fill_packed(folder, source, progress)
        return
    place = source
    if is_archive(source):
        place = out / _UNPACKED
        unpack(source, place, progress=progress)
        place = _single_root(place)
    loaded = load_whole(place, wanted)
    rejected = [Rejected(*pair) for pair in loaded.rejected]
    rows, digests = _copy_all(loaded.table, out, rejected, progress)
    if not rows:
        raise BadInputError(f"{source} holds no image that can be decoded; {rejected[0].file}: {rejected[0].reason}")
    _copy_points(loaded.layout, place, out)
    table = loaded.table
    origin = {"synthetic": synthetic_origin(table), "source_provenance": read_provenance(table.root)}
    skipped = {"skipped": loaded.skipped} if any(loaded.skipped.values()) else {}
    _finish(folder, loaded.layout, rows, digests, rejected, {**origin, **skipped})


def _fill_packed(folder: StageFolder, source: Path, progress: Progress) -> None:
    found = unpack_pictures(source, folder.path, progress=progress)
    origin = {"synthetic": None, "source_provenance": None}
    _finish(folder, found.layout, found.rows, found.digests, found.rejected, origin)


def _finish(
    folder: StageFolder,
    layout: Layout,
    rows: list[dict[str, Any]],
    digests: dict[str, str],
    rejected: list[Rejected],
    origin: dict[str, Any],
) -> None:
    out = folder.path
    write_rejected(out, sorted(rejected, key=lambda r: (r.file, r.reason)))
    result = make_table(out, rows)
    write_samples(result)
    shutil.rmtree(out / _UNPACKED, ignore_errors=True)
    folder.finish(
        {
            "layout": layout.name,
            "images": len(result),
            "subjects": len(set(result.subjects) - {""}),
            "rejected": len(rejected),
            "sha256": sha256_json(digests),
            **origin,
        }
    )


def _copy_all(
    table: SampleTable, out: Path, rejected: list[Rejected], progress: Progress
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    rows: list[dict[str, Any]] = []
    digests: dict[str, str] = {}
    with progress.task("importing", len(table)) as advance:
        for row in table.frame.to_dict("records"):
            name = str(row["file_name"])
            try:
                digests[name] = _copy_image(table.root / name, out / name)
                rows.append({str(key): value for key, value in row.items()})
            except BadImageError as error:
                rejected.append(rejected_row(row, error.reason))
            except OSError as error:
                rejected.append(rejected_row(row, f"cannot be read: {error.strerror}"))
            advance(1)
    return rows, digests


def _copy_image(source: Path, target: Path) -> str:
    """Copy one image, then decode the copy: what is kept is what was checked."""
    if source.stat().st_size > MAX_FILE_BYTES:
        read_image(source)  # says what is wrong
    if not target.exists():
        with atomic_path(target) as temporary:
            shutil.copyfile(source, temporary)
    try:
        read_image(target)
    except BadImageError:
        target.unlink()
        raise
    return sha256_file(target)


def _copy_points(layout: Layout, place: Path, out: Path) -> None:
    if not layout.points:
        return
    for path in sorted(place.rglob("*")):
        if path.suffix.lower() == ".pts" and path.is_file() and not path.is_symlink():
            with atomic_path(out / path.relative_to(place)) as temporary:
                shutil.copyfile(path, temporary)


def _single_root(place: Path) -> Path:
    """The folder inside an unpacked archive that holds everything: archives often wrap it in one folder."""
    inside = list(place.iterdir()) if place.is_dir() else []
    return _single_root(inside[0]) if len(inside) == 1 and inside[0].is_dir() else place


def _listing_hash(source: Path) -> str:
    listing = [
        (path.relative_to(source).as_posix().encode("utf-8", "surrogateescape").hex(), path.lstat().st_size)
        for path in sorted(source.rglob("*"))
        if not path.is_dir()
    ]
    return sha256_json(listing)
