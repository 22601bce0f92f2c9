"""The figures of an honest answer: how far the number that a study reports can be trusted."""

from collections.abc import Iterator

from benchmarks.figures import Row, figure


@figure("early-stopped cross-validation on 10 real data sets", target="")
def early_stopped_folds(quick: bool) -> Iterator[Row]:
    """Configs a budget, and test errors in pooled standard deviations, against whole cross-validation."""
    from benchmarks.honest_folds import early_rows

    return early_rows(quick)
