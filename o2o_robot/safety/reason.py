"""Why a motion was changed or refused: one bit a reason, the same on the wire, on the screen and in the store."""

from __future__ import annotations

import enum


class Reason(enum.IntFlag):
    """Bits of a uint32. Numbers are never reused: recordings hold them.

    Above them, details: what the guard itself tells apart, each with a name and a counter, none on the wire. A detail
    comes with the wire's bit of its family, so that a recording says less than the counters but nothing wrong.
    """

    NOT_FINITE = 1 << 0  # a command holds NaN or infinity
    WORKSPACE = 1 << 1
    STEP_SIZE = 1 << 2
    SPEED = 1 << 3  # of the tool
    JOINT_POSITION = 1 << 4
    JOINT_MOTION = 1 << 5
    STALE_STATE = 1 << 6
    STALE_COMMAND = 1 << 7
    FUTURE_STAMP = 1 << 8
    SEQUENCE = 1 << 9
    SHAPE = 1 << 10
    QUATERNION = 1 << 11
    TRACKING = 1 << 12  # the arm does not follow
    FORCE = 1 << 13  # soft: motion into the contact was removed
    HOLD = 1 << 14  # the arm was told to stay where it is
    ESTOP = 1 << 15
    LATCHED = 1 << 16
    FROZEN_STATE = 1 << 17
    STATE_LOST = 1 << 18
    BACKWARD_STAMP = 1 << 19
    CLOCK_JUMP = 1 << 20
    REVISION = 1 << 21
    RANGE = 1 << 22
    TAKEOVER = 1 << 23
    NOT_ARMED = 1 << 24
    FORCE_HARD = 1 << 25
    TICK_GAP = 1 << 26
    KINEMATICS = 1 << 27
    SOFT_STOP = 1 << 28
    DEADMAN = 1 << 29  # nobody holds the deadman's switch, or the robot is not ready to move
    STATE_NOT_FINITE = 1 << 30
    HEARTBEAT = 1 << 31  # a process that should be alive is silent

    SINGULARITY = 1 << 32  # with JOINT_MOTION
    BODY = 1 << 33  # with WORKSPACE: another part of the arm than the tool
    FORCE_SPIKE = 1 << 34  # with FORCE_HARD
    ROBOT_MODE = 1 << 35  # with DEADMAN
    REFLEX = 1 << 36  # with ESTOP: the robot's own controller stopped it
    PEER_LOST = 1 << 37  # with HEARTBEAT: actor or recorder
    LEARNER_LOST = 1 << 38  # with HEARTBEAT
    RECOVERIES = 1 << 39  # with ESTOP: too many soft stops
    LATE_TICK = 1 << 40  # alone: only counted
    BUDGET = 1 << 41  # with NOT_ARMED: so much had to be changed that a person is to look
    INTRUDER = 1 << 42  # with ESTOP: somebody else publishes on a topic that moves the arm
    FRAME = 1 << 43  # with SHAPE: of another frame than the arm's base
    SOURCE = 1 << 44  # with SHAPE: from nobody there is


NONE = Reason(0)

WIRE = Reason((1 << 32) - 1)
"""What fits the messages and the store."""

LATCHING = Reason.STATE_NOT_FINITE | Reason.STATE_LOST | Reason.FORCE_HARD | Reason.ESTOP
"""Only a person's reset leaves these."""

STOPPING = (
    Reason.STALE_STATE
    | Reason.FROZEN_STATE
    | Reason.FUTURE_STAMP
    | Reason.BACKWARD_STAMP
    | Reason.CLOCK_JUMP
    | Reason.TICK_GAP
    | Reason.DEADMAN
    | Reason.PEER_LOST
)
"""These end the motion until they have cleared and a new episode starts."""

BLIND = Reason.STALE_STATE | Reason.FROZEN_STATE | Reason.STATE_LOST | Reason.STATE_NOT_FINITE
"""With these the measured pose is not to be believed, so not to be held either."""

TOLD = Reason.FORCE | Reason.HEARTBEAT | Reason.LEARNER_LOST | Reason.LATE_TICK
"""At a tick these alone do not make the arm hold: the target is bent, the episode is to end, or it is only counted."""

_WORDS = {
    Reason.NOT_FINITE: "command not finite",
    Reason.STATE_NOT_FINITE: "arm state not finite",
    Reason.STALE_STATE: "arm state too old",
    Reason.FROZEN_STATE: "arm state frozen",
    Reason.STATE_LOST: "arm state lost",
    Reason.STALE_COMMAND: "command too old",
    Reason.FUTURE_STAMP: "stamp in the future",
    Reason.BACKWARD_STAMP: "stamp went backwards",
    Reason.CLOCK_JUMP: "clock went backwards",
    Reason.SPEED: "tool speed",
    Reason.ESTOP: "emergency stop",
    Reason.FORCE_HARD: "force above the hard limit",
    Reason.NOT_ARMED: "guard not armed",
    Reason.TICK_GAP: "guard ran late",
    Reason.TAKEOVER: "a person has taken over",
    Reason.KINEMATICS: "measured pose does not fit the joints",
    Reason.DEADMAN: "not permitted to move",
    Reason.TRACKING: "arm does not follow",
    Reason.BODY: "body of the arm",
    Reason.RECOVERIES: "too many recoveries",
    Reason.BUDGET: "budget of interventions spent",
    Reason.INTRUDER: "somebody else commands the arm",
    Reason.FRAME: "frame of another base",
    Reason.SOURCE: "unknown source",
}


def names(mask: int) -> tuple[str, ...]:
    """Plain words for every bit set in `mask`, lowest bit first; an unknown bit is named by its number."""
    return tuple(_word(bit) for bit in range(int(mask).bit_length()) if mask >> bit & 1)


def _word(bit: int) -> str:
    try:
        reason = Reason(1 << bit)
    except ValueError:
        return f"reason {bit}"
    if reason.name is None:
        return f"reason {bit}"
    return _WORDS.get(reason, reason.name.lower().replace("_", " "))
