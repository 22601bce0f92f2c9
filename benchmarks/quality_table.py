"""The table of the quality benchmark: who has which regret and rank, and who is ahead of whom by how much."""

from collections.abc import Mapping, Sequence

from benchmarks.quality_runs import MARKS, Contender, rows_of
from benchmarks.quality_statistics import Comparison, Rows, compare, holm, interval, ranks, task_means
from benchmarks.tasks import groups, trials_of

Table = Mapping[str, Rows]
"""The rows of each contender, by its name."""


def table_of(contenders: Sequence[Contender], names: Sequence[str], seeds: int | None = None) -> dict[str, Rows]:
    """What is kept of contenders on tasks; without those that have nothing."""
    wanted = set(names)
    found = {}
    for contender in contenders:
        rows = rows_of(contender.path).items()
        kept = {key: row for key, row in rows if key[0] in wanted}
        found[contender.name] = {key: row for key, row in kept.items() if seeds is None or key[1] < seeds}
    return {name: rows for name, rows in found.items() if rows}


def means_at(table: Table, mark: int, names: Sequence[str]) -> dict[str, dict[str, float]]:
    """The mean regret of each contender on each task."""
    return {name: task_means(rows, mark, names) for name, rows in table.items()}


def complete(table: Table, names: Sequence[str]) -> dict[str, Rows]:
    """The contenders that have a run on every task: those that can be ranked together."""
    return {name: rows for name, rows in table.items() if {task for task, _ in rows} >= set(names)}


def curve(rows: Rows, names: Sequence[str]) -> dict[int, float]:
    """The mean regret over tasks after so many evaluations."""
    most = min(map(trials_of, names))
    each = {mark: task_means(rows, mark, names) for mark in MARKS if mark <= most}
    return {mark: sum(means.values()) / len(means) for mark, means in each.items() if means}


def comparisons(table: Table, ours: str, mark: int, names: Sequence[str]) -> dict[str, Comparison]:
    """One of ours against every other contender, on the tasks that both have."""
    means = means_at(table, mark, names)
    return {name: compare(means[ours], theirs) for name, theirs in means.items() if name != ours and theirs}


# --- as text ---------------------------------------------------------------------------------------------------------


def lines(table: Table, names: Sequence[str], marks: Sequence[int], ours: str | None = None) -> list[str]:
    """The table, and where `ours` is named, its paired comparisons."""
    text = [*_regrets(table, names, marks)]
    if ours in table and len(table) > 1:
        text += ["", *_paired(table, str(ours), names, marks)]
    return text


def _regrets(table: Table, names: Sequence[str], marks: Sequence[int]) -> list[str]:
    whole = complete(table, names)
    width = max(map(len, table)) + 2
    heads = [f"{f'regret {mark}':>22}" for mark in marks] + [f"{f'rank {mark}':>9}" for mark in marks]
    text = [f"{'':<{width}}{'tasks':>6}{'runs':>6}" + "".join(heads) + f"{'s/suggestion':>14}"]
    ranked = {mark: ranks(means_at(whole, mark, names)) if whole else {} for mark in marks}
    order = sorted(table, key=lambda name: (name not in whole, _mean(table[name], marks[len(marks) // 2], names)))
    for name in order:
        cells = [f"{_cell(table[name], mark, names):>22}" for mark in marks]
        places = [f"{_average(ranked[mark].get(name)):>9}" for mark in marks]
        rows = table[name]
        count = f"{len({task for task, _ in rows}):>6}{len(rows):>6}"
        seconds = sum(row["seconds"] for row in rows.values()) / len(rows)
        text.append(f"{name:<{width}}{count}{''.join(cells)}{''.join(places)}{seconds:>14.4f}")
    return text


def _mean(rows: Rows, mark: int, names: Sequence[str]) -> float:
    means = task_means(rows, mark, names)
    return sum(means.values()) / len(means) if means else 1.0


def _cell(rows: Rows, mark: int, names: Sequence[str]) -> str:
    values = list(task_means(rows, mark, names).values())
    if not values:
        return "-"
    low, high = interval(values)
    return f"{sum(values) / len(values):.4f} [{low:.3f}, {high:.3f}]"


def _average(values: Sequence[float] | None) -> str:
    return f"{sum(values) / len(values):.2f}" if values else "-"


def _paired(table: Table, ours: str, names: Sequence[str], marks: Sequence[int]) -> list[str]:
    width = max(map(len, table)) + 2
    heads = [f"{f'at {mark}: ratio, 95 % interval, p (Holm)':>44}" for mark in marks]
    text = [f"{ours} against", f"{'':<{width}}{'tasks':>6}" + "".join(heads)]
    by_mark = {mark: comparisons(table, ours, mark, names) for mark in marks}
    adjusted = {mark: holm({name: each.p for name, each in found.items()}) for mark, found in by_mark.items()}
    for name, first in sorted(by_mark[marks[0]].items(), key=lambda each: -each[1].ratio):
        cells = [_compared(by_mark[mark].get(name), adjusted[mark].get(name)) for mark in marks]
        text.append(f"{name:<{width}}{first.tasks:>6}" + "".join(f"{cell:>44}" for cell in cells))
    return text


def _compared(found: Comparison | None, p: float | None) -> str:
    if found is None or p is None:
        return "-"
    return f"{found.ratio:.3f} [{found.low:.3f}, {found.high:.3f}] p={p:.2g}"


def by_task(table: Table, names: Sequence[str], mark: int) -> list[str]:
    """The mean regrets of every task, a column for each contender."""
    means = means_at(table, mark, names)
    text = [f"{f'regret at {mark}':<44}" + "".join(f"{name[:16]:>17}" for name in table)]
    for name in names:
        cells = [f"{means[each][name]:>17.4f}" if name in means[each] else f"{'-':>17}" for each in table]
        text.append(f"{name:<44}" + "".join(cells))
    return text


def tasks_of(words: Sequence[str], count: int | None = None) -> list[str]:
    """The tasks of groups, or with names that begin so; at most so many, spread evenly."""
    from benchmarks.tasks import spread_evenly

    found: list[str] = []
    for word in words:
        all_names = [name for group in groups().values() for name in group]
        found += groups().get(word) or [name for name in all_names if name.startswith(word)]
    unique = list(dict.fromkeys(found))
    return unique if count is None or count >= len(unique) else spread_evenly(unique, count)
