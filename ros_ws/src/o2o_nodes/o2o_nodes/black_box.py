"""The black box by ROS: hears what moved the arm, sees that it stopped, has the last seconds written and drawn."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from diagnostic_msgs.msg import DiagnosticArray
from o2o_msgs import msg as m
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message, serialize_message

from o2o_nodes.arm_facts import ArmFacts, ask_arm_node
from o2o_nodes.node import STEADY, HouseNode
from o2o_robot.black_box import BlackBox, BlackBoxRules, Capture, StopWatch, TopicType, write
from o2o_robot.errors import DataError, StoreError
from o2o_robot.safety.guard_state import GuardState
from o2o_robot.types import Array
from o2o_robot.vitals import Value

# Nobody waits for the black box: a best-effort reader never holds up who commands the arm. Room for a burst.
EARS = QoSProfile(depth=200, reliability=ReliabilityPolicy.BEST_EFFORT)
LOOK_S, ASK_S = 0.2, 1.0
ALWAYS = {
    "action": m.Action,
    "teleop_action": m.Action,
    "executed_action": m.ExecutedAction,
    "safety_state": m.SafetyState,
    "/diagnostics": DiagnosticArray,
}


class BlackBoxDesk:
    """Beside a node that hears some topics already: what that hears it offers, the rest the desk listens to itself.

    desk = BlackBoxDesk(node, folder, pictures=lambda: {"wrist": pixels})
    desk.offer("joint_states", cdr)         # from the node's own raw subscriptions; declared by `shares`
    desk.on_event(event)                    # every EpisodeEvent
    desk.start(); ...; desk.close()
    """

    def __init__(
        self,
        node: HouseNode,
        folder: Path,
        *,
        shares: Mapping[str, type],
        pictures: Callable[[], dict[str, Array]],
        steady_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.written, self.trouble = 0, ""
        self._node, self._folder, self._pictures, self._steady_s = node, folder, pictures, steady_s
        self._box, self._watch = BlackBox(read_rules(node)), StopWatch()
        self._arm = ArmFacts()
        self._sessions: set[str] = set()  # who publishes episodes
        self._types: dict[str, TopicType] = {}
        self._statuses: dict[str, str] = {}
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="black_box")
        self._writing: list[Future[Path]] = []
        self._undrawn: list[Path] = []
        self._drawing: subprocess.Popen[bytes] | None = None
        self._heard_by_node = {self._full(topic): self._known(topic, kind) for topic, kind in shares.items()}
        self._known("episode", m.EpisodeEvent)
        for topic, kind in ALWAYS.items():
            self._listen(topic, kind)

    def start(self) -> None:
        ask_arm_node(self._node, every_s=ASK_S, told=self._on_arm)
        self._node.create_timer(LOOK_S, self._look, clock=STEADY)

    def close(self) -> None:
        """Write what is waited for; what comes to an end in the middle of an episode is a stop too."""
        if why := self._watch.at_the_end(self._sessions):
            self._stop(why)
        self._write(self._box.take())
        self._writer.shutdown(wait=True)
        self._written()
        self._draw()

    def readings(self) -> dict[str, Value]:
        held = self._box
        return {
            "black boxes": self.written,
            "black boxes passed_over": held.passed_over,
            "black box in_hand_mb": round(held.n_bytes / 1e6, 1),
        }

    # --- what comes in -------------------------------------------------------------------------------------------
    def offer(self, topic: str, cdr: bytes) -> None:
        """A message that the node has heard."""
        if (name := self._heard_by_node.get(self._full(topic))) is not None:
            self._take(name, cdr)

    def on_event(self, event: m.EpisodeEvent) -> None:
        self._box.add(self._full("episode"), serialize_message(event), self._now_ns())
        if event.kind == m.EpisodeEvent.START:
            self._watch.on_start(event.id)
            self._sessions = self._sessions or self._who_publishes("episode")
        elif why := self._watch.on_end(event.termination):
            self._stop(why, lesser=True)

    def _listen(self, topic: str, kind: type) -> None:
        if self._full(topic) in self._types:
            return
        name = self._known(topic, kind)
        self._node.create_subscription(kind, topic, lambda cdr: self._take(name, cdr), EARS, raw=True)

    def _take(self, name: str, cdr: bytes) -> None:
        self._box.add(name, cdr, self._now_ns())
        if name == self._full("safety_state"):
            said = deserialize_message(cdr, m.SafetyState)
            counts = dict(zip(said.reason_names, said.reason_counts, strict=False))
            if why := self._watch.on_safety(said.state, said.reasons, counts):
                self._stop(why, lesser=said.state != GuardState.LATCHED.value)
        elif name == "/diagnostics":
            self._on_diagnostics(deserialize_message(cdr, DiagnosticArray))

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if ": " not in status.name:  # a part of a node, such as a camera, lives and dies with its node
                self._watch.on_status(status.name, status.level[0], self._steady_s())
                self._statuses[status.name] = status.message

    def _on_arm(self, found: ArmFacts) -> None:
        """What arm_node was told: the topics it moves the arm by, and the limits that the picture shows."""
        self._arm = found
        for topic, kind in found.streams.items():
            self._listen(topic, kind)

    # --- what is made of it --------------------------------------------------------------------------------------
    def _look(self) -> None:
        if why := self._watch.dead(self._steady_s()):
            self._stop(why)
        self._write(self._box.due(self._now_ns(), self._steady_s()))
        self._written()
        if self._drawing is None or self._drawing.poll() is not None:
            self._draw()

    def _stop(self, why: str, *, lesser: bool = False) -> None:
        self._node.get_logger().warning(f"stopped: {why}")
        self._box.stop(why, self._now_ns(), self._steady_s(), lesser=lesser)

    def _write(self, capture: Capture | None) -> None:
        """In a thread: recording goes on meanwhile."""
        if capture is None:
            return
        now = datetime.now(UTC)
        facts = {
            "episode": self._watch.latest_episode,
            "nodes": dict(self._statuses),
            "robot": str(self._node.get_parameter("hardware_id").value),
            "topics": {role: self._full(topic) for role, topic in self._arm.roles.items()},
            **self._arm.settings,
        }
        writing = self._writer.submit(
            write, self._folder, capture, dict(self._types), facts, made_at=now, pictures=self._pictures()
        )
        self._writing.append(writing)

    def _written(self) -> None:
        """Tell of what the thread has written, and have it drawn in its turn."""
        done = [writing for writing in self._writing if writing.done()]
        self._writing = [writing for writing in self._writing if writing not in done]
        for writing in done:
            try:
                folder = writing.result()
            except (StoreError, DataError) as problem:
                self.trouble = str(problem)
                self._node.get_logger().error(str(problem))
                continue
            self.written += 1
            self._undrawn.append(folder)
            self._node.get_logger().warning(f"black box: {folder}")

    def _draw(self) -> None:
        """In a process of its own, one at a time, that may outlive this one: matplotlib takes seconds."""
        if not self._undrawn:
            return
        folders, self._undrawn = self._undrawn, []
        command = ["nice", "-n", "10", sys.executable, "-m", "o2o_robot.report.black_box", *map(str, folders)]
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._drawing = subprocess.Popen(command, start_new_session=True, **quiet)

    # --- names and times -----------------------------------------------------------------------------------------
    def _known(self, topic: str, kind: type) -> str:
        name, fields = self._full(topic), kind.get_fields_and_field_types()
        has_header = next(iter(fields.values()), "") == "std_msgs/Header"
        self._types[name] = TopicType(f"{kind.__module__.split('.')[0]}/msg/{kind.__name__}", has_header)
        return name

    def _full(self, topic: str) -> str:
        return str(self._node.resolve_topic_name(topic))

    def _who_publishes(self, topic: str) -> set[str]:
        found = self._node.get_publishers_info_by_topic(self._full(topic))
        return {f"{each.node_namespace}/{each.node_name}".strip("/").replace("//", "/") for each in found}

    def _now_ns(self) -> int:
        return self._node.now_ns()


def read_rules(node: HouseNode) -> BlackBoxRules:
    """The node's parameters `black_box.*`. Raises ConfigError where they are impossible."""
    usual = BlackBoxRules()
    return BlackBoxRules(
        before_s=node.setting("black_box.before_s", usual.before_s, "kept before a stop, seconds"),
        after_s=node.setting("black_box.after_s", usual.after_s, "kept after a stop, seconds"),
        most_bytes=node.setting("black_box.most_bytes", usual.most_bytes, "of messages in memory"),
        per_hour=node.setting("black_box.per_hour", usual.per_hour, "black boxes in any hour; 0: none"),
    )
