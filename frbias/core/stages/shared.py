"""Aligned faces and embeddings that evaluations share: made once per identity of work, kept in the cache.

Another protocol, threshold or output folder finds them there. They are ordinary results of the align and embed stages
(an interrupted one is resumed), below ``cache`` in the data root.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from frbias.core.assets.paths import data_home
from frbias.core.data.embeddings import Embeddings, read_embeddings
from frbias.core.data.images import read_image
from frbias.core.data.samples import SampleTable, read_samples
from frbias.core.foundation.cache import Cache, Entry, cache_limit
from frbias.core.foundation.devices import World
from frbias.core.foundation.errors import BadImageError, BadInputError
from frbias.core.foundation.folders import damage
from frbias.core.foundation.group import process_group
from frbias.core.foundation.machine import Machine
from frbias.core.foundation.plans import Step, step_of
from frbias.core.foundation.provenance import read_provenance
from frbias.core.foundation.words import counted
from frbias.core.stages.align import align_table, align_work
from frbias.core.stages.embed import embed_table, embed_work
from frbias.core.stages.requests.align import AlignOptions
from frbias.core.stages.requests.embed import EmbedOptions

if TYPE_CHECKING:
    from frbias.core.recognisers.base import Recogniser

ALIGNED, EMBEDDINGS = "aligned", "embeddings"


def shared_cache() -> Cache:
    """The cache below the data root; ``FRBIAS_CACHE_SIZE`` bounds it.

    Raises:
        UsageError: ``FRBIAS_CACHE_SIZE`` is no size.
    """
    return Cache(data_home() / "cache", cache_limit(), (ALIGNED, EMBEDDINGS))


def faces_for(
    table: SampleTable,
    size: tuple[int, int],
    machine: Machine,
    world: World,
    *,
    refused: Sequence[tuple[str, str]] = (),
) -> SampleTable:
    """The faces of a set as a recogniser takes them: the set itself when it is aligned, else from the cache.

    Args:
        table: Aligned faces or photographs.
        size: Height and width of the recogniser's input.
        machine: What may be used.
        world: Place among torchrun's processes.
        refused: Files (with reasons) that did not make it into the table.

    Raises:
        BadInputError: No image can be read, or no face was found in any.
    """
    if is_aligned(table, size):
        return table
    chosen = _alignment(size)
    work, cache = align_work(table, chosen, refused), shared_cache()
    with process_group(world) as barrier, cache.using(ALIGNED, work.key, lock=world.leader) as folder:
        made = align_table(
            table,
            folder,
            options=chosen,
            refused=refused,
            machine=machine,
            force=bool(damage(folder)),
            world=world,
            work=work,
        )
        if made.rejected:
            machine.tell(f"{counted(made.rejected, 'image')} without a face; listed in {folder / 'rejected.csv'}")
        aligned = read_samples(folder)
        barrier()
    return aligned


def embeddings_of(
    table: SampleTable,
    recogniser: "Recogniser",
    machine: Machine,
    world: World,
    *,
    options: EmbedOptions | None = None,
) -> Embeddings:
    """Embeddings of aligned faces, from the cache when they were made before.

    Raises:
        BadInputError: No image could be embedded.
    """
    chosen, cache = options or EmbedOptions(), shared_cache()
    work = embed_work(table, recogniser, chosen)
    with process_group(world) as barrier, cache.using(EMBEDDINGS, work.key, lock=world.leader) as folder:
        force = bool(damage(folder))
        embed_table(table, recogniser, folder, options=chosen, machine=machine, force=force, world=world, work=work)
        found = read_embeddings(folder)
        barrier()
    return found


def plan_shared(images: SampleTable, recogniser: "Recogniser", refused: Sequence[tuple[str, str]]) -> list[Step]:
    """The steps that lead to the embeddings of a set; those that are in the cache are said to be."""
    cache, size = shared_cache(), recogniser.input_size
    steps, faces = [], images
    if not is_aligned(images, size):
        work = align_work(images, _alignment(size), refused)
        place = cache.place(ALIGNED, work.key)
        steps.append(step_of(f"Align {counted(len(images), 'image')}", work, place))
        if steps[-1].state != "finished":
            return [*steps, Step(f"Embed with {recogniser.name}", None, "new")]
        faces = read_samples(place)
    work = embed_work(faces, recogniser, EmbedOptions())
    what = f"Embed {counted(len(faces), 'face')} with {recogniser.name}"
    return [*steps, step_of(what, work, cache.place(EMBEDDINGS, work.key))]


def is_aligned(table: SampleTable, size: tuple[int, int]) -> bool:
    """Whether the first readable image has a recogniser's input size (height, width).

    Raises:
        BadInputError: No image can be read.
    """
    for path in table.paths:
        try:
            return bool(read_image(path).shape[:2] == size)
        except BadImageError:
            continue
    raise BadInputError(f"{table.root} has no image that can be read.")


def _alignment(size: tuple[int, int]) -> AlignOptions:
    height, width = size
    if height != width or (height % 112 and height % 128):
        raise BadInputError(
            f"The recogniser takes faces of {width}x{height} pixels, but photographs are aligned to squares of a multiple of "
            "112 or 128; give --data with faces that are aligned to its size already."
        )
    return AlignOptions(size=0 if size == (112, 112) else size[0])


def describe_entry(entry: Entry) -> str:
    """What an entry of the cache holds, from its provenance."""
    record = read_provenance(entry.path) or {}
    results, arguments = record.get("results") or {}, record.get("arguments") or {}
    images = counted(results["images"], "face") if "images" in results else ""
    who = f"by {arguments['name']}" if "name" in arguments else str(arguments.get("detector", ""))
    return ", ".join(part for part in (images, who) if part)
