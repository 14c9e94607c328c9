"""Facts as tests want them: a stream at a rate, with what is to be wrong with it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from o2o_robot.preflight.facts import Endpoint, GraphFacts, MachineFacts, NodeParameters, Stream
from o2o_robot.preflight.wanted import Wanted, wanted
from o2o_robot.safety.guard_config import PRESETS

START_NS = 1_700_000_000_000_000_000
DRIVER, ARM = Endpoint("/driver", True), Endpoint("/arm_node", True)


def a_stream(
    name: str = "joint_states", *, hz: float = 100.0, seconds: float = 2.0, age_s: float = 0.002, kind: str = ""
) -> Stream:
    """Even stamps, each received age_s after it."""
    stamps = START_NS + np.round(np.arange(round(hz * seconds)) * 1e9 / hz).astype(np.int64)
    receipts = stamps + round(age_s * 1e9)
    return Stream(
        name,
        f"/{name}",
        kind or "sensor_msgs/msg/JointState",
        (DRIVER,),
        (ARM,),
        tuple(stamps.tolist()),
        tuple(receipts.tolist()),
        tuple(receipts.tolist()),
        tuple(range(1, len(stamps) + 1)),
        listened_s=seconds,
    )


def only(stream: Stream, rows: np.ndarray) -> Stream:
    """The stream with these of its messages, rows as a mask or as numbers in order of receipt."""
    columns = ("stamps_ns", "receipts_ns", "received_ns", "sequence")
    kept = {name: tuple(np.array(getattr(stream, name))[rows].tolist()) for name in columns}
    return replace(stream, **kept)


def a_wanted(robot: str = "fr3", cameras: tuple[str, ...] = ("wrist",)) -> Wanted:
    return wanted(robot, cameras=cameras, guard=PRESETS[robot](), state_hz=100.0, camera_hz=30.0)


def a_machine() -> MachineFacts:
    return MachineFacts(free_bytes=500_000_000_000, write_bytes_s=400e6, cpus=8, load_1min=1.0)


def a_graph(**changes: object) -> GraphFacts:
    """A robot that is as it should be."""
    names = ("joint_states", "current_pose", "task_state", "wrist/color/image_raw")
    kinds = ("sensor_msgs/msg/JointState", "geometry_msgs/msg/PoseStamped", "o2o_msgs/msg/TaskState")
    streams = [a_stream(n, kind=k) for n, k in zip(names[:3], kinds, strict=True)]
    image = a_stream(names[3], hz=30.0, kind="sensor_msgs/msg/Image")
    streams.append(replace(image, frame_id="wrist_color_optical_frame"))
    command = Stream("target_pose", "/target_pose", publishers=(ARM,), subscribers=(DRIVER,))
    told = {"use_sim_time": False}
    nodes = (NodeParameters("/arm_node", {**told, "auto_arm": False, "limits": "fr3"}), NodeParameters("/driver", told))
    joints = tuple(f"fr3_joint{i}" for i in range(1, 8))
    whole = GraphFacts(tuple(streams), command, joint_names=joints, nodes=nodes)
    return replace(whole, **changes)  # type: ignore[arg-type]
