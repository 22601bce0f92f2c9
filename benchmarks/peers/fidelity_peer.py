"""What the programs of multi-fidelity peers share: they ask for the loss of a config after so many epochs.

As in `quality_peer`, a run begins with an order on the standard input, here {"parameters", "seed", "epochs", "jobs"}.

    {"config": {...}, "since": 2, "until": 6, "cpu": 0.01}    written: train this config on to its sixth epoch
    {"losses": [1.9, 1.7, 1.6, 1.5]}                          read: its losses after those epochs
    {"over": true}                                            read instead: the budget is spent
    {"end": true}                                             written: the run is over, another may begin

Who trains a config again pays for the new epochs only, whether or not the tool can resume. Needs no package.
"""

import time

from quality_peer import Link


class Over(Exception):
    """The budget is spent."""


class Training:
    """`training(config, until)` is the loss after so many epochs; times what lies between two questions."""

    def __init__(self, link):
        self._link = link
        self._left = time.process_time()

    def __call__(self, config, until):
        return self.curve(config, until - 1, until)[-1]

    def curve(self, config, since, until):
        """The losses of all epochs after `since`, until `until`."""
        told = {"config": config, "since": since, "until": until, "cpu": time.process_time() - self._left}
        self._link.say(told)
        answer = self._link.hear()
        if "over" in answer:
            raise Over
        self._left = time.process_time()
        return answer["losses"]

    def epochs(self, config, rungs):
        """The (epoch, loss) of a config, one after the other; asked for rung by rung, as nothing is decided between."""
        before = 0
        for rung in rungs:
            losses = self.curve(config, before, rung)
            yield from enumerate(losses, before + 1)
            before = rung


def rungs(lowest, epochs):
    """`lowest`, and each three times the one below, and the last epoch."""
    found = [lowest]
    while found[-1] * 3 < epochs:
        found.append(found[-1] * 3)
    return [*found, epochs]


def serve(run):
    """Serve runs until the input ends. `run(parameters, seed, epochs, jobs, train)` trains until `train` raises Over;
    `epochs` are those of a full run, and about so many jobs fit into the budget.
    """
    link = Link()
    while True:
        order = link.hear()
        try:
            run(order["parameters"], order["seed"], order["epochs"], order["jobs"], Training(link))
        except Over:
            link.say({"end": True})
