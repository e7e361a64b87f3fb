"""A kill at any moment of replacing a folder loses neither the old nor the new one."""

from pathlib import Path

import pytest

from frbias.core.assets.placing import mend, put_in_place


def folder(path: Path, text: str) -> Path:
    path.mkdir()
    (path / "weights").write_text(text)
    return path


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.mark.parametrize("moment", [1, 2])
def test_the_old_model_is_there_until_the_new_one_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: int
) -> None:
    target = folder(tmp_path / "sface", "old")
    made = folder(tmp_path / "made", "new")
    rename, done = Path.rename, 0

    def stop(self: Path, to: Path) -> Path:
        nonlocal done
        done += 1
        if done == moment:
            raise Killed
        return rename(self, to)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", stop)
        with pytest.raises(Killed):
            put_in_place(made, target)
    mend(target)
    assert (target / "weights").read_text() == "old"
    put_in_place(made, target)
    assert (target / "weights").read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["sface"]
