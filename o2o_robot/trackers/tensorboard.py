"""TensorBoard's event files, written without torch: nodes that have none can use it too. TensorBoard enters here."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path


class TensorBoard:
    """A Tracker into folder/, which `tensorboard --logdir` of any folder above it shows as one run."""

    def __init__(self, folder: Path, *, clock: Callable[[], float] = time.time) -> None:
        """clock: wall time in seconds, one of TensorBoard's axes. Raises ImportError without the package."""
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        folder.mkdir(parents=True, exist_ok=True)
        self._event, self._summary, self._clock = Event, Summary, clock
        self._writer = EventFileWriter(str(folder))

    def scalars(self, values: Mapping[str, float], *, step: int) -> None:
        """One event for all of them."""
        parts = [self._summary.Value(tag=name, simple_value=value) for name, value in values.items()]
        self._writer.add_event(self._event(wall_time=self._clock(), step=step, summary=self._summary(value=parts)))

    def flush(self) -> None:
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()
