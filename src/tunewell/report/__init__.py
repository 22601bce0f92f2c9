"""What people see of a study: figures, one HTML page, tables, exports, live progress.

    text.py        numbers, durations and names as short text
    sealed.py      what is said of the test set: score, gap, reads, luck
    whole.py       files that are written whole or not at all
    progress.py    `watching(study, progress)`: what the loop shows while it runs; reads no store
    tables.py      rows of trials, rich tables, one trial in detail; CSV, JSON and Parquet
    axes.py        where an entry's value stands in a figure
    figures.py     plotly figures: history, curves, parallel coordinates, slices, importance, timeline
    rungs.py       a figure and a table of the rungs of trials that stop on their way
    lineage.py     figures of who went on from whom (population-based training), and of the schedule found
    review.py      what a reviewer asks, in sentences: cost, winner, default, random search, what is not established
    page.py        `write_page(study, path)`: all of it in one self-contained HTML file

Nothing here writes to a study. plotly, rich and pyarrow are imported where they are used.
"""
