"""The filters of PNG undone, compiled (PNG specification, third edition, W3C 2025, section 9)."""

import numba

# ruff: noqa: ANN001, ANN201
# numba infers the types.


@numba.njit(nogil=True, cache=True)
def undo_filters(rows, pixels):  # type: ignore[no-untyped-def]
    """Undo the filter of every line, for three bytes a pixel.

    Args:
        rows: The unpacked data: for every line the number of its filter and its bytes, uint8 (h * (1 + w),).
        pixels: Filled, uint8 (h, w).

    Returns:
        False where there is a filter that is none.
    """
    height, width = pixels.shape
    for y in range(height):
        kind = rows[y * (width + 1)]
        line = rows[y * (width + 1) + 1 : (y + 1) * (width + 1)]
        out = pixels[y]
        if kind == 0:
            out[:] = line
        elif kind == 1:
            for x in range(width):
                out[x] = line[x] + (out[x - 3] if x >= 3 else 0)
        elif kind == 2:
            for x in range(width):
                out[x] = line[x] + (pixels[y - 1, x] if y > 0 else 0)
        elif kind == 3:
            for x in range(width):
                left = numba.int32(out[x - 3]) if x >= 3 else numba.int32(0)
                above = numba.int32(pixels[y - 1, x]) if y > 0 else numba.int32(0)
                out[x] = line[x] + ((left + above) >> 1)
        elif kind == 4:
            for x in range(width):
                left = numba.int32(out[x - 3]) if x >= 3 else numba.int32(0)
                above = numba.int32(pixels[y - 1, x]) if y > 0 else numba.int32(0)
                corner = numba.int32(pixels[y - 1, x - 3]) if x >= 3 and y > 0 else numba.int32(0)
                across, down, both = abs(above - corner), abs(left - corner), abs(left + above - 2 * corner)
                nearest = left if across <= down and across <= both else (above if down <= both else corner)
                out[x] = line[x] + nearest
        else:
            return False
    return True
