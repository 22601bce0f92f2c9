"""What people see of a study: figures, one HTML page, tables, exports, live progress.

    text.py        numbers, durations and names as short text
    whole.py       files that are written whole or not at all
    progress.py    `watching(study, progress)`: what the loop shows while it runs; reads no store
    tables.py      rows of trials, rich tables, one trial in detail; CSV, JSON and Parquet
    axes.py        where an entry's value stands in a figure
    figures.py     plotly figures: history, curves, parallel coordinates, slices, importance, timeline
    review.py      what a reviewer asks, in sentences: cost, winner, default, random search, what is not established
    page.py        `write_page(study, path)`: all of it in one self-contained HTML file

Nothing here writes to a study. plotly, rich and pyarrow are imported where they are used.
"""
