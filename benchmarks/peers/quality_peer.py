"""What every peer's program does: propose configs on its standard output, read what they cost on its standard input.

    {"parameters": [...], "seed": 3, "trials": 100, "bad": 9.0}   read: begin a run; `bad` is a loss that is a bad one
    {"config": {...}, "cpu": 0.01, "wall": 0.01}          written: what to try next, and the seconds that it took
    {"loss": 1.5}                                         read: its loss; null where it could not run
    {"end": true}                                         written: the run is over, another may begin

A parameter is {"name", "kind", "when"} with "low", "high" and "log" (kinds "float" and "int") or "choices" ("cat",
"ord"); `when` lists [parent, options], all of which must hold for it to be active. Needs no package.
"""

import json
import math
import os
import sys
import time


class Link:
    """The other side of the pipe. What a package prints goes to the error stream."""

    def __init__(self):
        self._out = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)
        self.say({"ready": True})

    def say(self, message):
        """Write one line."""
        self._out.write(json.dumps(message) + "\n")
        self._out.flush()

    def hear(self):
        """Read one line; the end of the input is the end of the program."""
        line = sys.stdin.readline()
        if not line:
            sys.exit(0)
        return json.loads(line)


class Asker:
    """Asks for the loss of a config, and times what lies between two questions."""

    def __init__(self, link, bad):
        self._link = link
        self._worst = bad
        self._left = time.perf_counter(), time.process_time()

    def __call__(self, config):
        wall, cpu = time.perf_counter() - self._left[0], time.process_time() - self._left[1]
        self._link.say({"config": config, "cpu": cpu, "wall": wall})
        loss = self._link.hear()["loss"]
        if loss is not None:
            self._worst = max(self._worst, loss)
        self._left = time.perf_counter(), time.process_time()
        return loss

    def finite(self, config):
        """The loss, for a tool that knows no failed trial: it is told a bad loss, or the worst so far if worse."""
        loss = self(config)
        return self._worst if loss is None else loss


def serve(run):
    """Serve runs until the input ends. `run(parameters, seed, trials, ask)` asks for the losses of `trials` configs."""
    link = Link()
    while True:
        order = link.hear()
        run(order["parameters"], order["seed"], order["trials"], Asker(link, order["bad"]))
        link.say({"end": True})


def top(parameters):
    """The parameters without a condition."""
    return [parameter for parameter in parameters if not parameter["when"]]


def below(parameters, parent, option):
    """The parameters that are active where `parent` is `option`; one condition each is what the tasks have."""
    conditional = [each for each in parameters if each["when"] and each["when"][0][0] == parent]
    return [each for each in conditional if option in each["when"][0][1]]


def active(parameters, values):
    """The entries of `values` that are active, the condition of each being met."""
    kept = {}
    for parameter in parameters:
        if all(parent in kept and kept[parent] in options for parent, options in parameter["when"]):
            kept[parameter["name"]] = values[parameter["name"]]
    return kept


def logs(parameter):
    """The logarithms of the ends of a range."""
    return math.log(parameter["low"]), math.log(parameter["high"])


def plain(value):
    """A number of NumPy as one of Python, which JSON can write."""
    return value.item() if hasattr(value, "item") else value
