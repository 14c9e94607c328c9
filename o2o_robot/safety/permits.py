"""What must be so for the arm to move at all: a hand on the deadman's switch, a robot that is ready, living peers."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass

from o2o_robot.errors import LimitError
from o2o_robot.safety.reason import NONE, Reason
from o2o_robot.safety.watchdog import Watchdog


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
    """Remembers what was heard; what is asked for and was never heard is not there.

    permits.hear_deadman(held)          # each message of the switch
    permits.hear_mode(RobotMode.MOVE)   # each state of the robot
    permits.hear_peer(Peer.ACTOR)       # each heartbeat
    reasons = permits.judge()           # each tick
    """

    def __init__(self, times: PermitTimes, clock: Callable[[], float]) -> None:
        def dog(timeout_s: float) -> Watchdog | None:
            return Watchdog(timeout_s, clock) if timeout_s else None

        self._deadman, self._mode_news = dog(times.deadman_s), dog(times.robot_mode_s)
        silences = {Peer.ACTOR: times.actor_s, Peer.RECORDER: times.recorder_s, Peer.LEARNER: times.learner_s}
        self._peers = {peer: watchdog for peer, s in silences.items() if (watchdog := dog(s))}
        self._mode = RobotMode.OTHER

    def hear_deadman(self, held: bool) -> None:
        """The switch says whether it is held; let go counts at once, a lost message after its time."""
        if self._deadman:
            (self._deadman.feed if held else self._deadman.forget)()

    def hear_mode(self, mode: RobotMode) -> None:
        """The robot's controller says what it is at."""
        self._mode = mode
        if self._mode_news:
            self._mode_news.feed()

    def hear_peer(self, peer: Peer) -> None:
        """A heartbeat."""
        if peer in self._peers:
            self._peers[peer].feed()

    def judge(self) -> Reason:
        """Every reason against motion, and LEARNER_LOST, which only ends the episode."""
        return self._judge_person() | self._judge_robot() | self._judge_peers()

    def _judge_person(self) -> Reason:
        return Reason.DEADMAN if self._deadman and self._deadman.expired else NONE

    def _judge_robot(self) -> Reason:
        if self._mode is RobotMode.REFLEX:  # whoever tells of a reflex is believed, asked or not
            return Reason.ESTOP | Reason.REFLEX
        lost = self._mode_news and (self._mode is not RobotMode.MOVE or self._mode_news.expired)
        return Reason.DEADMAN | Reason.ROBOT_MODE if lost else NONE

    def _judge_peers(self) -> Reason:
        reasons = NONE
        for peer, heard in self._peers.items():
            if heard.expired:
                reasons |= Reason.HEARTBEAT
                reasons |= Reason.LEARNER_LOST if peer is Peer.LEARNER else Reason.PEER_LOST
        return reasons
