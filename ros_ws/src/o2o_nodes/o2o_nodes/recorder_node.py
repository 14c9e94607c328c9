"""Writes what happened: whole episodes to the store, every message of an episode to one MCAP file, and black boxes."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
from o2o_msgs import msg as m
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import Image, JointState

from o2o_nodes import checks, convert, qos
from o2o_nodes.bag import EpisodeBag
from o2o_nodes.black_box import BlackBoxDesk
from o2o_nodes.node import STEADY, HouseNode, run
from o2o_nodes.recorder_label import RecorderLabel
from o2o_nodes.scene_ears import TOPIC as SCENE
from o2o_nodes.scene_ears import SceneEars
from o2o_nodes.step_in import StepIn
from o2o_robot.data.provenance import episode_provenance
from o2o_robot.data.store import EpisodeStore
from o2o_robot.delivery import Turnstile
from o2o_robot.errors import DataError, StoreError
from o2o_robot.jsonfile import read_lines
from o2o_robot.recorder import Recorder
from o2o_robot.step_memory import StepMemory
from o2o_robot.types import Array
from o2o_robot.vitals import Value, disk_free_bytes, full_disk

RELAYED = {
    "joint_states": JointState,
    "current_pose": PoseStamped,
    "action": m.Action,
    "executed_action": m.ExecutedAction,
    "task_state": m.TaskState,
    "safety_state": m.SafetyState,
}
NEWEST = 16  # episodes of the store whose steps may be said again


class RecorderNode(HouseNode):
    def __init__(self) -> None:
        super().__init__("recorder_node")

    def open(self) -> None:
        self.reads_out = True
        store = self.setting("store", "", "episode store to append to; empty: none")
        bags = self.setting("bags", "", "folder for one MCAP file an episode; empty: none")
        cameras = self.setting("cameras", ["wrist", "front"], "camera names")
        grips = self.setting("gripper_states", "", "JointState of a gripper's opening, for the bags; empty: none")
        joints = dict.fromkeys([grips] if grips else [], JointState)
        draws = self.setting("scenes", False, "keep in the bags what the twin draws for each scene")
        boxes = self.run_dir if self.setting("black_box.keep", True, "write a black box at every stop") else None
        if not (store or bags or boxes):
            raise StoreError(
                "recorder_node has nothing to write to; set the parameter store, bags, run_dir, or several"
            )
        if store:
            self._store = EpisodeStore.open_or_create(store)
        newest = [str(self._store.meta(i)["id"]) for i in range(len(self._store))[-NEWEST:]] if store else []
        self._recorder = Recorder(self._store, provenance=self._provenance, stored=newest) if store else None
        self._memory = StepMemory(self.run_dir / "recorder_steps.json" if store and self.run_dir else None)
        gate = Turnstile(self._memory.run, self._memory.durable, adopts_new=True)
        self._steps = StepIn(self, self._on_step, durable=lambda: self._memory.durable, turnstile=gate)
        self._images: dict[str, bytes] = {}
        self._last_step: m.Step | None = None
        self._provenance()  # asks git once, here and not between two episodes
        self._bag = EpisodeBag(Path(bags)) if bags else None
        self._state_out = self.create_publisher(m.RecorderState, "recorder_state", qos.LATCHED)
        if self._bag is not None:
            self._listen_raw({**RELAYED, **joints, **{f"{name}/color/image_raw": Image for name in cameras}})
            if draws:
                self._bag.register(SCENE, DiagnosticArray)
        shares = RELAYED if self._bag is not None else {}
        self._desk = (
            BlackBoxDesk(self, boxes / "black_box", shares=shares, pictures=self._last_pictures) if boxes else None
        )
        self._must_be_there = ["episode", *(["executed_action"] if bags else [])]
        sensors = ["joint_states", "current_pose", *joints, *(f"{name}/color/image_raw" for name in cameras)]
        self._unheard = set(sensors if bags else [])
        self._scenes = SceneEars(self) if draws else None
        self.create_subscription(m.EpisodeEvent, "episode", self._on_event, qos.RECORD)
        if store or bags:
            RecorderLabel(self, store=self._store if store else None, bags=Path(bags) if bags else None)

    def start(self) -> None:
        self._listening = self.create_timer(0.05, self._listen_when_ready, clock=STEADY)
        self.create_timer(1.0, self._tell, clock=STEADY)
        self.create_timer(1.0, self._hear_of_ends, clock=STEADY)
        self._steps.start()
        if self._desk is not None:
            self._desk.start()
        self._tell()

    def close(self) -> None:
        """Commit what is whole, drop what is not."""
        if self._desk is not None:
            self._desk.close()
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
            "black_boxes": self._desk.written if self._desk else 0,
        }

    def readings(self) -> dict[str, Value]:
        state = self._state()
        kept = {"episodes stored": state.episodes_stored, "episodes discarded": state.episodes_discarded}
        return {
            **kept,
            "disk_free_mb": self._free_bytes() // 1_000_000,
            **(self._desk.readings() if self._desk else {}),
        }

    def trouble(self) -> list[str]:
        return [*full_disk(self._free_bytes()), *([self._desk.trouble] if self._desk and self._desk.trouble else [])]

    def _free_bytes(self) -> int:
        return disk_free_bytes(
            Path(self.setting("store", "", "") or self.setting("bags", "", "") or self.run_dir or ".")
        )

    def _last_pictures(self) -> dict[str, Array]:
        """Each camera's newest picture: as it was heard, else as the policy saw it in the last Step."""
        images = {name: deserialize_message(cdr, Image) for name, cdr in self._images.items()}
        if not images and self._last_step is not None:
            seen = self._last_step.observation
            images = dict(zip(seen.image_names, seen.images, strict=False))
        return {name: pixels for name, message in images.items() if (pixels := _readable(message)) is not None}

    def _listen_raw(self, topics: dict[str, type]) -> None:
        bag = self._bag
        assert bag is not None
        for topic, kind in topics.items():
            bag.register(topic, kind)
            profile = qos.VERDICT_RECORD if topic == "executed_action" else qos.RECORD
            self.create_subscription(kind, topic, lambda raw, topic=topic: self._on_raw(topic, raw), profile, raw=True)

    def _on_raw(self, topic: str, raw: bytes) -> None:
        assert self._bag is not None
        self.n_taken += topic == "executed_action"
        written = self._bag.written
        self._bag.add(topic, raw, self._wall_ns())
        if self._bag.written != written:
            self._tell()
        self._unheard.discard(topic)
        if topic.endswith("image_raw"):
            self._images[topic.split("/")[0]] = raw
        elif self._desk is not None:
            self._desk.offer(topic, raw)

    def _listen_when_ready(self) -> None:
        """Subscribe to `step` last: whoever runs the session waits for that, and nothing of episode 0 is missed.

        A sensor counts once it was heard: that its publisher is known does not mean that the publisher knows of us.
        """
        if not self._unheard and all(self.count_publishers(topic) for topic in self._must_be_there):
            self.destroy_timer(self._listening)
            self._steps.listen()

    def _on_step(self, message: m.Step) -> None:
        self.n_taken += 1
        self._last_step = message
        if self._recorder is not None:
            stored = self._recorder.episodes_stored
            self._guarded(lambda: self._recorder.add(convert.step(message)))
            if self._recorder.episodes_stored != stored:  # its END had come first: the session waits for this word
                self._tell()
            self._memory.took(message.run, message.number, message.episode)
            self._memory.settle(self._recorder.running)

    def _hear_of_ends(self) -> None:
        """Where an END was said while we were away: the session wrote it down too."""
        if self._recorder is not None and self._recorder.waits_for_an_end and self.run_dir is not None:
            lines = read_lines(self.run_dir / "episodes.jsonl")
            self._guarded(lambda: self._recorder.settle(lines))
            self._memory.settle(self._recorder.running)

    def _on_event(self, message: m.EpisodeEvent) -> None:
        checks.event(message)
        self.n_taken += 1
        if self._desk is not None:
            self._desk.on_event(message)
        facts: dict[str, Any] = {"task": message.task, "mode": message.mode, "seed": message.seed}
        if self._scenes is not None and (drawn := self._scenes.of(message, self._bag)):
            facts["drawn"] = drawn
        if self._bag is not None:
            self._bag.on_event(message, self._wall_ns())
        if self._recorder is None:
            return
        if message.kind == m.EpisodeEvent.START:
            self._recorder.start(message.id, **facts)
        else:
            end = {"outcome": message.outcome, "termination": message.termination}
            self._guarded(lambda: self._recorder.end(message.id, n_steps=message.n_steps, **facts, **end))
            self._memory.settle(self._recorder.running)
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
        if self._bag is not None:  # on disk is what is in both
            bagged = self._bag.last
            state.last_episode = bagged if recorder is None or recorder.last_episode == bagged else ""
        return state

    def _tell(self) -> None:
        self._state_out.publish(self._state())

    def _wall_ns(self) -> int:
        return int(self.get_clock().now().nanoseconds)


def _readable(message: Image) -> Array | None:
    try:
        return convert.image(message)
    except (DataError, ValueError):  # an encoding nobody reads, or bytes that are not its size
        return None


def main() -> None:
    run(RecorderNode)
