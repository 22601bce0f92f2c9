"""The figures of an honest answer: how far the number that a study reports can be trusted."""

from collections.abc import Iterator

from benchmarks.figures import Row, figure


@figure("trainings that diverge, stopped within 50 steps", target=">= 100", unit="%")
def detected(quick: bool) -> Iterator[Row]:
    """The detector on networks, data and optimizers that its thresholds have not seen."""
    from benchmarks.honest_stability import detected_rows

    return detected_rows(quick)


@figure("healthy curves with warm restarts and spikes that recover, stopped", target="<= 1", unit="%")
def spared(quick: bool) -> Row:
    """Of the same networks, at rates up to the largest stable one."""
    from benchmarks.honest_stability import spared_row

    return spared_row(quick)


@figure("a third of the space runs out of memory: share of 100 trials wasted", target="<= 0.3 x peer", unit="%")
def wasted(quick: bool) -> Iterator[Row]:
    """Beside Optuna's TPE in the same run."""
    from benchmarks.honest_stability import wasted_rows

    return wasted_rows(quick)
