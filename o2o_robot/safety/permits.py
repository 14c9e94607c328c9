"""What must be so for the arm to move at all: a hand on the deadman's switch, a robot that is ready, living peers."""

from __future__ import annotations

import enum
import math
from collections.abc import Callable
from dataclasses import dataclass

from o2o_robot.errors import LimitError
from o2o_robot.safety.reason import NONE, Reason


class RobotMode(enum.Enum):
    """What the robot's own controller says of itself. Franka: 2 moves, 4 is the reflex; UR: robot_program_running."""

    MOVE = "move"
    OTHER = "other"  # idle, guiding, program not running: the arm stops until it moves again
    REFLEX = "reflex"  # the controller stopped it for a cause: latches, and nothing here clears it


class Peer(enum.Enum):
    """A process whose silence matters."""

    ACTOR = "actor"
    RECORDER = "recorder"
    LEARNER = "learner"


@dataclass(frozen=True)
class PermitTimes:
    """After how many seconds of silence each is taken for lost; 0: not asked for.

    A lost actor or recorder stops the arm. A lost learner does not: the episode is to end, as incomplete.
    """

    deadman_s: float = 0.0
    robot_mode_s: float = 0.0
    actor_s: float = 0.0
    recorder_s: float = 0.0
    learner_s: float = 0.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 <= value < float("inf"):
                raise LimitError(f"{name} must be >= 0, got {value}; 0 does not ask for it, 0.5 is usual")


class Permits:
    """Remembers what was heard, asked for or not; what is asked for and was never heard is not there.

    permits.hear_deadman(held)          # each message of the switch
    permits.hear_mode(RobotMode.MOVE)   # each state of the robot
    permits.hear_peer(Peer.ACTOR)       # each heartbeat
    reasons = permits.judge()           # each tick
    """

    def __init__(self, times: PermitTimes, clock: Callable[[], float]) -> None:
        self.times = times  # of another phase: set it
        self._clock = clock
        self._heard_s: dict[str, float] = {}
        self._mode: RobotMode | None = None

    def hear_deadman(self, held: bool) -> None:
        """The switch says whether it is held; let go counts at once, a lost message after its time."""
        self._heard_s["deadman"] = self._clock() if held else -math.inf

    def hear_mode(self, mode: RobotMode) -> None:
        """The robot's controller says what it is at."""
        self._mode = mode
        self._heard_s["robot_mode"] = self._clock()

    def hear_peer(self, peer: Peer) -> None:
        """A heartbeat."""
        self._heard_s[peer.value] = self._clock()

    def judge(self) -> Reason:
        """Every reason against motion, and LEARNER_LOST, which only ends the episode."""
        return self._judge_person() | self._judge_robot() | self._judge_peers()

    def _judge_person(self) -> Reason:
        return Reason.DEADMAN if self._is_lost("deadman") else NONE

    def _judge_robot(self) -> Reason:
        """Whoever tells of a reflex, or of a robot that cannot move, is believed, asked or not."""
        if self._mode is RobotMode.REFLEX:
            return Reason.ESTOP | Reason.REFLEX
        cannot = self._mode is RobotMode.OTHER or self._is_lost("robot_mode")
        return Reason.DEADMAN | Reason.ROBOT_MODE if cannot else NONE

    def _judge_peers(self) -> Reason:
        reasons = NONE
        for peer in Peer:
            if self._is_lost(peer.value):
                reasons |= Reason.HEARTBEAT
                reasons |= Reason.LEARNER_LOST if peer is Peer.LEARNER else Reason.PEER_LOST
        return reasons

    def _is_lost(self, name: str) -> bool:
        timeout_s: float = getattr(self.times, f"{name}_s")
        return timeout_s > 0 and self._clock() - self._heard_s.get(name, -math.inf) > timeout_s
