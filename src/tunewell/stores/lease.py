"""Who runs a job: one row, and when it counts."""

from __future__ import annotations

from typing import NamedTuple

from tunewell.owner import is_gone


class Lease(NamedTuple):
    """The newest lease on a job. `attempt` counts the claims; `owner` is empty once it is released or expired."""

    owner: str
    attempt: int

    def is_free_for(self, owner: str) -> bool:
        """Whether `owner` may claim: nobody else holds it, or a process of this machine that is dead."""
        return self.owner in ("", owner) or is_gone(self.owner)


NONE = Lease("", 0)
