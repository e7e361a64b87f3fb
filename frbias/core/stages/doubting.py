"""The doubtful images of an evaluation, from what the alignment noted in the columns of the image set."""

from collections import Counter

import pandas as pd

from frbias.core.data.doubtful import RULES, doubtful_faces, judged
from frbias.core.verification.facts import MOST_LISTED, DoubtfulSample, DoubtfulSamples
from frbias.core.verification.groups import NO_GROUP, Grouping


def doubtful_samples(frame: pd.DataFrame, grouping: Grouping) -> DoubtfulSamples | None:
    """Images whose crops are not to be trusted; None when the columns say nothing about any image.

    Args:
        frame: The rows that are evaluated, ``file_name`` and any columns of an image set.
        grouping: Groups of the same rows.
    """
    known = int(judged(frame).sum())
    if not known:
        return None
    names = frame["file_name"].astype(str)
    group_of = {
        name: grouping.names[code] if code != NO_GROUP else "" for name, code in zip(names, grouping.codes, strict=True)
    }
    found = [
        DoubtfulSample(
            face.file_name,
            face.source_file,
            group_of[face.file_name],
            face.reasons,
            face.point_agreement,
            face.transform_residual,
            face.detector_score,
        )
        for face in doubtful_faces(frame)
    ]
    counts = Counter(one.group for one in found)
    return DoubtfulSamples(
        known,
        len(found),
        {name: counts[name] for name in grouping.names if counts[name]},
        {rule.column: rule.told for rule in RULES},
        tuple(found[:MOST_LISTED]),
    )
