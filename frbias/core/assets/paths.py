"""Where frbias keeps weights, data sets and caches on this machine."""

import os
from pathlib import Path

import platformdirs


def data_home() -> Path:
    """The data root: ``FRBIAS_HOME`` when set, else the platform's user data folder for ``frbias``."""
    chosen = os.environ.get("FRBIAS_HOME")
    return Path(chosen).expanduser() if chosen else Path(platformdirs.user_data_dir("frbias", appauthor=False))


def embedded_folder() -> Path:
    """Folder of the files frbias embeds (detector, recogniser, head mesh), below :func:`data_home`."""
    return data_home() / "embedded"
