"""`python3 dev.py bench`: take the figures of the benchmark files and print a row for each.

It exits with 0 when it ran, whatever was met; 2 when it was asked for something that is not there.
"""

import argparse
import contextlib
import difflib
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence

from benchmarks.figures import ONE_THREAD, Figure, Row, benchmarks, figures_of

WORDS = {True: "yes", False: "no", None: "-"}


def parser() -> argparse.ArgumentParser:
    """The command line."""
    known = benchmarks()
    line = argparse.ArgumentParser(prog="dev.py bench", description="Measure tunewell beside its peers.")
    line.add_argument("names", nargs="*", metavar="NAME", help=f"which benchmarks: {', '.join(known)} (default: all)")
    line.add_argument("--only", action="append", default=[], metavar="TEXT", help="only figures with TEXT in the name")
    line.add_argument("--json", action="store_true", help="print a JSON list of rows and nothing else")
    line.add_argument("--quick", action="store_true", help="small sizes: a check that it runs, not a measurement")
    line.add_argument("--list", action="store_true", help="name the figures and their targets, measure nothing")
    return line


def chosen(names: Sequence[str], texts: Sequence[str]) -> dict[str, list[Figure]]:
    """The figures asked for, by benchmark."""
    known = benchmarks()
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise LookupError(f"no benchmark {name!r}{hint} There are: {', '.join(known)}")
    figures = {name: figures_of(name) for name in names or known}
    if texts:
        figures = {name: [figure for figure in some if named(figure, texts)] for name, some in figures.items()}
        if not any(figures.values()):
            raise LookupError(f"no figure with {' or '.join(map(repr, texts))} in its name; --list names them")
    return {name: some for name, some in figures.items() if some}


def named(figure: Figure, texts: Sequence[str]) -> bool:
    """Whether one of the texts is in the figure's name."""
    return any(text.lower() in figure.name.lower() for text in texts)


def rows(figures: Sequence[Figure], quick: bool) -> Iterator[tuple[Row, float]]:
    """The rows of the figures as they are taken, and the seconds since the one before."""
    for figure in figures:
        taken = figure.rows(quick)
        while True:
            start = time.perf_counter()
            with contextlib.redirect_stdout(sys.stderr):
                row = next(taken, None)
            if row is None:
                break
            yield row, time.perf_counter() - start


def number(value: float | None) -> str:
    """A value as a person reads it: four digits that count."""
    return "-" if value is None else f"{value:,.0f}" if abs(value) >= 1e4 else f"{value:.4g}"


def line_of(width: int, name: str, measured: str, peer: str, target: str, met: str) -> str:
    """One row, its cells below those of the row above."""
    return f"{name:<{width}}  {measured:>16}  {peer:>12}  {target:<24}  {met}"


def table(name: str, figures: Sequence[Figure], quick: bool) -> Iterator[Row]:
    """Print the rows of one benchmark as they come."""
    width = max(len(figure.name) for figure in figures) + 4
    print(line_of(width, name, "measured", "peer", "target", "met"), flush=True)
    for row, seconds in rows(figures, quick):
        met = f"error: {row.error}" if row.error else WORDS[row.met]
        measured = f"{number(row.measured)} {row.unit}".strip()
        cells = measured, number(row.peer), row.target or "-", f"{met}  ({seconds:.0f} s)"
        print(line_of(width, f"  {row.name}", *cells), flush=True)
        yield row


def listing(figures: dict[str, list[Figure]]) -> None:
    """Name the figures."""
    for name, some in figures.items():
        print(name)
        for figure in some:
            print(f"  {figure.name}  {figure.target} {figure.unit}".rstrip())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line."""
    options = parser().parse_args(arguments)
    os.environ.update(ONE_THREAD)
    try:
        figures = chosen(options.names, options.only)
    except LookupError as error:
        print(f"dev.py bench: {error.args[0]}", file=sys.stderr)
        return 2
    if options.list:
        listing(figures)
    elif options.json:
        taken = [row.as_json() for some in figures.values() for row, _ in rows(some, options.quick)]
        print(json.dumps(taken, indent=1))
    else:
        report(figures, options.quick)
    return 0


def report(figures: dict[str, list[Figure]], quick: bool) -> None:
    """Print every table, and how many targets were met."""
    if quick:
        print("quick: sizes too small to judge by")
    judged = [row.met for name, some in figures.items() for row in table(name, some, quick) if row.met is not None]
    print(f"{sum(judged)} of {len(judged)} targets met")


if __name__ == "__main__":
    sys.exit(main())
