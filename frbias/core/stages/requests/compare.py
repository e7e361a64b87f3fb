"""The request of the compare stage."""

from collections.abc import Iterator
from dataclasses import dataclass

from frbias.core.foundation.requests import option
from frbias.core.foundation.words import counted
from frbias.core.stages.requests.measuring import OUTPUT, MeasureOptions, gate_problems
from frbias.core.stages.requests.remedies import RemedyFields

COMPARED = "What to compare"


@dataclass(frozen=True, kw_only=True)
class CompareRequest(RemedyFields, MeasureOptions):
    """Compare two or more recognisers on the same images, paired; or one with its remedies.

    Attributes:
        models: Embeddings (files or folders), or recognisers together with ``data``; the first is the baseline.
        data: Image set on which recognisers are compared.
        names: Names to show for the models, in order; empty: their own.
        fail_if: Conditions that make the comparison fail, judged on every recogniser but the baseline.
        figures: Draw figures.
        save_draws: Write the bootstrap draws of every quantity (``draws.parquet``).
    """

    title = "compare"
    models: tuple[str, ...] = option(
        help="Two or more: embeddings (files, or folders of 'frbias embed'), or recognisers together with --data. "
        "The first is the baseline.",
        positional=True,
        many=True,
        metavar="MODELS...",
        completes="weights",
        decides=False,
    )
    data: str | None = option(
        None,
        help="Image set on which the recognisers are compared.",
        panel=COMPARED,
        metavar="DATA",
        completes="data",
        decides=False,
    )
    names: tuple[str, ...] = option(
        (),
        name="name",
        help="Name to show for a model; once for each, in order.",
        panel=COMPARED,
        metavar="NAME",
        many=True,
    )
    fail_if: tuple[str, ...] = option(
        (),
        help="Exit with 4 when this holds of a recogniser beside the baseline, e.g. 'verdict == levelling_down'; may be "
        "repeated.",
        panel=OUTPUT,
        metavar="CONDITION",
        many=True,
        decides=False,
    )
    figures: bool = option(True, help="Draw figures.", panel=OUTPUT)
    save_draws: bool = option(
        False, help="Write every quantity in every bootstrap draw (draws.parquet), to pool runs by.", panel=OUTPUT
    )

    def conflicts(self) -> Iterator[str]:
        """Fewer than two models, and gates that make no sense."""
        found = list(super().conflicts())
        yield from found
        if not found:
            yield from gate_problems(self.fail_if, self, paired=True)
        if len(self.models) < (1 if self.remedy else 2):
            yield "Give two or more embeddings files, or two or more recognisers with --data."
        chosen = self.matched_age is not None or self.drop_duplicates is not None
        yield from self.remedy_conflicts(non_mated=self.non_mated, others=chosen)
        if self.names and len(self.names) != len(self.models):
            yield f"--name is given {counted(len(self.names), 'time')} for {counted(len(self.models), 'model')}."
