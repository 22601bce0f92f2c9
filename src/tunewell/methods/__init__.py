"""The methods that come with tunewell, one family a file. Each imports only those above it:

    random.py        Random
    plan.py          what methods share that ask for numbered points, one after the other
    quasirandom.py   Sobol, Halton, LatinHypercube
    grid.py          Grid
    narrowing.py     which part of a space the evidence leaves
    compose.py       Take, Then
    unique.py        Unique: no config twice
    zoom.py          Zoom
    auto.py          Auto: what a study uses that names no method

A method of your own needs none of them: any frozen dataclass with `propose` will do, see `tunewell.method`.
"""
