"""What takes a run's numbers: one small protocol, three rooms behind it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Tracker(Protocol):
    """Shows numbers to people. The run's own JSONL stay the truth; a tracker that fails must not stop a run.

    tracker.scalars({"learner/td_loss": 0.3}, step=120)
    tracker.flush()
    tracker.close()
    """

    def scalars(self, values: Mapping[str, float], *, step: int) -> None:
        """Numbers at a step (updates for what is learned, environment steps for episodes), all finite."""
        ...

    def flush(self) -> None:
        """All that was told is where it can be seen, or on its way."""
        ...

    def close(self) -> None: ...
