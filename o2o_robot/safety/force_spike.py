"""Latches in a blow: a force that rises faster than any contact that was meant."""

from __future__ import annotations

import math
from collections import deque

from o2o_robot.safety.limit import require_positive
from o2o_robot.safety.reason import NONE, Reason
from o2o_robot.types import ArmState, Array

_MOST = 64  # samples kept; at 1 kHz more than the window holds


class ForceSpike:
    """Speaks when the force changed by more than `rise_n` within `window_s`, by the states' stamps.

    Over a window, not from sample to sample: an estimated wrench at 1 kHz flickers by a newton or two, which is
    thousands of newtons a second. The same state again, or one from before, says nothing new.
    """

    def __init__(self, rise_n: float, window_s: float) -> None:
        require_positive("max_force_rise_n", rise_n, "30 N")
        require_positive("force_window_s", window_s, "0.02")
        self._rise_n, self._window_ns = rise_n, round(window_s * 1e9)
        self._past: deque[tuple[int, Array]] = deque(maxlen=_MOST)

    def __call__(self, state: ArmState) -> Reason:
        if state.wrench is None:
            return NONE
        if self._past and state.stamp_ns < self._past[-1][0]:
            self._past.clear()
        while self._past and state.stamp_ns - self._past[0][0] > self._window_ns:
            self._past.popleft()
        force_n = state.wrench[:3]
        rise_n = max((math.dist(force_n, past_n) for _, past_n in self._past), default=0.0)
        if not self._past or state.stamp_ns > self._past[-1][0]:
            self._past.append((state.stamp_ns, force_n.copy()))
        return Reason.FORCE_HARD | Reason.FORCE_SPIKE if rise_n > self._rise_n else NONE
