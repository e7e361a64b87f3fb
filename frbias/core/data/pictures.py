"""Whether a file looks like a picture, by suffix or by its first bytes: what is not read is told of, not passed over."""

from pathlib import Path

from frbias.core.data.images import IMAGE_SUFFIXES

PICTURE_SUFFIXES = IMAGE_SUFFIXES | frozenset(
    f".{name}"
    for name in (
        *("gif", "avif", "heic", "heif", "jp2", "j2k", "jpx", "jxl", "ppm", "pgm", "pbm", "pnm", "ico", "tga", "jfif"),
        *(
            "jpe",
            "jif",
            "svg",
            "svgz",
            "psd",
            "dng",
            "cr2",
            "cr3",
            "nef",
            "arw",
            "raw",
            "pcx",
            "exr",
            "hdr",
            "dds",
            "apng",
        ),
    )
)
_STARTS = (
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",
    *(b"GIF87a", b"GIF89a", b"II*\x00", b"MM\x00*", b"8BPS"),
    *(b"\x00\x00\x00\x0cjP  ", b"\xff\x4f\xff\x51", b"\xff\x0a", b"\x00\x00\x00\x0cJXL "),
)
_BRANDS = (b"avif", b"avis", b"heic", b"heix", b"hevc", b"mif1", b"msf1")


def looks_like_picture(path: Path) -> bool:
    """Whether a file is a picture by its suffix or its content; a file that cannot be read is judged by its suffix."""
    if path.suffix.lower() in PICTURE_SUFFIXES:
        return True
    if path.suffix and not path.name.startswith("."):
        return False
    try:
        if not path.is_file():
            return False
        with path.open("rb") as stream:
            start = stream.read(16)
    except (OSError, RuntimeError):
        return False
    return (
        start.startswith(_STARTS)
        or (start[:4] == b"RIFF" and start[8:12] == b"WEBP")
        or (start[4:8] == b"ftyp" and start[8:12] in _BRANDS)
        or (start[:2] == b"BM" and start[6:10] == bytes(4))
    )
