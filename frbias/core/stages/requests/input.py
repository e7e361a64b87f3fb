"""Options that say what a recogniser is to be given, where its file does not."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from frbias.core.foundation.errors import UsageError
from frbias.core.foundation.requests import Request, option

if TYPE_CHECKING:
    from frbias.core.recognisers.input_format import InputFormat

PANEL = "Input of the recogniser, where its file does not say"


@dataclass(frozen=True, kw_only=True)
class InputOptions(Request):
    """What is done to faces before the recogniser of ``weights``; counted to what the recogniser computes with.

    Attributes:
        input_size: Height and width in pixels, or one number for both; empty: as the file says.
        layout: Order of the axes.
        colour: Order of the channels.
        mean: Subtracted from pixels: one number or three in the order of ``colour``; empty: as the file says.
        scale: Divisor, likewise.
    """

    input_size: tuple[int, ...] = option((), help="Pixels: 112, or height,width.", panel=PANEL, decides=False)
    layout: Literal["NCHW", "NHWC"] | None = option(None, help="Order of the axes.", panel=PANEL, decides=False)
    colour: Literal["RGB", "BGR"] | None = option(None, help="Order of the channels.", panel=PANEL, decides=False)
    mean: tuple[float, ...] = option(
        (), help="The network reads (pixel - mean) / scale: one number or three.", panel=PANEL, decides=False
    )
    scale: tuple[float, ...] = option((), help="See --mean.", panel=PANEL, decides=False)

    def input_format(self) -> "InputFormat":
        """What is said, for :func:`frbias.core.recognisers.loading.load_recogniser`.

        Raises:
            UsageError: A value cannot be what it says.
        """
        from frbias.core.recognisers.input_format import InputFormat

        size = self.input_size * 2 if len(self.input_size) == 1 else self.input_size
        if len(size) not in (0, 2):
            raise UsageError(f"--input-size {','.join(map(str, size))} is neither one number nor height,width.")
        pair = (size[0], size[1]) if size else None
        return InputFormat(pair, self.layout, self.colour, self.mean or None, self.scale or None)

    def conflicts(self) -> Iterator[str]:
        """What cannot be the input of a recogniser."""
        yield from super().conflicts()
        if any((self.input_size, self.layout, self.colour, self.mean, self.scale)):
            try:
                self.input_format()
            except UsageError as error:
                yield error.message
