"""The figures of an honest answer: how far the number that a study reports can be trusted."""

from collections.abc import Iterator

from benchmarks.figures import Row, figure


@figure("early-stopped cross-validation on 10 real data sets", target="")
def early_stopped_folds(quick: bool) -> Iterator[Row]:
    """Configs a budget, and test errors in pooled standard deviations, against whole cross-validation."""
    from benchmarks.honest_folds import early_rows

    return early_rows(quick)


@figure("holdout with new validation rows for each config, and overtuning", target="")
def reshuffled_holdout(quick: bool) -> Iterator[Row]:
    """On the same data sets: whether it helps, and how often a study ends worse than it stood before."""
    from benchmarks.honest_folds import holdout_rows

    return holdout_rows(quick)


@figure("nested evaluation: bias of the best inner score and of the outer scores", target="")
def nested_evaluation(quick: bool) -> Iterator[Row]:
    """Against the rest of data sets of which the tuner has only a few rows."""
    from benchmarks.honest_folds import nested_rows

    return nested_rows(quick)
