"""Problems that several tests share."""

import numpy as np


def regression(rows=80, features=20, held=40, noise=1.0, seed=0):
    """Training and validation rows of a linear model."""
    rng = np.random.default_rng(seed)
    truth = rng.standard_normal(features)
    x, x_held = rng.standard_normal((rows, features)), rng.standard_normal((held, features))
    return x, x @ truth + noise * rng.standard_normal(rows), x_held, x_held @ truth + noise * rng.standard_normal(held)


def central(loss, values, name, step=1e-5):
    """Central differences of `loss(values)` by each number of one value, at relative steps."""
    centre = np.atleast_1d(np.asarray(values[name], dtype=float))
    found = []
    for place, size in enumerate(step * np.abs(centre)):
        moved = [centre.copy(), centre.copy()]
        moved[0][place] += size
        moved[1][place] -= size
        shaped = [part if np.ndim(values[name]) else float(part[0]) for part in moved]
        up, down = (loss({**values, name: part}) for part in shaped)
        found.append((up - down) / (2 * size))
    return np.array(found)
