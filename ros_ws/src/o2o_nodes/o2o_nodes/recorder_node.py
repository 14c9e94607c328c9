"""Writes what happened: whole episodes to the store, and every message of an episode to one MCAP file."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from geometry_msgs.msg import PoseStamped
from o2o_msgs import msg as m
from sensor_msgs.msg import Image, JointState

from o2o_nodes import convert, qos
from o2o_nodes.bag import EpisodeBag
from o2o_nodes.node import STEADY, HouseNode, run
from o2o_robot.data.provenance import episode_provenance
from o2o_robot.data.store import EpisodeStore
from o2o_robot.errors import StoreError
from o2o_robot.recorder import Recorder

RELAYED = {
    "joint_states": JointState,
    "current_pose": PoseStamped,
    "action": m.Action,
    "executed_action": m.ExecutedAction,
    "task_state": m.TaskState,
    "safety_state": m.SafetyState,
}


class RecorderNode(HouseNode):
    def __init__(self) -> None:
        super().__init__("recorder_node")

    def open(self) -> None:
        store = self.setting("store", "", "episode store to append to; empty: none")
        bags = self.setting("bags", "", "folder for one MCAP file an episode; empty: none")
        cameras = self.setting("cameras", ["wrist", "front"], "camera names")
        if not store and not bags:
            raise StoreError("recorder_node has nothing to write to; set the parameter store, bags, or both")
        if store:
            self._store = EpisodeStore.open_or_create(store)
        self._recorder = Recorder(self._store, provenance=self._provenance) if store else None
        self._provenance()  # asks git once, here and not between two episodes
        self._bag = EpisodeBag(Path(bags)) if bags else None
        self._state_out = self.create_publisher(m.RecorderState, "recorder_state", qos.LATCHED)
        if self._bag is not None:
            self._listen_raw({**RELAYED, **{f"{name}/color/image_raw": Image for name in cameras}})
        self._must_be_there = ["episode", *(["executed_action"] if bags else [])]
        sensors = ["joint_states", "current_pose", *(f"{name}/color/image_raw" for name in cameras)]
        self._unheard = set(sensors if bags else [])
        self.create_subscription(m.EpisodeEvent, "episode", self._on_event, qos.RECORD)

    def start(self) -> None:
        self._listening = self.create_timer(0.05, self._listen_when_ready, clock=STEADY)
        self.create_timer(1.0, self._tell, clock=STEADY)
        self._tell()

    def close(self) -> None:
        """Commit what is whole, drop what is not."""
        if self._bag is not None:
            self._bag.close()
        if self._recorder is not None:
            self._recorder.close()
            self._store.close()

    def summary(self) -> dict[str, Any]:
        state = self._state()
        bag = self._bag
        return {
            "episodes_stored": state.episodes_stored,
            "steps_stored": state.steps_stored,
            "episodes_discarded": self._recorder.discarded if self._recorder else {},
            "bags_written": bag.written if bag else 0,
            "bag_messages": bag.messages if bag else 0,
        }

    def _listen_raw(self, topics: dict[str, type]) -> None:
        bag = self._bag
        assert bag is not None
        for topic, kind in topics.items():
            bag.register(topic, kind)
            profile = qos.VERDICT_RECORD if topic == "executed_action" else qos.RECORD
            self.create_subscription(kind, topic, lambda raw, topic=topic: self._on_raw(topic, raw), profile, raw=True)

    def _on_raw(self, topic: str, raw: bytes) -> None:
        assert self._bag is not None
        self._bag.add(topic, raw, self._wall_ns())
        self._unheard.discard(topic)

    def _listen_when_ready(self) -> None:
        """Subscribe to `step` last: whoever runs the session waits for that, and nothing of episode 0 is missed.

        A sensor counts once it was heard: that its publisher is known does not mean that the publisher knows of us.
        """
        if not self._unheard and all(self.count_publishers(topic) for topic in self._must_be_there):
            self.destroy_timer(self._listening)
            self.create_subscription(m.Step, "step", self._on_step, qos.RECORD)

    def _on_step(self, message: m.Step) -> None:
        if self._recorder is not None:
            self._guarded(lambda: self._recorder.add(convert.step(message)))

    def _on_event(self, message: m.EpisodeEvent) -> None:
        facts = {"task": message.task, "mode": message.mode, "seed": message.seed}
        if self._bag is not None:
            self._bag.on_event(message, self._wall_ns())
        if self._recorder is None:
            return
        if message.kind == m.EpisodeEvent.START:
            self._recorder.start(message.id, **facts)
        else:
            end = {"outcome": message.outcome, "termination": message.termination}
            self._guarded(lambda: self._recorder.end(message.id, n_steps=message.n_steps, **facts, **end))
        self._tell()

    def _guarded(self, write: Any) -> None:
        """A full disk must be seen at once: the session ends, what was committed stays."""
        try:
            write()
        except StoreError as problem:
            self.get_logger().fatal(str(problem))
            self.finish(1)

    def _provenance(self) -> dict[str, Any]:
        """By the wall's clock, also where the twin has its own: it says when this file was made."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return episode_provenance(source=self.get_fully_qualified_name(), created_at=now)

    def _state(self) -> m.RecorderState:
        recorder = self._recorder
        state = m.RecorderState()
        state.header.stamp = self.get_clock().now().to_msg()
        if recorder is not None:
            state.episodes_stored, state.steps_stored = recorder.episodes_stored, recorder.steps_stored
            state.episodes_discarded, state.last_episode = recorder.episodes_discarded, recorder.last_episode
        elif self._bag is not None:
            state.episodes_stored, state.steps_stored = self._bag.written, self._bag.steps_written
        return state

    def _tell(self) -> None:
        self._state_out.publish(self._state())

    def _wall_ns(self) -> int:
        return int(self.get_clock().now().nanoseconds)


def main() -> None:
    run(RecorderNode)
