"""The names of the remedies and what each is."""

from collections.abc import Mapping, Sequence

from frbias.core.foundation.errors import UsageError

REMEDIES: Mapping[str, str] = {
    "group-threshold": "a threshold for every group",
    "z-norm": "scores normalised by the reference's scores with other people",
    "t-norm": "scores normalised by the probe's scores with other people",
    "zt-norm": "t-norm of z-normalised scores",
    "s-norm": "mean of z-norm and t-norm",
    "adaptive-norm": "s-norm by the most similar other people only",
}


def check_remedies(names: Sequence[str]) -> None:
    """Refuse names that are not in :data:`REMEDIES`, and repeated ones.

    Raises:
        UsageError: Says which.
    """
    for name in names:
        if name not in REMEDIES:
            raise UsageError(f"--remedy {name!r} is unknown; use some of {', '.join(REMEDIES)}.")
        if list(names).count(name) > 1:
            raise UsageError(f"--remedy names {name} twice.")
