"""Every error that tunewell raises on purpose.

TunewellError
├── SpaceError(ValueError)         a space, an entry or a config is wrong
├── StudyError(ValueError)         a study is asked for something that it cannot mean
│   └── Unsupported                a method cannot serve this space, these goals or this objective
├── ObjectiveError(TypeError)      the training function cannot be called, or answers nonsense
├── GradientError(ArithmeticError) a gradient cannot be had, or not be trusted: says what to change
├── FileError(ValueError)          a study file is wrong: says the file, the line and the nearest right word
├── CheckpointError(OSError)       a checkpoint is missing, cut short or altered
├── MissingExtra(ImportError)      an optional dependency is not installed: says what to install
└── StoreError(OSError)            the store cannot be used
    ├── NotAStudy                  that file or database holds something else
    ├── TooNew                     written by a newer tunewell
    ├── Conflict                   that job id is taken, or has its Result: read again
    └── Stale                      a newer attempt owns the job: what this one says is refused

Released(BaseException)            not an error: ends a training function whose job is over
"""

from __future__ import annotations


class TunewellError(Exception):
    """The root of the tree. `hint` is a second sentence: what to do about it."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(f"{message}\n{hint}" if hint else message)
        self.message = message
        self.hint = hint


class SpaceError(TunewellError, ValueError):
    """A space, one of its entries or a config is wrong; the message names the entry."""


class StudyError(TunewellError, ValueError):
    """A study is asked for something that it cannot mean."""


class Unsupported(StudyError):
    """A method cannot serve this space, these goals or this objective; the hint says which method can."""


class ObjectiveError(TunewellError, TypeError):
    """The training function cannot be called with one `run`, or answers what is not a metric."""


class GradientError(TunewellError, ArithmeticError):
    """A gradient by hyperparameters cannot be had, or not be trusted; the message says why, the hint what to change."""


class FileError(TunewellError, ValueError):
    """A study file is wrong; the message gives the file and the line."""


class CheckpointError(TunewellError, OSError):
    """A checkpoint is missing, cut short or altered."""


class MissingExtra(TunewellError, ImportError):
    """An optional dependency is not installed; the hint is the command that installs it."""


class StoreError(TunewellError, OSError):
    """The store cannot be used."""


class NotAStudy(StoreError):
    """The file or database exists and holds something else."""


class TooNew(StoreError):
    """The store was written by a newer tunewell."""


class Conflict(StoreError):
    """The job id is taken, or the job has its Result already: read the log again and decide anew."""


class Stale(StoreError):
    """A newer attempt owns the job; what the older one says is refused."""


class Released(BaseException):
    """Raised inside a training function when its job is over. Let it pass: it is no failure."""
