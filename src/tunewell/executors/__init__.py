"""How jobs run: in this process, in worker processes, in simulated time.

Files, each importing only those above it; `run`, `checkpoint`, `command` and `worker` are loaded by every worker
process and import nothing outside the standard library:

    checkpoint.py   folders that are whole or not there
    run.py          Run, what a training function receives
    command.py      a program in any language as a training function
    worker.py       the worker process
    guard.py        the process that ends the workers when this one is killed
    reports.py      what jobs said, merged into blocks for the store
    check.py        what can be refused before anything runs
    inline.py       Inline: in this process
    limits.py       memory: what a process group takes, and whether the system killed it for that
    child.py        this side of one worker process
    processes.py    Processes: local worker processes
    simulated.py    Simulated: virtual time
"""
