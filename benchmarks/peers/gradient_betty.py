"""Betty's gradient of a validation loss by two penalties of softmax regression, at the minimum, by Neumann's series.

Usage: gradient_betty.py ROUNDS. Prints one line of JSON: {"gradient": [...], "seconds": median}, CPU seconds. Its
conjugate gradients are left out: those of 0.1.1 take the old residual for the new direction, and do not converge.
"""

import json
import statistics
import sys
import time
from typing import Any

import numpy as np

DECAY = [3e-2, 1e-2]
TERMS = 200


def batches() -> list[tuple[Any, Any]]:
    """Training and validation rows: inputs (500, 64) and labels (500,)."""
    rng = np.random.default_rng(1)
    truth = rng.standard_normal((64, 10))
    inputs = [rng.standard_normal((500, 64)) for _ in range(2)]
    return [(x, (x @ truth + 3 * rng.standard_normal((500, 10))).argmax(1)) for x in inputs]


def train_loss(torch: Any, weight: Any, bias: Any, decay: Any, batch: Any) -> Any:
    """Cross-entropy and a penalty each on weights (10, 64) and bias (10,)."""
    loss = torch.nn.functional.cross_entropy(batch[0] @ weight.T + bias, batch[1])
    return loss + decay[0] * weight.square().sum() + decay[1] * bias.square().sum()


def solved(torch: Any, batch: Any) -> Any:
    """The module at the minimum."""
    module = torch.nn.Linear(64, 10).double()
    decay = torch.tensor(DECAY, dtype=torch.float64)
    optimizer = torch.optim.LBFGS(
        module.parameters(), max_iter=2000, tolerance_grad=1e-12, tolerance_change=0, line_search_fn="strong_wolfe"
    )

    def closure() -> Any:
        optimizer.zero_grad()
        loss = train_loss(torch, module.weight, module.bias, decay, batch)
        loss.backward()
        return loss

    optimizer.step(closure)
    return module


def problems(torch: Any, batch: Any) -> tuple[Any, Any]:
    """The problem whose solution is differentiated, and that of the penalties."""
    from betty.configs import Config
    from betty.problems import ImplicitProblem

    class Penalties(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.decay = torch.nn.Parameter(torch.tensor(DECAY, dtype=torch.float64))

    class Inner(ImplicitProblem):  # type: ignore[misc]
        def training_step(self, batch: Any) -> Any:
            return train_loss(torch, self.module.weight, self.module.bias, outer.module.decay, batch)

    # the largest curvature of cross-entropy is at most half of that of the inputs, with their column of ones
    x = torch.cat([batch[0], torch.ones(len(batch[0]), 1)], 1)
    largest = 0.5 * float(torch.linalg.eigvalsh(x.T @ x / len(x))[-1]) + 2 * max(DECAY)
    settings = Config(type="neumann", neumann_iterations=TERMS, neumann_alpha=1 / largest)
    outer = ImplicitProblem("outer", Config(), module=Penalties(), device="cpu")
    inner = Inner("inner", settings, module=solved(torch, batch), device="cpu")
    inner.cur_batch = batch
    return inner, outer


def main() -> None:
    """Measure and print."""
    import torch
    from betty.hypergradient import get_grads

    torch.set_num_threads(1)
    train, held = [(torch.from_numpy(x), torch.from_numpy(y)) for x, y in batches()]
    inner, outer = problems(torch, train)
    taken = []
    for _ in range(int(sys.argv[1])):
        start = time.process_time()
        loss = torch.nn.functional.cross_entropy(inner.module(held[0]), held[1])
        found = get_grads(loss, [outer, inner, outer], False)[0]
        taken.append(time.process_time() - start)
    print(json.dumps({"gradient": found.tolist(), "seconds": statistics.median(taken)}))


if __name__ == "__main__":
    main()
