"""Where one episode of a recording ends and the next begins, as its contract's `split` says."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from o2o_robot.data.contract import Contract
from o2o_robot.data.streams import Recording


class Span(NamedTuple):
    """One episode to be, from start_ns to end_ns inclusive, in the time of the sensors' stamps."""

    start_ns: int
    end_ns: int


def spans(recording: Recording, contract: Contract, names: dict[str, str]) -> list[Span]:
    """The episodes of the recording in order, not overlapping. Raises DataError where there is none."""
    whole = np.iinfo(np.int64)
    return [Span(int(whole.min), int(whole.max))]
