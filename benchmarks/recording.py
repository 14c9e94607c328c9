"""Recording in real time, to MCAP and to the store at once: `python benchmarks/recording.py [--minutes 10]`.

Two cameras at 30 Hz, joint states and tool pose at 100 Hz, actions, verdicts and steps at 10 Hz, in episodes of a
minute, published by this process and written by the real recorder_node. Every message that was published within an
episode is then looked for in the files. Also: the recorder's share of a core, and its memory from start to end.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from o2o_robot.data.bag import Bag
from o2o_robot.data.decode import header_stamp_ns
from o2o_robot.data.provenance import machine, versions
from o2o_robot.data.store import EpisodeStore
from o2o_robot.graph import JOINTS, Process
from o2o_robot.jsonfile import read_json
from o2o_robot.supervise import Supervisor

OUT = Path(__file__).parent / "results" / "recording.json"
CAMERAS = ("wrist", "front")
TICK_HZ, STATE_HZ, CAMERA_HZ, STEP_HZ = 300, 100, 30, 10
DOMAIN = "91"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--episode-s", type=float, default=60.0)
    parser.add_argument("--image-size", type=int, default=128)
    parser.add_argument("--json", type=Path, default=OUT)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="recording.") as folder:
        figures = measure(Path(folder), chosen.minutes * 60.0, chosen.episode_s, chosen.image_size)
    for name, value in figures.items():
        print(f"{name:28} {value}")
    chosen.json.write_text(json.dumps({"figures": figures, "machine": machine(), "versions": versions()}, indent=1))
    if figures["messages_lost"] or figures["steps_lost"]:
        sys.exit(1)


def measure(folder: Path, seconds: float, episode_s: float, image_size: int) -> dict[str, Any]:
    parameters = {"run_dir": str(folder), "store": str(folder / "s.zarr"), "bags": str(folder / "bags")}
    recorder = Process("recorder_node", {**parameters, "cameras": list(CAMERAS), "use_sim_time": False})
    with Publisher(image_size) as publisher, Supervisor([recorder], folder) as running:
        publisher.wait_for_recorder()
        pid = running.facts()[0]["pid"]
        cpu_s, memory_mb = processor_s(pid), [resident_mb(pid)]
        started = time.monotonic()
        while time.monotonic() - started < seconds:
            publisher.episode(episode_s)
            memory_mb.append(resident_mb(pid))
        wall_s = time.monotonic() - started
        cpu_s = processor_s(pid) - cpu_s
        publisher.wait_for_disk()
    found, steps = count(folder)
    summary = read_json(folder / "recorder_node.json")
    published = publisher.published
    lost = {topic: n - found[topic] for topic, n in published.items() if n != found[topic]}
    return {
        "minutes": round(wall_s / 60, 2),
        "image_size": image_size,
        "published": dict(published),
        "messages_lost": sum(lost.values()),
        "lost_by_topic": lost,
        "steps_published": publisher.steps,
        "steps_lost": publisher.steps - steps,
        "episodes_discarded": summary["episodes_discarded"],
        "share_of_a_core": round(cpu_s / wall_s, 3),
        "MB_per_s_in": round(publisher.n_bytes / wall_s / 1e6, 2),
        "resident_MB_after_each_episode": [round(each, 1) for each in memory_mb],
        "publisher_late_ms_p99": round(float(np.percentile(publisher.late_ms, 99)), 2),
    }


class Publisher:
    """What a graph publishes while an arm works, at its real rates, with frames that look like a camera's."""

    def __init__(self, image_size: int) -> None:
        self.published: Counter[str] = Counter()
        self.steps = self.n_bytes = 0
        self.late_ms: list[float] = []
        self._size = image_size
        self._n_episodes = self._last_ns = 0

    def __enter__(self) -> Publisher:
        import rclpy
        from geometry_msgs.msg import PoseStamped
        from o2o_msgs import msg as m
        from sensor_msgs.msg import Image, JointState

        from o2o_nodes import qos

        rclpy.init()
        self._m, self._node = m, rclpy.create_node("load")
        kinds: dict[str, Any] = {
            "joint_states": JointState,
            "current_pose": PoseStamped,
            "action": m.Action,
            "task_state": m.TaskState,
            "safety_state": m.SafetyState,
            **{f"{name}/color/image_raw": Image for name in CAMERAS},
        }
        self._out = {topic: self._node.create_publisher(kind, topic, qos.SENSOR_OUT) for topic, kind in kinds.items()}
        verdicts = self._node.create_publisher(m.ExecutedAction, "executed_action", qos.VERDICT_OUT)
        self._out["executed_action"] = verdicts
        self._out["step"] = self._node.create_publisher(m.Step, "step", qos.RECORD)
        self._out["episode"] = self._node.create_publisher(m.EpisodeEvent, "episode", qos.RECORD)
        self._stored = 0
        self._node.create_subscription(m.RecorderState, "recorder_state", self._on_state, qos.LATCHED)
        self._frames = camera_like(self._size, n=60)
        return self

    def __exit__(self, *_: object) -> None:
        import rclpy

        self._node.destroy_node()
        rclpy.shutdown()

    def wait_for_recorder(self) -> None:
        self._wait(lambda: all(out.get_subscription_count() for out in self._out.values()), "the recorder to listen")

    def wait_for_disk(self) -> None:
        self._wait(lambda: self._stored >= self._n_episodes, "the last episode to be stored")

    def episode(self, seconds: float) -> None:
        """One episode at real rates; every message carries the time at which it was due."""
        name = f"load-{self._n_episodes:03d}"
        n_ticks = int(seconds * TICK_HZ) // (TICK_HZ // STEP_HZ) * (TICK_HZ // STEP_HZ)
        first_ns, started = max(time.time_ns(), self._last_ns + 1_000_000), time.monotonic()
        self._event(name, first_ns, kind=0, n_steps=0)
        for tick in range(n_ticks + 1):
            due_s = started + tick / TICK_HZ
            while (wait_s := due_s - time.monotonic()) > 0:
                time.sleep(wait_s)
            self.late_ms.append(-1e3 * wait_s)
            self._tick(name, tick, first_ns + tick * 1_000_000_000 // TICK_HZ, left=n_ticks - tick)
        self._last_ns = first_ns + n_ticks * 1_000_000_000 // TICK_HZ
        self._event(name, self._last_ns, kind=1, n_steps=n_ticks * STEP_HZ // TICK_HZ)
        self._n_episodes += 1

    def _tick(self, name: str, tick: int, ns: int, *, left: int) -> None:
        from o2o_nodes import convert
        from o2o_robot.types import Action, Executed, Observation, Pose, Step, TaskState

        m, values = self._m, np.zeros(3, np.float32)
        if tick % (TICK_HZ // STATE_HZ) == 0:
            joints = np.sin(1e-3 * tick + np.arange(7))
            message = self._joint_state(ns, joints)
            self._send("joint_states", message)
            self._send("current_pose", convert.pose_message(Pose(joints[:3], np.array([0.0, 0, 0, 1])), ns, "base"))
        frame = self._frames[tick // (TICK_HZ // CAMERA_HZ) % len(self._frames)]
        if tick % (TICK_HZ // CAMERA_HZ) == 0:
            for camera in CAMERAS:
                self._send(f"{camera}/color/image_raw", convert.image_message(frame, ns, camera))
        if tick % (TICK_HZ // STEP_HZ):
            return
        index = tick * STEP_HZ // TICK_HZ
        done = Executed(ns, index, values, values) if left else None
        seen = Observation(ns, dict.fromkeys(CAMERAS, frame), {"q_rad": np.zeros(7, np.float32)})
        step = Step(name, index, seen, done, truncated=left == TICK_HZ // STEP_HZ)
        self._out["step"].publish(convert.step_message(step, "demo"))
        self._send("task_state", convert.task_message(TaskState(ns, 0.0, False)))
        self.n_bytes += 2 * frame.nbytes
        if done is not None:
            self.steps += 1
            self._send("action", convert.action_message(Action(ns, index, values), "base"))
            self._send("executed_action", convert.executed_message(done))
            state = m.SafetyState()
            state.header.stamp = convert.stamp(ns)
            self._send("safety_state", state)

    def _joint_state(self, ns: int, q_rad: np.ndarray) -> Any:
        from sensor_msgs.msg import JointState

        from o2o_nodes import convert

        message = JointState(name=JOINTS["fr3"], position=q_rad.tolist(), velocity=q_rad.tolist())
        message.header.stamp = convert.stamp(ns)
        return message

    def _send(self, topic: str, message: Any) -> None:
        self._out[topic].publish(message)
        self.published[topic] += 1
        self.n_bytes += len(message.data) if hasattr(message, "data") else 200

    def _event(self, name: str, ns: int, *, kind: int, n_steps: int) -> None:
        from o2o_nodes import convert

        event = self._m.EpisodeEvent(id=name, task="load", mode="demo", seed=-1, kind=kind, n_steps=n_steps)
        event.outcome, event.termination = "failure", "time_limit"
        event.header.stamp = convert.stamp(ns)
        self._out["episode"].publish(event)
        self.published["episode"] += 1

    def _on_state(self, state: Any) -> None:
        self._stored = int(state.episodes_stored)

    def _wait(self, condition: Any, what: str, timeout_s: float = 60.0) -> None:
        import rclpy

        deadline = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline:
                raise SystemExit(f"waited {timeout_s:.0f} s in vain for {what}")
            rclpy.spin_once(self._node, timeout_sec=0.1)


def camera_like(size: int, *, n: int) -> list[np.ndarray]:
    """n frames (size, size, 3) uint8: shading, an object that moves, and a sensor's noise."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:size, :size] / size
    frames = []
    for i in range(n):
        at = 0.5 + 0.3 * np.array([np.sin(0.2 * i), np.cos(0.3 * i)])
        spot = np.hypot(x - at[0], y - at[1]) < 0.15
        shade = np.stack([0.3 + 0.4 * x, 0.5 - 0.2 * y, 0.4 + 0.2 * x * y], axis=-1)
        shade[spot] = (0.8, 0.3, 0.2)
        frames.append((255 * shade + rng.normal(0, 3, shade.shape)).clip(0, 255).astype(np.uint8))
    return frames


def count(folder: Path) -> tuple[Counter[str], int]:
    """Messages by topic in the files, and steps in the store.

    A message counts once: one that comes while an episode's END is still on its way may lie in that file as well.
    """
    seen: set[tuple[str, int]] = set()
    for path in sorted((folder / "bags").glob("*.mcap")):
        bag = Bag.open(path)
        seen.update((message.topic, header_stamp_ns(message.data)) for message in bag.messages(bag.topics()))
    with EpisodeStore.open(folder / "s.zarr") as store:
        return Counter(topic for topic, _ in seen), store.n_steps


def processor_s(pid: int) -> float:
    """Processor time of a process so far, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1e3
    return float("nan")


if __name__ == "__main__":
    os.environ["ROS_DOMAIN_ID"] = DOMAIN
    main()
