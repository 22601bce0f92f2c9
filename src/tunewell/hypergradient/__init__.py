"""The gradient of a validation loss by hyperparameters, through the training that they decide on. Usable alone.

    result.py        Hypergradient, and what says how far to trust it
    layout.py        named values as one vector, and back
    linear.py        conjugate gradients with damping, and Neumann's series
    newton.py        a minimum by Newton's method
    inner.py         Inner: what the implicit way needs to know of a fitted model
    check.py         a gradient beside central differences
    implicit.py      implicit: at the solution, whatever found it
    models/          the NumPy face: ridge, elastic net, logistic, kernels, scikit-learn, your own
"""
