"""The methods that come with tunewell, one family a file. Each imports only those above it:

    random.py        Random
    quasirandom.py   Sobol, Halton, LatinHypercube
    grid.py          Grid
    narrowing.py     which part of a space the evidence leaves: what Then and Zoom narrow by
    compose.py       Take, Then
    zoom.py          Zoom
    unique.py        Unique
    auto.py          Auto: what a study uses that names no method

A method of your own needs none of them: any frozen dataclass with `propose` will do, see `tunewell.method`.
"""
