"""The arm as everybody outside this package gets it: an Arm whose every motion the guard has judged."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from o2o_robot.errors import ArmError
from o2o_robot.robot.action import DeltaPosition
from o2o_robot.robot.arm import Arm, Sent
from o2o_robot.safety.guard import Guard
from o2o_robot.safety.guard_state import GuardState
from o2o_robot.safety.limit import Verdict
from o2o_robot.safety.reason import NONE, WIRE, Reason
from o2o_robot.types import Action, ArmState, Array, Executed, Pose

_QUIET = (GuardState.UNCONFIGURED, GuardState.IDLE)


class GuardedArm:
    """An Arm (the same contract) that cannot be asked for an unjudged motion; the arm inside cannot be had from it.

    Before `engage`, and after `disengage`, it sends nothing at all: somebody may be guiding the arm by hand. Where the
    guard shapes motion, ticks alone speak to the arm; the others return what was let through, to be reached.

    arm = GuardedArm(MujocoArm(twin), build_guard(config))
    arm.engage()
    sent = arm.command(target)                                  # in process
    executed = arm.execute(action, space, now_ns, steady_s)     # with stamps and order: what a node calls
    sent = arm.tick(now_ns, steady_s)                           # at 100 Hz
    """

    def __init__(self, arm: Arm, guard: Guard, *, grip: Callable[[float], None] | None = None) -> None:
        """grip: brings the fingers so far apart (m); needed where an action space has a gripper."""
        self.__arm, self.__grip = arm, grip
        self.guard = guard

    def read(self) -> ArmState:
        return self.__arm.read()

    def engage(self, now_ns: int | None = None, steady_s: float = 0.0) -> None:
        """Arm the guard at the state measured now. Without times: as of that state's stamp (in process, lockstep)."""
        state = self.read()
        self.guard.engage(state.stamp_ns if now_ns is None else now_ns, steady_s, state)

    def command(self, target: Pose) -> Sent:
        """Send what the guard makes of `target`. Where that is not finite the arm is held, then ArmError is raised."""
        sent = self._send(self.guard.judge(target, self.read()))
        if sent.reasons & Reason.NOT_FINITE:
            raise ArmError(f"target {target} is not finite; the arm holds. Look at what computed it")
        return sent

    def execute(
        self, action: Action, space: DeltaPosition, now_ns: int, steady_s: float, unfit: Reason = NONE
    ) -> Executed:
        """Judge one action with its stamp and order, send what remains of it, and say that in the action's units.

        While a person has the arm, theirs is executed in its place. unfit: what its message alone says against it.
        """
        state = self.read()
        asked = action if unfit else self.guard.answer(action, now_ns, steady_s)
        refused = self.guard.check_command(asked, state, now_ns, steady_s, unfit)
        if refused:
            sent = self._send(Verdict(self.guard.hold_pose(state), refused), passes_time=self.guard.is_lockstep)
        else:
            verdict = self.guard.judge(space.target(asked.values, state), state)
            self._grip(space.opening_m(asked.values))  # first: in lockstep it is the arm's command that lets time pass
            sent = self._send(verdict)
        return Executed(
            stamp_ns=action.stamp_ns,
            seq=action.seq,
            values=space.executed(sent.target, state, np.zeros(space.n_action) if refused else asked.values),
            proposed=_proposed(action, space.n_action),
            reasons=sent.reasons,
            source=asked.source,
            revision=action.revision,
        )

    def tick(self, now_ns: int, steady_s: float) -> Sent:
        """Judge the moment and send what the target must be now: the last one again, or a hold."""
        verdict = self.guard.tick(now_ns, steady_s, self.read())
        if self.guard.state not in _QUIET:
            self.__arm.command(verdict.target)
        return _sent(verdict)

    def coast(self) -> Sent:
        """One tick of the stop that `disengage` began, with nobody listening for states any more: see Guard.coast."""
        verdict = self.guard.coast(self.read())
        if self.guard.is_shaped:
            self.__arm.command(verdict.target)
        return _sent(verdict)

    def hold(self) -> Sent:
        """Stay at the pose measured now (shaped: come to rest), until the next command that the guard lets through."""
        return self._send(self.guard.hold(self.read()))

    def _grip(self, opening_m: float | None) -> None:
        if opening_m is None:
            return
        if self.__grip is None:
            raise ArmError(f"the gripper was asked to open to {opening_m} m, but this arm was given none; pass grip=")
        self.__grip(opening_m)

    def _send(self, verdict: Verdict, *, passes_time: bool = False) -> Sent:
        """passes_time: physics waits for this answer, and nobody guides a simulated arm by hand."""
        speaks = passes_time or self.guard.state not in _QUIET
        if speaks and not self.guard.is_shaped:
            self.__arm.command(verdict.target)
        return _sent(verdict)


def _proposed(action: Action, n_action: int) -> Array:
    """(n_action,) as asked; zeros for a proposal of another size, which was refused and which no array can hold."""
    return np.array(action.values if np.shape(action.values) == (n_action,) else np.zeros(n_action), np.float32)


def _sent(verdict: Verdict) -> Sent:
    return Sent(verdict.target, int(verdict.reasons & WIRE))
