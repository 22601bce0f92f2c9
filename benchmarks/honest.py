"""Whether what a study says of itself holds."""

from collections.abc import Iterator

from benchmarks import honest_enough, honest_importance
from benchmarks.figures import Row, figure


@figure("Enough: budget saved and regret lost", target="")
def enough(quick: bool) -> Iterator[Row]:
    """See `benchmarks.honest_enough`."""
    yield from honest_enough.rows(quick)


@figure("importance: intervals that hold the truth", target="")
def importance(quick: bool) -> Iterator[Row]:
    """See `benchmarks.honest_importance`."""
    yield from honest_importance.rows(quick)
