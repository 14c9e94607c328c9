"""Bags as recorder_node writes them, made from an Episode, so that a test knows what must come out again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import yaml
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from o2o_robot.data.bags.mcap_writer import McapEpisodeWriter
from o2o_robot.types import Episode

MSG_FOLDER = Path(__file__).parents[2] / "ros_ws" / "src" / "o2o_msgs" / "msg"
JOINTS = [f"fr3_joint{i}" for i in range(1, 8)]
PERIOD_NS = 100_000_000
OWN = ("Action", "ExecutedAction", "TaskState", "EpisodeEvent")
STORE = get_typestore(Stores.LATEST)
for _name in OWN:
    STORE.register(get_types_from_msg((MSG_FOLDER / f"{_name}.msg").read_text(), f"o2o_msgs/msg/{_name}"))

TYPES = {
    "joint_states": "sensor_msgs/msg/JointState",
    "current_pose": "geometry_msgs/msg/PoseStamped",
    "wrist/color/image_raw": "sensor_msgs/msg/Image",
    "front/color/image_raw": "sensor_msgs/msg/Image",
    "action": "o2o_msgs/msg/Action",
    "executed_action": "o2o_msgs/msg/ExecutedAction",
    "task_state": "o2o_msgs/msg/TaskState",
    "episode": "o2o_msgs/msg/EpisodeEvent",
}


def make_episode(seed: int, *, n_steps: int = 6, is_success: bool = True, side: int = 64) -> Episode:
    """An episode of random numbers, valid in every respect, as the live recorder would store it."""
    rng = np.random.default_rng(seed)
    last = np.arange(n_steps) == n_steps - 1

    def floats(n_rows: int, width: int) -> np.ndarray:
        return rng.uniform(-1, 1, (n_rows, width)).astype(np.float32)

    return Episode(
        images={n: rng.integers(0, 256, (n_steps + 1, side, side, 3), np.uint8) for n in ("wrist", "front")},
        state={
            "q_rad": floats(n_steps + 1, 7),
            "dq_rad": floats(n_steps + 1, 7),
            "tool_position_m": floats(n_steps + 1, 3),
            "tool_quat_xyzw": floats(n_steps + 1, 4),
            "gripper_m": floats(n_steps + 1, 1),
        },
        stamp_ns=10_000_000_000 * (seed + 1) + np.arange(n_steps + 1, dtype=np.int64) * PERIOD_NS,
        action=floats(n_steps, 3),
        proposed=floats(n_steps, 3),
        reward=(last & is_success).astype(np.float32),
        terminated=last & is_success,
        truncated=last & (not is_success),
        reasons=rng.integers(0, 2**32, n_steps, np.uint32),
        source=rng.integers(0, 4, n_steps, np.uint8),
        revision=rng.integers(0, 1000, n_steps, np.int64),
        meta={
            "id": f"ep-{seed}",
            "task": "peg",
            "mode": "demo",
            "seed": seed,
            "outcome": "success" if is_success else "failure",
            "termination": "task" if is_success else "time_limit",
        },
    )


def write_twin_bag(path: Path, *episodes: Episode, namespace: str = "/", skip: frozenset[str] = frozenset()) -> Path:
    """The episodes as one MCAP. skip: keys like "wrist/color/image_raw@3" or "episode@END" that are not written."""
    with McapEpisodeWriter(path) as writer:
        for topic, kind in TYPES.items():
            writer.register(namespace + topic, kind, STORE.generate_msgdef(kind, ros_version=2)[0])
        for episode in episodes:
            for stamp_ns, topic, key, message in _messages(episode):
                if f"{topic}@{key}" not in skip:
                    cdr = bytes(STORE.serialize_cdr(message, TYPES[topic]))
                    receipt_ns = int(stamp_ns) + 2_000_000
                    writer.write(namespace + topic, cdr, log_time_ns=receipt_ns, publish_time_ns=receipt_ns)
    return path


def header(stamp_ns: int) -> Any:
    time = STORE.types["builtin_interfaces/msg/Time"](sec=int(stamp_ns // 10**9), nanosec=int(stamp_ns % 10**9))
    return STORE.types["std_msgs/msg/Header"](stamp=time, frame_id="base")


def image(pixels: np.ndarray, stamp_ns: int, encoding: str = "rgb8", padding: int = 0) -> Any:
    """sensor_msgs/Image of pixels (H, W, C), each row followed by `padding` bytes."""
    height, width = pixels.shape[:2]
    rows = np.pad(pixels.reshape(height, -1), ((0, 0), (0, padding)))
    return STORE.types["sensor_msgs/msg/Image"](
        header=header(stamp_ns), height=height, width=width, encoding=encoding, is_bigendian=0, step=rows.shape[1],
        data=rows.reshape(-1),
    )  # fmt: skip


def joint_state(stamp_ns: int, names: list[str], position: np.ndarray, velocity: np.ndarray | None = None) -> Any:
    empty = np.zeros(0, np.float64)
    return STORE.types["sensor_msgs/msg/JointState"](
        header=header(stamp_ns), name=list(names), position=np.asarray(position, np.float64),
        velocity=empty if velocity is None else np.asarray(velocity, np.float64), effort=empty,
    )  # fmt: skip


def write_bag(path: Path, messages: list[tuple[str, str, int, Any]]) -> Path:
    """An MCAP of (topic, type, receipt_ns, message)."""
    with McapEpisodeWriter(path) as writer:
        for topic, kind, receipt_ns, message in messages:
            writer.register(topic, kind, STORE.generate_msgdef(kind, ros_version=2)[0])
            cdr = bytes(STORE.serialize_cdr(message, kind))
            writer.write(topic, cdr, log_time_ns=receipt_ns, publish_time_ns=receipt_ns)
    return path


def write_contract(path: Path, **settings: Any) -> Path:
    path.write_text(yaml.safe_dump(settings))
    return path


def _messages(episode: Episode) -> list[tuple[int, str, str, Any]]:
    """(stamp_ns, topic, key, message) in the order a recorder would receive them."""
    made = [(episode.stamp_ns[0], "episode", "START", _event(episode, 0))]
    for i, stamp_ns in enumerate(episode.stamp_ns):
        state = {name: values[i] for name, values in episode.state.items()}
        # reversed, with a stranger among them: joints are found by name
        names = [*reversed(JOINTS), "other", "fr3_finger_joint1"]
        position = [*state["q_rad"][::-1], 9.0, *state["gripper_m"]]
        made.append(
            (
                stamp_ns,
                "joint_states",
                str(i),
                joint_state(stamp_ns, names, position, [*state["dq_rad"][::-1], 9.0, 9.0]),
            )
        )
        made.append((stamp_ns, "current_pose", str(i), _pose(stamp_ns, state)))
        for camera, frames in episode.images.items():
            made.append((stamp_ns, f"{camera}/color/image_raw", str(i), image(frames[i], stamp_ns)))
        reward = float(episode.reward[i - 1]) if i else 0.0
        kind = STORE.types["o2o_msgs/msg/TaskState"]
        judged = kind(header=header(stamp_ns), reward=reward, success=reward > 0, failure=False, privileged=np.zeros(3))
        made.append((stamp_ns, "task_state", str(i), judged))
        if i < len(episode):
            made += _motion(episode, i)
    return [*made, (episode.stamp_ns[-1], "episode", "END", _event(episode, 1))]


def _motion(episode: Episode, i: int) -> list[tuple[int, str, str, Any]]:
    stamp_ns = episode.stamp_ns[i]
    common = {
        "header": header(stamp_ns), "seq": i,
        "policy_revision": int(episode.revision[i]), "source": int(episode.source[i]),
    }  # fmt: skip
    asked = STORE.types["o2o_msgs/msg/Action"](**common, values=episode.proposed[i])
    done = STORE.types["o2o_msgs/msg/ExecutedAction"](
        **common, proposed=episode.proposed[i], executed=episode.action[i], reasons=int(episode.reasons[i])
    )
    return [(stamp_ns, "action", str(i), asked), (stamp_ns, "executed_action", str(i), done)]


def _pose(stamp_ns: int, state: dict[str, np.ndarray]) -> Any:
    x, y, z = (float(v) for v in state["tool_position_m"])
    qx, qy, qz, qw = (float(v) for v in state["tool_quat_xyzw"])
    point = STORE.types["geometry_msgs/msg/Point"](x=x, y=y, z=z)
    turn = STORE.types["geometry_msgs/msg/Quaternion"](x=qx, y=qy, z=qz, w=qw)
    pose = STORE.types["geometry_msgs/msg/Pose"](position=point, orientation=turn)
    return STORE.types["geometry_msgs/msg/PoseStamped"](header=header(stamp_ns), pose=pose)


def _event(episode: Episode, kind: int) -> Any:
    meta = episode.meta
    return STORE.types["o2o_msgs/msg/EpisodeEvent"](
        header=header(episode.stamp_ns[-1 if kind else 0]), id=meta["id"], task=meta["task"], mode=meta["mode"],
        seed=meta["seed"], kind=kind, n_steps=len(episode) if kind else 0,
        outcome=meta["outcome"] if kind else "", termination=meta["termination"] if kind else "",
    )  # fmt: skip
