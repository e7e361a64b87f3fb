"""The crops of an evaluation that are not to be trusted, in a line for the terminal."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from frbias.core.verification.results import Evaluation


def doubtful_notes(evaluation: "Evaluation") -> list[str]:
    """How many crops are not to be trusted, where they are and the worst of them; none when nothing is known."""
    found = evaluation.samples.doubtful
    if found is None or not found.count:
        return []
    groups = "".join(f", {name}: {count:,}" for name, count in found.by_group.items())
    worst = ", ".join(f"{one.source_file or one.file_name} ({', '.join(one.reasons)})" for one in found.worst[:3])
    return [
        f"crops not to be trusted: {found.count:,} of {found.judged:,}{groups} (listed in evaluation.json under "
        f"samples.doubtful); the worst: {worst}"
    ]
