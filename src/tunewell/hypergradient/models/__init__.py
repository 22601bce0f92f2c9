"""The NumPy face: models with a solution and the equations that it satisfies.

    data.py         rows to train and to validate on
    equations.py    Equations: a model of your own
    ridge.py        Ridge
    elastic.py      ElasticNet, on its support; the lasso
    logistic.py     Logistic; LinearMachine, with the squared hinge
    kernel.py       KernelRidge; GaussianProcess, by its likelihood
    machine.py      KernelMachine, the support vector machine with the hinge
    estimators.py   from_estimator: those of scikit-learn
"""
