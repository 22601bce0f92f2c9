"""The methods that come with tunewell, one family a file. Each imports only those above it:

    random.py         Random
    plan.py           what methods share that ask for numbered points, one after the other
    quasirandom.py    Sobol, Halton, LatinHypercube
    grid.py           Grid
    narrowing.py      which part of a space the evidence leaves
    compose.py        Take, Then; and what methods share that go on with what another one begins
    enough.py         Enough: ends a method when more trials promise too little
    rungs.py          the rungs of successive halving: steps, tables, who stands where
    halving.py        Halving: successive halving, ASHA, Hyperband
    folds.py          CrossValidation: fold by fold, as long as a config may still win
    stopped.py        Stopped: MedianStop, Patience
    rewind.py         Rewind: back to the last good checkpoint, with a lower learning rate
    sharing.py        WeightSharing: one job trains the weights by which networks are judged
    pbt.py            PBT: population-based training
    schedule.py       Schedule: a config that changes at given steps; that of a lineage
    unique.py         Unique: no config twice
    repeat.py         Repeat, Race: several seeds for each config
    confirm.py        Confirm: fresh seeds for the finalists
    zoom.py           Zoom
    cube.py           a space as a model and a search see it: many points at once
    history.py        what ended, as a model reads it
    descent.py        descent in the unit cube by values and gradients
    hypergradient.py  HyperGradient: along the gradients that results carry
    evolution.py      Evolution: mutation, crossover, differences; regularized, genetic, (mu + lambda), DE
    localsearch.py    LocalSearch: from a config to a better neighbour, and anew where there is none
    layout.py         a space as a normal distribution sees it: numbers, cells, options
    normal.py         a normal distribution that learns from ranks, with a margin for integers
    cmaes.py          CMAES: a normal distribution that adapts; integers and options by a margin; restarts
    genes.py          configs as genes: crossover and mutation of points
    nsga2.py          NSGA2: evolution with several goals
    tpe.py            TPE: the density of the good trials over that of the others
    terms.py          what an acquisition is made of
    known.py          a goal that follows from the config alone, computed
    front.py          what several goals make of it
    readings.py       outcomes as the arrays that models are made of
    promise.py        the acquisition of Bayes: its models, and what they promise at any point
    search.py         where a function on a space is largest
    avoid.py          Avoid: around any method, what is likely to fail is proposed anew
    bayes.py          Bayes: a Gaussian process
    freezethaw.py     FreezeThaw: curves extrapolated, steps to the one most worth them
    auto.py           Auto: what a study uses that names no method

A method of your own needs none of them: any frozen dataclass with `propose` will do, see `tunewell.method`.
"""
