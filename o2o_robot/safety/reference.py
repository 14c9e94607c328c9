"""Where the arm is to be told to be: the last target let through, or where to stay while it is held."""

from __future__ import annotations

import numpy as np

from o2o_robot.errors import LimitError
from o2o_robot.safety.motion_shaper import MotionShaper, ShaperConfig
from o2o_robot.safety.reason import BLIND, Reason
from o2o_robot.safety.state_watch import is_finite
from o2o_robot.types import ArmState, Pose

_YIELD = Reason.TRACKING | Reason.FORCE_HARD  # held up by something: stay where the arm is, not where it was going


class Reference:
    """Without a shaper a target is told at once and a hold is the measured pose. With one (real time) every change is
    a motion within its bounds: a hold is where the arm comes to rest, and `next` must be asked once a tick.
    """

    def __init__(self, stray_m: float, shaper: MotionShaper | None = None) -> None:
        self._stray_m, self._shaper = stray_m, shaper
        self._seen: Pose | None = None  # the last measured tool pose that was finite
        self._sent: Pose | None = None  # the last target let through
        self._hold: Pose | None = None  # where to stay, while holding

    @property
    def is_shaped(self) -> bool:
        return self._shaper is not None

    @property
    def told(self) -> Pose | None:
        """The shaper's last output: what the arm should be near to. None without a shaper or before the first."""
        return self._shaper.pose if self._shaper else None

    @property
    def is_at_rest(self) -> bool:
        """Whether nothing is on its way. Without a shaper the arm is told where to be at once."""
        return self._shaper is None or self._shaper.pose is None or self._shaper.is_at_rest

    def rebound(self, shaping: ShaperConfig | None) -> None:
        """Other bounds of the motion. Raises LimitError where shaping itself would be switched on or off."""
        if (shaping is None) != (self._shaper is None):
            raise LimitError("shaped cannot change while the guard runs; restart it")
        if self._shaper and shaping:
            self._shaper.rebound(shaping)

    def seen(self, tool: Pose) -> None:
        self._seen = tool

    def start(self, tool: Pose) -> None:
        """The guard is armed here: the first output."""
        self._sent, self._hold = None, tool
        if self._shaper:
            self._shaper.restart(tool)

    def forget(self) -> None:
        """A new episode: the next hold measures the arm anew, since the scene's reset may have moved it."""
        self._sent = self._hold = None

    def send(self, target: Pose) -> None:
        self._sent, self._hold = target, None

    def let_go(self) -> None:
        """A hold that begins after this one is somewhere else."""
        self._hold = None

    def hold(self, state: ArmState, reasons: Reason) -> None:
        """Remember where to stay; kept while the hold lasts, since measured each time it would creep under load."""
        blind = bool(reasons & BLIND) or not is_finite(state)
        if self._hold is None:
            self._hold = self._place_to_stay(state, reasons, blind)
        elif not blind and self._strayed(self._hold, state):
            self._hold = state.tool  # something else moved the arm (a hand, a scene's reset): it must not snap back
            if self._shaper:
                self._shaper.restart(state.tool)

    def place(self, state: ArmState) -> Pose:
        """The hold's pose, and the measured one where nothing is held."""
        return self._hold or state.tool

    def target(self, state: ArmState) -> Pose:
        """Where the arm is to get to."""
        return self._hold or self._sent or state.tool

    def next(self, target: Pose, state: ArmState) -> Pose:
        """What to tell the arm at this tick, on the way to `target`."""
        if self._shaper is None:
            return target
        if self._shaper.pose is None:
            self._shaper.restart(state.tool)
        return self._shaper.step(target, state.q_rad)

    def _place_to_stay(self, state: ArmState, reasons: Reason, blind: bool) -> Pose | None:
        if self._shaper and self._shaper.pose is not None:
            return state.tool if reasons & _YIELD and not blind else self._shaper.stand()
        return (self._sent or self._seen) if blind else state.tool

    def _strayed(self, hold: Pose, state: ArmState) -> bool:
        if self._shaper and not self._shaper.is_at_rest:
            return False  # still on its way: the arm follows behind
        return float(np.abs(hold.position_m - state.tool.position_m).max()) > self._stray_m
