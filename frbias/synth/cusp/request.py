"""What the CUSP generator is asked for."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from frbias.core.foundation.requests import option
from frbias.core.foundation.values import Unusable, number, numbers
from frbias.synth.requests import CUSP, NETWORKS, GenerateRequest, NetworkOptions, Population

MESH_INPUT = "mesh:"


def age_names(value: object) -> tuple[str, ...]:
    """Ages and names of age bins meant by ``20,35``, ``20:60:10``, ``30-39,5`` or a list of them.

    Raises:
        Unusable: There are none, or a range cannot be read.
    """
    parts = list(value) if isinstance(value, list | tuple) else [p.strip() for p in str(value).split(",")]
    found: list[str] = []
    for part in parts:
        if isinstance(part, str) and ":" in part:
            found += [f"{age:g}" for age in numbers(part)]
        elif isinstance(part, str):
            found += [part.strip()] if part.strip() else []
        else:
            found.append(f"{number(part):g}")
    if not found:
        raise Unusable("is empty; write ages such as 20,35,50.")
    return tuple(found)


@dataclass(frozen=True, kw_only=True)
class CuspRequest(NetworkOptions, GenerateRequest):
    """Age photographs with CUSP.

    Attributes:
        input: Folder of photographs, image set (folder or name), or ``mesh:N``.
        variant: ``rr`` (years) or ``ls`` (age bins).
        weights: Name or path of the network; empty: the registered one of the variant; ``tiny``: random, for tests.
        ages: Ages in years, or bins by name (``30-39``) for ``ls``; none: a spread, or all bins.
        age_bins: ``thesis``: one random age from each of its eight ranges for every face, in place of ``ages``.
        global_blur, mask_blur: Strengths of the blurs of the skip connection, 0..1.
        mask_rule: ``auto``: what the checkpoint's own text shows, else ``as_released_head``; or a rule.
        noise: ``const``, ``random`` (from the seed) or ``none``.
        template: ``ffhq``: cut the FFHQ square around the largest face; ``none``: inputs are such crops already.
        precision: Of the finer decoder blocks: ``fp32``, ``fp16``, ``bf16``.
    """

    title = "generate --backend cusp"
    backend: ClassVar[str] = "cusp"
    input: str = option(
        "mesh:20",
        help="Faces to age: a folder of photographs, an image set, or mesh:20.",
        panel=CUSP,
        metavar="SET",
        completes="data",
        decides=False,
    )
    ages: tuple[str, ...] = option(
        (), help="Ages in years: 20,35,50 or start:stop:step; bins such as 30-39 with --variant ls.", parse=age_names
    )
    age_bins: Literal["thesis"] | None = option(
        None,
        help="Instead of --ages, a random age per face from each range: thesis (its eight ranges; cusp), or "
        "3-6,20-30 (eg3d).",
        panel=NETWORKS,
        metavar="RANGES",
    )
    weights: str = option(
        "",
        help="Network: a name or file; 'tiny' is a random one for tests.",
        panel=NETWORKS,
        metavar="MODEL",
        completes="weights",
        decides=False,
    )
    noise: Literal["const", "random", "none"] = option(
        "const", help="Noise in the layers: const, random (seeded) or none.", panel=NETWORKS
    )
    precision: Literal["fp32", "fp16", "bf16"] = option(
        "fp32", help="fp32, fp16 or bf16 in the finest layers, for CUDA; eg3d also auto.", panel=NETWORKS
    )
    variant: Literal["rr", "ls"] = option("rr", help="rr (ages in years) or ls (age bins such as 30-39).", panel=CUSP)
    global_blur: float = option(0.2, help="Blur of the structure kept, 0..1.", panel=CUSP, low=0, high=1)
    mask_blur: float = option(0.8, help="Further blur where the age shows, 0..1.", panel=CUSP, low=0, high=1)
    mask_rule: Literal["auto", "as_released_head", "intended", "off"] = option(
        "auto", help="auto (as the checkpoint's own text shows), as_released_head, intended or off.", panel=CUSP
    )
    template: Literal["ffhq", "none"] = option(
        "ffhq",
        help="ffhq: cut the FFHQ square around the largest face; none: the inputs are such crops.",
        panel=CUSP,
    )

    def conflicts(self) -> Iterator[str]:
        """Ages given twice over, ages that the variant does not have, and inputs that cannot be meant."""
        from frbias.core.foundation.errors import UsageError
        from frbias.synth.cusp.labels import LABELS, refuse_twins, target_of

        if self.age_bins and self.ages:
            yield "Give --ages or --age-bins, not both."
        try:
            refuse_twins([target_of(name, LABELS[self.variant]) for name in self.ages])
        except UsageError as error:
            yield error.message
        count = self.input.removeprefix(MESH_INPUT)
        if self.input.startswith(MESH_INPUT) and not (count.isascii() and count.isdigit() and int(count[:9]) > 0):
            yield f"--input {self.input!r}: write mesh:20 for twenty generated adults."

    def population(self) -> Population:
        """The people of the input."""
        if self.input.startswith(MESH_INPUT):
            return Population(f"mesh, seed {self.seed}", range(int(self.input.removeprefix(MESH_INPUT))))
        return Population(f"data {self.input}")
