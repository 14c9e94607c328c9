"""The one door to the motors: judges every command and every tick, and holds the arm when in doubt.

UNCONFIGURED --first good state--> IDLE --engage--> ARMED --accepted command--> RUN
ARMED, RUN --cause in STOPPING, or silence--> SOFT_STOP --causes gone, start_episode--> ARMED
ARMED, RUN, SOFT_STOP --cause in LATCHING; any state --latch()--> LATCHED --reset by a person--> IDLE

It reduces damage; it is not a certified safety function. It never clears an error of the robot's own controller.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from o2o_robot.errors import ArmError
from o2o_robot.safety.command_check import CommandCheck, CommandRules
from o2o_robot.safety.guard_state import GuardState, GuardTimes
from o2o_robot.safety.limit import Limit, StateCheck, Verdict, pass_through
from o2o_robot.safety.reason import BLIND, LATCHING, NONE, STOPPING, Reason, names
from o2o_robot.safety.state_watch import StateTimes, StateWatch, is_finite
from o2o_robot.safety.tally import SafetySnapshot, Tally
from o2o_robot.safety.watchdog import Watchdog
from o2o_robot.types import Action, ArmState, Pose

_MOVING = (GuardState.ARMED, GuardState.RUN)
_LIVE = (GuardState.ARMED, GuardState.RUN, GuardState.SOFT_STOP)


class Guard:
    """Judges; sends nothing itself. Times come in with every call: `now_ns` is the ROS clock (what stamps are compared
    with), `steady_s` a monotonic clock (what tells that a stream has dried up even while /clock is paused).

    guard.engage(now_ns, steady_s, state)                              # an operator's decision
    refused = guard.check_command(action, state, now_ns, steady_s)     # each command
    verdict = guard.judge(target, state)                               # where not refused; send verdict.target
    verdict = guard.tick(now_ns, steady_s, state)                      # 100 Hz; send verdict.target
    """

    def __init__(
        self,
        limits: Sequence[Limit],
        *,
        times: GuardTimes,
        state_times: StateTimes,
        command_rules: CommandRules,
        state_checks: Sequence[StateCheck] = (),
        engage_checks: Sequence[StateCheck] = (),
    ) -> None:
        self._limits, self._state_checks, self._engage_checks = tuple(limits), tuple(state_checks), tuple(engage_checks)
        self._times = times
        self._now_s = 0.0
        self._now_ns: int | None = None
        self._state_watch = StateWatch(state_times, self._clock)
        self._commands = CommandCheck(command_rules)
        self._silence = Watchdog(times.hold_s, self._clock)
        self._ticks = Watchdog(times.tick_gap_s, self._clock)
        self._trouble = Watchdog(times.resume_s or 1e-9, self._clock)
        self._tally = Tally()
        self._state = GuardState.UNCONFIGURED
        self._cause = NONE  # of the last stop or latch
        self._seen: Pose | None = None  # the last measured tool pose that was finite
        self._sent: Pose | None = None  # the last target let through
        self._hold: Pose | None = None  # where to stay, while holding

    @property
    def state(self) -> GuardState:
        return self._state

    # What an operator or an episode asks for.

    def engage(self, now_ns: int, steady_s: float, state: ArmState) -> None:
        """IDLE (or UNCONFIGURED, given a good state) to ARMED. Raises ArmError naming what stands against it.

        The first output after this is the measured pose.
        """
        self._set_time(now_ns, steady_s)
        reasons = self._judge_state(now_ns, state, ages=True)
        if not reasons & BLIND:
            reasons |= _ask(self._engage_checks, state)
        if reasons or self._state not in (GuardState.UNCONFIGURED, GuardState.IDLE):
            why = ", ".join(names(reasons)) or "only an idle guard can be armed"
            raise ArmError(f"guard is {self._state.value} and was not armed: {why}; clear the cause and arm again")
        self._commands.forget()
        self._silence.forget()
        self._ticks.feed()
        self._sent, self._hold = None, state.tool
        self._state = GuardState.ARMED

    def disengage(self) -> None:
        """Back to IDLE, whatever went on; a latch stays."""
        if self._state in _LIVE:
            self._state = GuardState.IDLE

    def reset(self) -> None:
        """A person has looked and takes LATCHED back to IDLE. Does nothing in another state."""
        if self._state is GuardState.LATCHED:
            self._state = GuardState.IDLE

    def latch(self, reason: Reason = Reason.ESTOP) -> None:
        """Stop, from any state, until a person resets."""
        self._tally.tick(self._tally.tick_reasons | reason)
        self._cause = reason
        self._state = GuardState.LATCHED

    def start_episode(self) -> Reason:
        """ARMED, RUN, or a SOFT_STOP whose causes are gone for `resume_s`, to ARMED; else what stands against it."""
        if self._state is GuardState.SOFT_STOP and self._times.resume_s and not self._trouble.expired:
            return Reason.SOFT_STOP | self._tally.tick_reasons
        if self._state not in _LIVE:
            return self._why_not_moving()
        self._commands.forget()
        self._silence.forget()
        self._sent = self._hold = None  # the scene's reset may have moved the arm: the next tick measures it anew
        self._state = GuardState.ARMED
        return NONE

    def end_episode(self) -> None:
        """RUN to ARMED: the arm holds, and silence is expected."""
        if self._state is GuardState.RUN:
            self._state = GuardState.ARMED

    def release(self) -> None:
        """The person at the teleop device hands back to the policy."""
        self._commands.release()

    # What each command and each tick asks for.

    def check_command(self, action: Action, state: ArmState, now_ns: int, steady_s: float) -> Reason:
        """Why this command must not be followed, or no reason. Order: state, clock, age, finite, order, takeover.

        A refused command is counted, and the arm is to hold: `hold_pose(state)`.
        """
        jumped = self._set_time(now_ns, steady_s)
        reason = jumped or self._judge_state(now_ns, state, ages=True)
        reason = reason or self._why_not_moving() or self._commands.judge(now_ns, action)
        if not reason:
            self._silence.feed()
            return NONE
        self._settle(reason)
        reason |= Reason.HOLD
        self._begin_hold(state, reason)
        self._tally.command(reason)
        return reason

    def judge(self, target: Pose, state: ArmState) -> Verdict:
        """What may be sent instead of `target`. Finite first; then every limit; then every limit again on the result,
        and where one still objects the arm holds (two limits that pull against each other have no safe compromise).
        """
        reasons = _why_unfit(target, state) or self._why_not_moving()
        self._settle(reasons)
        if not reasons:
            verdict = pass_through(self._limits, _normalised(target), state)
            reasons = verdict.reasons
            if not pass_through(self._limits, verdict.target, state).reasons:
                return self._send(verdict)
        reasons |= Reason.HOLD
        self._begin_hold(state, reasons)
        self._tally.command(reasons)
        return Verdict(self.hold_pose(state), reasons)

    def tick(self, now_ns: int, steady_s: float, state: ArmState) -> Verdict:
        """What the arm's target must be now: the last one sent, or the pose to hold, with the reasons.

        Latches in LATCHING causes, stops in STOPPING ones, holds when the last command is older than `hold_s`.
        Checks come in the order of the specification: the guard's own health, the state, the clock, the command.
        """
        jumped = self._set_time(now_ns, steady_s)
        ages = not self._times.lockstep
        reasons = self._judge_gap() | self._judge_state(now_ns, state, ages=ages) | jumped
        self._ticks.feed()
        self._settle(reasons)
        reasons |= self._judge_silence() if ages else NONE
        reasons |= self._why_not_moving() & ~Reason.NOT_ARMED
        if self._state is not GuardState.RUN or reasons:
            self._begin_hold(state, reasons)
            reasons |= Reason.HOLD if reasons else NONE
        self._tally.tick(reasons)
        return Verdict(self._hold or self._sent or state.tool, reasons)

    def hold(self, state: ArmState) -> Verdict:
        """Stay at the pose measured now, until the next command that is let through."""
        self._hold = None
        self._begin_hold(state, NONE)
        return Verdict(self.hold_pose(state), Reason.HOLD)

    def hold_pose(self, state: ArmState) -> Pose:
        """Where the arm is to stay. Kept while the hold lasts: re-measured each time, it would creep under load."""
        return self._hold or state.tool

    def snapshot(self) -> SafetySnapshot:
        """State, reasons, counts and ages, for SafetyState and the run's summary."""
        known, counts = self._tally.counts()
        reasons = self._tally.tick_reasons | self._tally.command_reasons
        if self._state in (GuardState.SOFT_STOP, GuardState.LATCHED):
            reasons |= self._cause  # it may be long over; who has to reset wants to know it
        ages = (self._silence.age_s, self._state_watch.age_s)
        return SafetySnapshot(
            self._state.value, reasons, known, counts, *ages, self._tally.commands, self._tally.interventions
        )

    # How it gets there.

    def _clock(self) -> float:
        return self._now_s

    def _set_time(self, now_ns: int, steady_s: float) -> Reason:
        jumped = Reason.CLOCK_JUMP if self._now_ns is not None and now_ns < self._now_ns else NONE
        self._now_ns = now_ns
        self._now_s = now_ns * 1e-9 if self._times.lockstep else steady_s
        return jumped

    def _judge_state(self, now_ns: int, state: ArmState, *, ages: bool) -> Reason:
        reasons = self._state_watch.judge(now_ns, state, ages=ages)
        if reasons & Reason.STATE_NOT_FINITE:
            return reasons
        self._seen = state.tool
        if self._state is GuardState.UNCONFIGURED and not reasons:
            self._state = GuardState.IDLE
        return reasons | _ask(self._state_checks, state)

    def _judge_gap(self) -> Reason:
        late = math.isfinite(self._ticks.age_s) and self._ticks.expired and not self._times.lockstep
        return Reason.TICK_GAP if late else NONE

    def _judge_silence(self) -> Reason:
        if self._state is not GuardState.RUN or not self._silence.expired:
            return NONE
        if self._silence.age_s > self._times.stop_s:
            self._state, self._cause = GuardState.SOFT_STOP, Reason.STALE_COMMAND
        return Reason.STALE_COMMAND

    def _settle(self, reasons: Reason) -> None:
        """Change state as the reasons demand. Before ARMED nothing moves, so nothing is stopped or latched."""
        if reasons & (LATCHING | STOPPING):
            self._trouble.feed()
        if self._state in _LIVE and reasons & LATCHING:
            self._state, self._cause = GuardState.LATCHED, reasons & LATCHING
        elif self._state in _MOVING and reasons & STOPPING:
            self._state, self._cause = GuardState.SOFT_STOP, reasons & STOPPING

    def _why_not_moving(self) -> Reason:
        if self._state in _MOVING:
            return NONE
        stopped = {GuardState.SOFT_STOP: Reason.SOFT_STOP, GuardState.LATCHED: Reason.LATCHED}
        return stopped.get(self._state, Reason.NOT_ARMED)

    def _begin_hold(self, state: ArmState, reasons: Reason) -> None:
        """Remember where to stay: the measured pose, or, where that is not to be believed, the last target."""
        blind = bool(reasons & BLIND) or not is_finite(state)
        if self._hold is None or (not blind and self._strayed(self._hold, state)):
            self._hold = (self._sent or self._seen) if blind else state.tool

    def _strayed(self, hold: Pose, state: ArmState) -> bool:
        """Whether something else moved the arm (a hand, a scene's reset): then it must not snap back."""
        return float(np.abs(hold.position_m - state.tool.position_m).max()) > self._times.stray_m

    def _send(self, verdict: Verdict) -> Verdict:
        self._state = GuardState.RUN
        self._sent, self._hold = verdict.target, None
        self._silence.feed()
        self._tally.command(verdict.reasons)
        return verdict


def _ask(checks: Sequence[StateCheck], state: ArmState) -> Reason:
    reasons = NONE
    for check in checks:
        reasons |= check(state)
    return reasons


def _why_unfit(target: Pose, state: ArmState) -> Reason:
    """What makes a target or a state unfit for arithmetic; asked before anything is clipped."""
    if not is_finite(state):
        return Reason.STATE_NOT_FINITE
    if np.shape(target.position_m) != (3,) or np.shape(target.quat_xyzw) != (4,):
        return Reason.SHAPE
    if not (np.isfinite(target.position_m).all() and np.isfinite(target.quat_xyzw).all()):
        return Reason.NOT_FINITE
    return Reason.QUATERNION if abs(np.linalg.norm(target.quat_xyzw) - 1.0) > 1e-3 else NONE


def _normalised(target: Pose) -> Pose:
    norm = float(np.linalg.norm(target.quat_xyzw))
    return target if abs(norm - 1.0) < 1e-12 else Pose(target.position_m, target.quat_xyzw / norm)
