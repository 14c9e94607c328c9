"""The one door to the motors: judges every command and every tick, and holds the arm when in doubt.

UNCONFIGURED --first good state--> IDLE --engage--> ARMED --accepted command--> RUN
ARMED, RUN --cause in STOPPING, or silence--> SOFT_STOP --causes gone, start_episode--> ARMED
ARMED, RUN, SOFT_STOP --disengage: at rest at once, or SOFT_STOP until it is--> IDLE
ARMED, RUN, SOFT_STOP --cause in LATCHING, too many recoveries; any state --latch()--> LATCHED --reset, a person--> IDLE

It reduces damage; it is not a certified safety function. It never clears an error of the robot's own controller.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from o2o_robot.errors import ArmError
from o2o_robot.safety.command_check import CommandCheck, CommandRules
from o2o_robot.safety.guard_state import GuardState, GuardTimes
from o2o_robot.safety.limit import Limit, StateCheck, Verdict, pass_through
from o2o_robot.safety.motion_shaper import MotionShaper, ShaperConfig
from o2o_robot.safety.permits import Permits, PermitTimes
from o2o_robot.safety.reason import BLIND, LATCHING, NONE, STOPPING, TOLD, WIRE, Reason, names
from o2o_robot.safety.recoveries import Recoveries
from o2o_robot.safety.reference import Reference
from o2o_robot.safety.state_watch import StateTimes, StateWatch, is_finite
from o2o_robot.safety.takeover import Takeover, TakeoverRules
from o2o_robot.safety.tally import SafetySnapshot, Tally
from o2o_robot.safety.target_check import normalised, why_unfit
from o2o_robot.safety.tracking import TrackingRules, TrackingWatch
from o2o_robot.safety.watchdog import Watchdog
from o2o_robot.types import Action, ArmState, Pose, Source

_MOVING = (GuardState.ARMED, GuardState.RUN)
_LIVE = (GuardState.ARMED, GuardState.RUN, GuardState.SOFT_STOP)


class PhaseRules(NamedTuple):
    """What may differ from one phase of a run to the next: see Guard.adopt."""

    limits: tuple[Limit, ...]
    tick_limits: tuple[Limit, ...]
    state_checks: tuple[StateCheck, ...]
    shaping: ShaperConfig | None
    permit_times: PermitTimes
    max_recoveries: int


class Guard:
    """Judges; sends nothing itself. Times come in with every call: `now_ns` is the ROS clock (what stamps are compared
    with), `steady_s` a monotonic clock (what tells that a stream has dried up even while /clock is paused).

    guard.engage(now_ns, steady_s, state)                              # an operator's decision
    refused = guard.check_command(action, state, now_ns, steady_s)     # each command
    verdict = guard.judge(target, state)                               # where not refused; send verdict.target
    verdict = guard.tick(now_ns, steady_s, state)                      # 100 Hz; send verdict.target

    With a `shaper` the arm is told where to be by ticks alone, on the way to what `judge` let through; `tick_limits`
    are then asked about that target at every tick. What `permits` must hear is told to it directly.
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
        tick_limits: Sequence[Limit] = (),
        shaper: MotionShaper | None = None,
        tracking: TrackingRules | None = None,
        permit_times: PermitTimes | None = None,
        max_recoveries: int = 0,
        takeover: TakeoverRules | None = None,
    ) -> None:
        self._limits, self._tick_limits = tuple(limits), tuple(tick_limits)
        self._state_checks, self._engage_checks = tuple(state_checks), tuple(engage_checks)
        self._times = times
        self._now_s = 0.0
        self._now_ns: int | None = None
        self._state_watch = StateWatch(state_times, self._clock)
        self._commands = CommandCheck(command_rules)
        self._takeover = Takeover(takeover or TakeoverRules(), command_rules, self._clock)
        self._silence = Watchdog(times.hold_s, self._clock)
        self._ticks = Watchdog(times.tick_gap_s, self._clock)
        self._trouble = Watchdog(times.resume_s or 1e-9, self._clock)
        self._tracking = TrackingWatch(tracking, self._clock) if tracking else None
        self._recoveries = Recoveries(max_recoveries, self._clock)
        self.permits = Permits(permit_times or PermitTimes(), self._clock)
        self._reference = Reference(times.stray_m, shaper)
        self._tally = Tally()
        self._state = GuardState.UNCONFIGURED
        self._cause = NONE  # of the last stop or latch
        self._leaves = False  # disarmed in motion: IDLE once at rest
        self._next: PhaseRules | None = None  # adopted once at rest

    @property
    def state(self) -> GuardState:
        return self._state

    @property
    def is_shaped(self) -> bool:
        """Whether only ticks may tell the arm where to be."""
        return self._reference.is_shaped

    @property
    def is_paused(self) -> bool:
        """Whether an operator holds the arm: `pause` was called and `resume` was not."""
        return self._commands.arbiter.is_held

    @property
    def is_lockstep(self) -> bool:
        return self._times.lockstep

    @property
    def is_at_rest(self) -> bool:
        """Whether no shaped motion is on its way."""
        return self._reference.is_at_rest

    @property
    def must_end_episode(self) -> bool:
        """Whether the learner is lost: the motion goes on, but the episode is to end, as incomplete."""
        return bool(self._tally.tick_reasons & Reason.LEARNER_LOST)

    # What an operator or an episode asks for.

    def engage(self, now_ns: int, steady_s: float, state: ArmState) -> None:
        """IDLE (or UNCONFIGURED, given a good state) to ARMED. Raises ArmError naming what stands against it.

        The first output after this is the measured pose.
        """
        self._set_time(now_ns, steady_s)
        reasons = self._judge_state(now_ns, state, ages=True)
        if not reasons & BLIND:
            reasons |= _ask(self._engage_checks, state) | self._permits_now()
        if reasons or self._state not in (GuardState.UNCONFIGURED, GuardState.IDLE):
            why = ", ".join(names(reasons)) or "only an idle guard can be armed"
            raise ArmError(f"guard is {self._state.value} and was not armed: {why}; clear the cause and arm again")
        self._commands.forget()
        self._silence.forget()
        self._ticks.feed()
        self._leaves = False
        self._reference.start(state.tool)
        self._state, self._cause = GuardState.ARMED, NONE
        self._adopt_at_rest()

    def disengage(self, cause: Reason = NONE) -> None:
        """Back to IDLE, whatever went on; a latch stays. A shaped motion brakes first, and no command is followed."""
        if self._state not in _LIVE:
            return
        self._tally.note(cause)
        self._cause = cause | Reason.NOT_ARMED
        self._leaves = not self._reference.is_at_rest
        self._state = GuardState.SOFT_STOP if self._leaves else GuardState.IDLE

    def adopt(self, rules: PhaseRules) -> bool:
        """Take another phase's limits: now, where the arm stands; else commands are refused until it does.

        Whether they hold already. Raises LimitError where they differ in what cannot change (see MotionShaper).
        """
        self._next = rules
        self._adopt_at_rest()
        return self._next is None

    def reset(self) -> None:
        """A person has looked and takes LATCHED back to IDLE, once at rest. Does nothing in another state."""
        if self._state is GuardState.LATCHED:
            self._leaves = not self._reference.is_at_rest
            self._state = GuardState.SOFT_STOP if self._leaves else GuardState.IDLE
            self._cause = NONE
            self._recoveries.forget()

    def latch(self, reason: Reason = Reason.ESTOP) -> None:
        """Stop, from any state, until a person resets."""
        self._tally.tick(self._tally.tick_reasons | reason)
        self._cause = reason
        self._state = GuardState.LATCHED

    def start_episode(self) -> Reason:
        """ARMED, RUN, or a SOFT_STOP whose causes are gone for `resume_s`, to ARMED; else what stands against it."""
        if self._state not in _LIVE:
            return self._why_not_moving()
        if not self._may_start():
            return Reason.SOFT_STOP | self._tally.tick_reasons | (self._cause if self._leaves else NONE)
        if self._state is GuardState.SOFT_STOP and not self._recoveries.spend():
            self.latch(Reason.ESTOP | Reason.RECOVERIES)
            return Reason.LATCHED | Reason.RECOVERIES
        self._commands.forget()
        self._silence.forget()
        self._reference.forget()
        self._state = GuardState.ARMED
        self._adopt_at_rest()
        return NONE

    def _may_start(self) -> bool:
        """Whether an episode can begin: the causes of a soft stop are gone for `resume_s`."""
        calm = not self._times.resume_s or self._trouble.expired
        return self._state in _MOVING or (self._state is GuardState.SOFT_STOP and calm and not self._leaves)

    def end_episode(self) -> None:
        """RUN to ARMED: the arm holds, and silence is expected."""
        if self._state is GuardState.RUN:
            self._state = GuardState.ARMED

    def release(self) -> None:
        """The person at the teleop device hands back to the policy."""
        self._commands.arbiter.release()

    def hear_teleop(self, action: Action, now_ns: int, steady_s: float, unfit: Reason = NONE) -> Reason:
        """An action of a person's device beside the policy: see Takeover. The reason against it, which is counted."""
        self._set_time(now_ns, steady_s)
        unfit |= NONE if action.source is Source.TELEOP else Reason.SHAPE | Reason.SOURCE
        reason = unfit or self._takeover.hear(action, now_ns)
        if reason:
            self._tally.note(reason)
        elif not self._takeover.has_values:
            self.release()
        return reason

    def answer(self, proposed: Action, now_ns: int, steady_s: float) -> Action:
        """What is to be judged in answer to a policy's proposal: a person's values, while they have the arm."""
        self._set_time(now_ns, steady_s)
        if self._takeover.gives_back(now_ns):
            self.release()
        return self._takeover.answer(proposed, now_ns)

    def pause(self) -> None:
        """An operator's hold: the arm comes to rest and every command is refused, until `resume`."""
        self._commands.arbiter.is_held = True

    def resume(self) -> None:
        """Commands are followed again, from where the arm is; whoever had it, has it."""
        self._commands.arbiter.is_held = False
        self._silence.feed()

    # What each command and each tick asks for.

    def check_command(
        self, action: Action, state: ArmState, now_ns: int, steady_s: float, unfit: Reason = NONE
    ) -> Reason:
        """Why this command must not be followed, or no reason: the first of clock, state, age, numbers, order, permits.

        unfit: what its message alone said against it. A refused command is counted, and the arm is to hold:
        `hold_pose(state)`.
        """
        jumped = self._set_time(now_ns, steady_s)
        reason = jumped or self._judge_state(now_ns, state, ages=True)
        reason = reason or self._why_not_moving() or self._why_not_yet() or unfit
        reason = reason or self._commands.judge(now_ns, action) or self._permits_now()
        if not reason or reason == Reason.TAKEOVER:
            self._silence.feed()  # a policy that waits for a person to hand back is not silent
        if not reason:
            return NONE
        self._settle(reason)
        reason |= Reason.HOLD
        self._reference.hold(state, reason)
        self._tally.command(reason)
        return reason

    def judge(self, target: Pose, state: ArmState) -> Verdict:
        """What may be sent instead of `target`. Finite first; then every limit; then every limit again on the result,
        and where one still objects the arm holds (two limits that pull against each other have no safe compromise).
        """
        reasons = why_unfit(target, state) or self._why_not_moving()
        self._settle(reasons)
        if not reasons:
            verdict = pass_through(self._limits, normalised(target), state)
            reasons = verdict.reasons
            if not pass_through(self._limits, verdict.target, state).reasons:
                return self._send(verdict)
        reasons |= Reason.HOLD
        self._reference.hold(state, reasons)
        self._tally.command(reasons)
        return Verdict(self.hold_pose(state), reasons)

    def tick(self, now_ns: int, steady_s: float, state: ArmState) -> Verdict:
        """What the arm's target must be now: the last one sent, or the pose to hold, with the reasons.

        Latches in LATCHING causes, stops in STOPPING ones, holds when the last command is older than `hold_s`.
        Checks come in the order of the specification; unlike a command's, a tick tells all that stands against it.
        """
        jumped = self._set_time(now_ns, steady_s)
        ages = not self._times.lockstep
        reasons = self._judge_gap() | self._judge_state(now_ns, state, ages=ages) | jumped
        reasons |= self.permits.judge() | self._judge_tracking(state)
        self._ticks.feed()
        self._settle(reasons)
        reasons |= self._judge_silence() | self._judge_device() if ages else NONE
        reasons |= self._why_not_moving() & ~Reason.NOT_ARMED
        reasons |= Reason.HOLD if reasons & ~TOLD or self._commands.arbiter.is_held else NONE
        if self._state is not GuardState.RUN or reasons & Reason.HOLD:
            self._reference.hold(state, reasons)
        aim = self._aim(state)
        self._tally.tick(reasons | aim.reasons)
        told = self._reference.next(aim.target, state)
        self._adopt_at_rest()
        self._leave_at_rest()
        return Verdict(told, reasons | aim.reasons)

    def coast(self, state: ArmState) -> Verdict:
        """One tick of a stop, without judging: for a process that ends, and hears of the arm no more."""
        self._reference.hold(state, BLIND)
        told = self._reference.next(self._reference.target(state), state)
        self._leave_at_rest()
        return Verdict(told, Reason.HOLD)

    def hold(self, state: ArmState) -> Verdict:
        """Stay at the pose measured now (shaped: where the arm comes to rest), until the next command let through."""
        self._reference.let_go()
        self._reference.hold(state, NONE)
        return Verdict(self.hold_pose(state), Reason.HOLD)

    def hold_pose(self, state: ArmState) -> Pose:
        """Where the arm is to stay."""
        return self._reference.place(state)

    def snapshot(self) -> SafetySnapshot:
        """State, reasons, counts and ages, for SafetyState and the run's summary."""
        known, counts = self._tally.counts()
        # a peer that was lost at the last command may be back: only ticks know
        reasons = self._tally.tick_reasons | (self._tally.command_reasons & ~Reason.HEARTBEAT)
        if self._may_start():
            reasons &= ~Reason.SOFT_STOP  # whoever waits to begin an episode looks for this
        if self._state not in _MOVING:
            reasons |= self._cause  # it may be long over; who has to reset wants to know it
        ages = (self._silence.age_s, self._state_watch.age_s)
        reasons &= WIRE
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
        self._reference.seen(state.tool)
        if self._state is GuardState.UNCONFIGURED and not reasons:
            self._state = GuardState.IDLE
        return reasons | _ask(self._state_checks, state)

    def _judge_gap(self) -> Reason:
        if self._times.lockstep or not math.isfinite(self._ticks.age_s):
            return NONE
        if self._ticks.expired:
            return Reason.TICK_GAP
        return Reason.LATE_TICK if self._ticks.age_s > self._times.late_s else NONE

    def _judge_tracking(self, state: ArmState) -> Reason:
        if self._tracking is None or not is_finite(state):
            return NONE
        told = self._reference.told if self._state in _LIVE else None  # before it is armed, hands may guide the arm
        return self._tracking.judge(told, state)

    def _aim(self, state: ArmState) -> Verdict:
        """Where to get to as of this tick. Limits that pull against each other: where the arm is."""
        if not is_finite(state):
            return Verdict(self._reference.target(state))
        aim = pass_through(self._tick_limits, self._reference.target(state), state)
        if aim.reasons and pass_through(self._tick_limits, aim.target, state).reasons:
            return Verdict(state.tool, aim.reasons)
        return aim

    def _permits_now(self) -> Reason:
        """What stands against motion now; a lost learner only ends the episode."""
        reasons = self.permits.judge()
        return reasons if reasons & ~TOLD else NONE

    def _judge_silence(self) -> Reason:
        if self._commands.arbiter.is_held:
            self._silence.feed()  # nobody is asked to speak
        if self._state is not GuardState.RUN or not self._silence.expired:
            return NONE
        if self._silence.age_s > self._times.stop_s:
            self._state, self._cause = GuardState.SOFT_STOP, Reason.STALE_COMMAND
        return Reason.STALE_COMMAND

    def _judge_device(self) -> Reason:
        """A device that moved the arm and fell silent: the arm holds until the policy may go on."""
        silent = self._commands.arbiter.is_human and self._takeover.fell_silent(self._now_ns or 0)
        return Reason.STALE_COMMAND | Reason.TAKEOVER if silent else NONE

    def _adopt_at_rest(self) -> None:
        if self._next is None or self._state is GuardState.RUN or not self._reference.is_at_rest:
            return
        rules, self._next = self._next, None
        self._reference.rebound(rules.shaping)
        self._limits, self._tick_limits, self._state_checks = rules.limits, rules.tick_limits, rules.state_checks
        self.permits.times = rules.permit_times
        self._recoveries.allow(rules.max_recoveries)

    def _leave_at_rest(self) -> None:
        if self._leaves and self._reference.is_at_rest:
            self._leaves = False
            self._state = GuardState.IDLE if self._state is GuardState.SOFT_STOP else self._state

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

    def _why_not_yet(self) -> Reason:
        """Limits of another phase wait for the arm to stand."""
        return Reason.HOLD if self._next is not None else NONE

    def _send(self, verdict: Verdict) -> Verdict:
        self._state = GuardState.RUN
        self._reference.send(verdict.target)
        self._silence.feed()
        self._tally.command(verdict.reasons)
        return verdict


def _ask(checks: Sequence[StateCheck], state: ArmState) -> Reason:
    reasons = NONE
    for check in checks:
        reasons |= check(state)
    return reasons
