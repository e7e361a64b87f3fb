"""Archives from strangers: refused whole when anything in them is wrong, unpacked exactly otherwise."""

import io
import os
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from frbias.core.assets import archives
from frbias.core.assets.archives import is_archive, unpack
from frbias.core.foundation.errors import BadInputError
from frbias.core.foundation.progress import SilentProgress


def zip_of(
    path: Path,
    members: dict[str, bytes],
    *,
    modes: dict[str, int] | None = None,
    compression: int = zipfile.ZIP_DEFLATED,
) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members.items():
            info = zipfile.ZipInfo(name)
            info.filename = name  # ZipInfo tidies names; strangers do not
            info.compress_type = compression
            if modes and name in modes:
                info.external_attr = modes[name] << 16
            archive.writestr(info, data)
    return path


def tar_of(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as archive:
        for info, data in members:
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def tar_member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """Everything beside the target; nothing may appear here."""
    (tmp_path / "in").mkdir()
    return tmp_path


def everything(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_zip_is_unpacked_exactly(tmp_path: Path) -> None:
    members = {"FGNET/images/001A02.JPG": b"one", "FGNET/empty": b"", "FGNET/Ж/漢.txt": b"three"}
    path = zip_of(tmp_path / "a.zip", {**members, "__MACOSX/._x": b"clutter", "FGNET/.DS_Store": b"clutter"})
    said: list[str] = []
    progress = SilentProgress()
    progress.note = said.append  # type: ignore[method-assign]
    unpack(path, tmp_path / "out", progress=progress)
    assert everything(tmp_path / "out") == members
    assert [line.split(" (")[0] for line in said] == ["2 files that systems keep beside others passed over"]


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".tgz"])
def test_tar_is_unpacked_exactly(tmp_path: Path, suffix: str) -> None:
    source = tmp_path / "FGNET"
    source.mkdir()
    (source / "001A02.JPG").write_bytes(b"one")
    path = tmp_path / f"a{suffix}"
    with tarfile.open(path, "w:gz" if "gz" in suffix else "w") as archive:
        archive.add(source, "./FGNET")
    assert is_archive(path)
    unpack(path, tmp_path / "out")
    assert everything(tmp_path / "out") == {"FGNET/001A02.JPG": b"one"}


SLIPS = [
    "../evil",
    "a/../../evil",
    "/tmp/evil",
    "//evil",
    "C:/evil",
    "C:evil",
    "..\\evil",
    "a\\..\\..\\evil",
    "a/..",
    "evil\n",
    "",
]


@pytest.mark.parametrize("name", SLIPS)
def test_zip_slip(outside: Path, name: str) -> None:
    path = zip_of(outside / "in" / "evil.zip", {"good.jpg": b"x", name: b"evil"})
    before = everything(outside)
    with pytest.raises(BadInputError, match="nothing of it was written"):
        unpack(path, outside / "out")
    assert everything(outside) == before


@pytest.mark.parametrize("name", [n for n in SLIPS if n])
def test_tar_slip(outside: Path, name: str) -> None:
    path = tar_of(outside / "in" / "evil.tar", (tar_member("good.jpg"), b"x"), (tar_member(name), b"evil"))
    before = everything(outside)
    with pytest.raises(BadInputError, match="nothing of it was written"):
        unpack(path, outside / "out")
    assert everything(outside) == before


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_tar(outside: Path, kind: bytes) -> None:
    path = tar_of(
        outside / "in" / "evil.tar.gz", (tar_member("images", kind, "/etc"), b""), (tar_member("images/passwd"), b"x")
    )
    with pytest.raises(BadInputError, match="link or a device"):
        unpack(path, outside / "out")
    assert not (outside / "out").exists()


def test_symlink_in_zip(outside: Path) -> None:
    path = zip_of(outside / "in" / "evil.zip", {"link": b"/etc/passwd"}, modes={"link": stat.S_IFLNK | 0o777})
    with pytest.raises(BadInputError, match="link or a device"):
        unpack(path, outside / "out")


def test_zip_bomb_by_ratio(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "bomb.zip", {f"{i}.jpg": b"\0" * 20_000_000 for i in range(5)})
    assert path.stat().st_size < 200_000
    with pytest.raises(BadInputError, match="decompression bomb"):
        unpack(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_tar_bomb_is_not_unpacked_to_be_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "_RATIO_FLOOR", 1_000_000)
    path = tar_of(tmp_path / "bomb.tar.gz", (tar_member("a.jpg"), b"\0" * 30_000_000))
    with pytest.raises(BadInputError, match="decompression bomb"):
        unpack(path, tmp_path / "out")


def test_zip_that_lies_about_sizes(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "liar.zip", {"a.jpg": b"x" * 1000}, compression=zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    directory = data.rfind(b"PK\x01\x02")
    data[directory + 24 : directory + 28] = (10).to_bytes(4, "little")  # claimed unpacked size
    path.write_bytes(data)
    with pytest.raises(BadInputError):
        unpack(path, tmp_path / "out")
    assert not (tmp_path / "out" / "a.jpg").exists()


def test_member_twice(tmp_path: Path) -> None:
    path = tmp_path / "twice.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.jpg", b"1")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a.jpg", b"2")
    with pytest.raises(BadInputError, match="twice"):
        unpack(path, tmp_path / "out")


def test_encrypted_zip(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "secret.zip", {"a.jpg": b"x"})
    data = bytearray(path.read_bytes())
    data[6] |= 1
    data[data.rfind(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(BadInputError, match="encrypted"):
        unpack(path, tmp_path / "out")


@pytest.mark.parametrize("cut", [0, 10, 100, -30])
@pytest.mark.parametrize("suffix", [".zip", ".tar.gz", ".tar"])
def test_truncated_or_empty(tmp_path: Path, suffix: str, cut: int) -> None:
    noise = os.urandom(5000)
    whole = tmp_path / f"whole{suffix}"
    zip_of(whole, {"a.jpg": noise}) if suffix == ".zip" else tar_of(whole, (tar_member("a.jpg"), noise))
    path = tmp_path / f"cut{suffix}"
    path.write_bytes(whole.read_bytes()[:cut] if suffix != ".tar" or cut >= 0 else whole.read_bytes()[:3000])
    with pytest.raises(BadInputError):
        unpack(path, tmp_path / "out")
    assert not (tmp_path / "out" / "a.jpg").exists()


def test_damaged_content_is_noticed(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "a.zip", {"a.jpg": b"abcdefgh" * 100}, compression=zipfile.ZIP_STORED)
    path.write_bytes(path.read_bytes().replace(b"abcdefgh", b"abcdefgX", 1))
    with pytest.raises(BadInputError, match="cannot be unpacked"):
        unpack(path, tmp_path / "out")


def test_too_many_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_MEMBERS", 5)
    make: list[Callable[[], Path]] = [
        lambda: zip_of(tmp_path / "many.zip", {f"{i}": b"" for i in range(10)}),
        lambda: tar_of(tmp_path / "many.tar", *((tar_member(f"{i}"), b"") for i in range(10))),
    ]
    for maker in make:
        with pytest.raises(BadInputError):
            unpack(maker(), tmp_path / "out")


def test_a_full_disk_is_not_the_fault_of_the_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(archives, "_copy", full)
    with pytest.raises(OSError, match="No space"):
        unpack(zip_of(tmp_path / "a.zip", {"a": b"x"}), tmp_path / "out")


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK])
def test_headers_that_would_fill_the_memory(tmp_path: Path, kind: bytes) -> None:
    """A few kilobytes of zeros packed tightly: tarfile reads extended headers and long names whole."""
    path = tar_of(tmp_path / "a.tar.gz", (tar_member("head", kind), bytes(8 * 1024**2)), (tar_member("a"), b"x"))
    assert path.stat().st_size < 20_000
    with pytest.raises(BadInputError, match="cannot be unpacked") as caught:
        unpack(path, tmp_path / "out")
    assert "8388608 bytes; at most 1048576 are read" in caught.value.message
    assert not (tmp_path / "out").exists()


def test_long_names_are_read(tmp_path: Path) -> None:
    names = ["f" * 200 + "/x", "é" * 120]
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        with tarfile.open(tmp_path / f"{form}.tar", "w", format=form) as archive:
            for name in names:
                archive.addfile(tar_member(name))
        assert [member.raw for member in unpack(tmp_path / f"{form}.tar", tmp_path / str(form))] == names
