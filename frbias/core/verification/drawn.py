"""The bootstrap draws of a comparison as a table, so that runs can be pooled without measuring them again."""

import numpy as np
import pandas as pd

from frbias.core.verification.measures.table import WITHOUT_THRESHOLD
from frbias.core.verification.paired import Comparison, draws_at

COLUMNS = ("target", "measure", "replicate", "baseline", "other")


def table_of_draws(comparison: Comparison) -> pd.DataFrame:
    """Every quantity of both recognisers in every bootstrap draw.

    Equal replicates of comparisons on the same samples, with the same seed, are the same draw of subjects.

    Returns:
        Columns ``target`` (NaN for what needs no threshold), ``measure`` (a name of the table of measures, ``fnmr``,
        ``tar``, ``eer``, ``d_prime``, or ``fmr GROUP``, ``fnmr GROUP``), ``replicate`` (0 ..), ``baseline``, ``other``
        (NaN where undefined). Without a bootstrap the table has no rows.
    """
    parts = []
    for at in comparison.targets:
        one, two = (draws_at(evaluation, at.target) for evaluation in (comparison.baseline, comparison.other))
        if one is not None and two is not None:
            parts += [_part(at.target, name, one[name], two[name]) for name in one]
    apart = [e.replicates and e.replicates.separation for e in (comparison.baseline, comparison.other)]
    if apart[0] and apart[1]:
        parts += [
            _part(float("nan"), name, getattr(apart[0], name), getattr(apart[1], name)) for name in WITHOUT_THRESHOLD
        ]
    if not parts:
        return pd.DataFrame({name: pd.Series(dtype="object" if name == "measure" else "float64") for name in COLUMNS})
    return pd.concat(parts, ignore_index=True)


def _part(target: float, name: str, one: object, two: object) -> pd.DataFrame:
    values = np.asarray(one, dtype=np.float64)
    return pd.DataFrame(
        {
            "target": target,
            "measure": name,
            "replicate": np.arange(len(values)),
            "baseline": values,
            "other": np.asarray(two, dtype=np.float64),
        }
    )
