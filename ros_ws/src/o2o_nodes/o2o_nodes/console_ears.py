"""What the console hears, as facts for its board. It reads nothing reliably that a session would wait for."""

from __future__ import annotations

import struct
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from o2o_msgs import msg as m
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import Image

from o2o_nodes import convert, diagnostics, qos
from o2o_nodes.node import HouseNode
from o2o_robot.console.board import Board
from o2o_robot.console.frames import Eyes
from o2o_robot.console.guard_story import GuardStory
from o2o_robot.console.returns import Promises
from o2o_robot.console.streams import Nodes
from o2o_robot.errors import DataError
from o2o_robot.types import Array

NEWEST = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
BELIEVED_S = 60.0  # an older stamp, or one of the future, is another clock's
STATES = {"session": m.SessionState, "learner": m.LearnerState, "policy": m.PolicyState, "recorder": m.RecorderState}


class ConsoleEars:
    """Fills a board, the eyes, and what the critic promised."""

    def __init__(self, node: HouseNode, board: Board, eyes: Eyes, promises: Promises, *, topic: str) -> None:
        self._node, self._board, self._eyes, self._promises = node, board, eyes, promises
        self._guard, self._nodes = GuardStory(board.clock), Nodes(board.clock)
        hear = node.create_subscription
        for group, kind in STATES.items():
            hear(kind, f"{group}_state", lambda told, group=group: self._on_state(group, told), qos.LATCHED)
        hear(m.SafetyState, "safety_state", self._on_safety, qos.LATCHED)
        hear(m.RewardState, "reward_state", self._on_reward, NEWEST)
        hear(DiagnosticArray, diagnostics.TOPIC, self._on_diagnostics, diagnostics.DIAGNOSTICS)
        for name in eyes.cameras:
            hear(Image, f"{name}/{topic}", lambda raw, name=name: self._see(name, raw), NEWEST, raw=True)
        board.put("cameras", {"names": list(eyes.cameras)})

    def _on_state(self, group: str, told: Any) -> None:
        facts = _facts(told)
        if group == "session":
            self._promises.hear(told.episode, step=int(told.step), q=float(told.q))
        if group == "learner":
            learning = told.steps_received - told.steps_warmup
            facts["utd"] = told.updates / learning if told.phase == "finetune" and learning > 0 else None
        self._board.put(group, facts)

    def _on_safety(self, told: m.SafetyState) -> None:
        counts = {name: int(n) for name, n in zip(told.reason_names, told.reason_counts, strict=False)}
        ages = {"command_age_s": told.command_age_s, "state_age_s": told.state_age_s}
        seen = self._guard.see(told.state, told.reasons, counts)
        self._board.put("guard", {**seen, **ages, "commands": told.commands, "interventions": told.interventions})

    def _on_reward(self, told: m.RewardState) -> None:
        self._board.put("reward", _facts(told))

    def _on_diagnostics(self, told: DiagnosticArray) -> None:
        for one in told.status[:32]:
            level = one.level[0] if isinstance(one.level, bytes) else int(one.level)
            self._nodes.hear(one.name, level, one.message, {pair.key: pair.value for pair in one.values[:200]})
        self._board.put("nodes", self._nodes.facts())

    def _see(self, camera: str, raw: bytes) -> None:
        """As it came: it is read where it is shown, and most are not. Of its bytes only the stamp is looked at here."""
        now_s = self._board.clock()
        age_s = 0.0 if self._node.lockstep else 1e-9 * (self._node.now_ns() - stamp_of(raw))
        self._eyes.see(camera, raw, now_s - age_s if 0.0 <= age_s < BELIEVED_S else now_s)


def stamp_of(raw: bytes) -> int:
    """Nanoseconds of a serialized message that begins with a Header: CDR puts the stamp behind four bytes."""
    if len(raw) < 12:
        return 0
    order = "<" if raw[1] & 1 else ">"
    sec, nanosec = struct.unpack_from(f"{order}iI", raw, 4)
    return sec * convert.NS + nanosec


def picture(raw: bytes) -> Array:
    """(H, W, 3) uint8 RGB of a serialized Image. Raises DataError for what is no picture."""
    try:
        message = deserialize_message(raw, Image)
    except Exception as problem:  # the middleware's own errors have no common class
        raise DataError(f"a picture cannot be read ({problem}); look who publishes there") from None
    return convert.image(message)


def _facts(message: Any) -> dict[str, Any]:
    """A flat message's fields, less its header."""
    return {name: getattr(message, name) for name in message.get_fields_and_field_types() if name != "header"}
