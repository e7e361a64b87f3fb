"""What the mesh generator is asked for."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from frbias.core.foundation.requests import option
from frbias.core.foundation.values import Unusable
from frbias.synth.requests import MESH, PEOPLE, GenerateRequest, Population

AGES = (5.0, 15.0, 25.0, 40.0, 55.0, 70.0)
TRUTH = ("landmarks", "mask", "params")
SUBJECTS, SUBJECTS_OF_FGNET, VARIANTS = 20, 82, 2


def truths_named(value: object) -> tuple[str, ...]:
    """``landmarks,mask`` or a list of names, in the order of :data:`TRUTH`.

    Raises:
        Unusable: A name is unknown, or there is none.
    """
    given = value if isinstance(value, list | tuple) else str(value).split(",")
    names = {str(name).strip() for name in given} - {""}
    if unknown := sorted(names - set(TRUTH)):
        raise Unusable(f"{unknown[0]!r} is unknown; use {', '.join(TRUTH)}.")
    if not names:
        raise Unusable(f"is empty; use {', '.join(TRUTH)}.")
    return tuple(kind for kind in TRUTH if kind in names)


@dataclass(frozen=True, kw_only=True)
class MeshRequest(GenerateRequest):
    """Make faces of the mesh generator.

    Attributes:
        subjects: Number of identities; None for 20, or all 82 of a layout.
        first_subject: Number of the first one; people are numbered without end and do not depend on each other.
        ages: Years, 0..80, fractions allowed; none for :data:`AGES`, or those of a layout.
        variants: Pictures of each person at each age; even ones near frontal, odd ones over the whole range of yaw.
            None for 2.
        size: Width and height in pixels, 64..1024.
        yaw, pitch, roll: Half widths of the uniform distributions of the head's pose, degrees.
        kin: Odd numbers are ``siblings`` or identical ``twins`` of the people before them; ``none``: nobody is related.
        accessories: Rate of caps, scarves, collars and earrings, 0..1.
        skins: ``makehuman``: MakeHuman's photographs of skin are blended in; ``none``: skin is drawn only.
        truth: What is written beside the pictures, in ``truth/``: ``landmarks``, ``mask``, ``params``.
        layout: ``fgnet`` for the stand-in for FG-NET, which has its own ages and pictures.
    """

    title = "generate --backend mesh"
    backend: ClassVar[str] = "mesh"
    ages: tuple[float, ...] = option(
        (),
        help="Ages in years: 5,20,40 or start:stop:step; bins such as 30-39 too with --backend cusp --variant ls.",
        low=0,
        high=80,
    )
    subjects: int | None = option(
        None, help="Number of identities; 20, or all 82 of a layout.", panel=PEOPLE, low=1, high=10_000_000
    )
    first_subject: int = option(0, help="Number of the first identity.", panel=PEOPLE, low=0, high=2**31)
    variants: int | None = option(
        None,
        help="Images per identity and age, each with its own pose and light; 2 when left out.",
        panel=MESH,
        low=1,
        high=10_000,
    )
    size: int = option(256, help="Width and height in pixels.", panel=MESH, low=64, high=1024)
    yaw: float = option(30.0, help="Heads turn by up to this many degrees.", panel=MESH, low=0, high=60)
    pitch: float = option(9.0, help="Heads nod by up to this many degrees.", panel=MESH, low=0, high=30)
    roll: float = option(6.0, help="Heads lean by up to this many degrees.", panel=MESH, low=0, high=45)
    kin: Literal["none", "siblings", "twins"] = option(
        "none", help="People come in pairs, an even number and the next: siblings, identical twins; none.", panel=MESH
    )
    accessories: float = option(
        0.0, help="Rate of caps, scarves, high collars and earrings, which hide parts.", panel=MESH, low=0, high=1
    )
    skins: Literal["none", "makehuman"] = option(
        "none",
        help="makehuman: blend MakeHuman's photographs of skin in (frbias models fetch makehuman-skins); none.",
        panel=MESH,
    )
    truth: tuple[str, ...] = option(
        (),
        help="Write what is known of every picture into truth/: landmarks (68 points), mask (skin, hair, eyes, mouth, "
        "cloth, glasses), params (person, pose, camera, light, shapes).",
        panel=MESH,
        metavar="KINDS",
        parse=truths_named,
        show=lambda names: ",".join(names) or "nothing",
    )
    layout: Literal["fgnet"] | None = option(
        None,
        help="fgnet: a stand-in for FG-NET (82 subjects, 1002 images, its ages, file names and 68 points).",
        panel=MESH,
    )

    def conflicts(self) -> Iterator[str]:
        """Ages named twice, and options that a layout has of its own."""
        if len(set(self.ages)) != len(self.ages):
            yield "--ages names an age twice."
        if self.layout is None:
            return
        for name, given in (("ages", self.ages), ("variants", self.variants)):
            if given:
                yield f"--layout {self.layout} has its own {name}; leave out --{name}."
        if self.people > SUBJECTS_OF_FGNET:
            yield f"--subjects {self.people}: FG-NET has {SUBJECTS_OF_FGNET}; use 1 to {SUBJECTS_OF_FGNET}."

    @property
    def people(self) -> int:
        """Number of identities."""
        return self.subjects or (SUBJECTS_OF_FGNET if self.layout else SUBJECTS)

    @property
    def years(self) -> tuple[float, ...]:
        """Ages of everybody; not those of a layout."""
        return self.ages or AGES

    @property
    def pictures(self) -> int:
        """Pictures of a person at an age; not those of a layout."""
        return self.variants or VARIANTS

    def identity(self) -> dict[str, Any]:
        """The options with defaults resolved; what a layout has of its own is left out."""
        plain = {**super().identity(), "subjects": self.people, "ages": list(self.years), "variants": self.pictures}
        unused = {"layout"} if self.layout is None else {"ages", "variants"}
        unused |= {
            name
            for name, absent in (("truth", ()), ("kin", "none"), ("accessories", 0.0), ("skins", "none"))
            if getattr(self, name) == absent
        }
        return {name: value for name, value in plain.items() if name not in unused}

    def population(self) -> Population:
        """The people numbered from ``first_subject``, and whoever a relative is made of."""
        first = self.first_subject - (self.first_subject % 2 if self.kin != "none" else 0)
        return Population(f"mesh, seed {self.seed}", range(first, self.first_subject + self.people))
