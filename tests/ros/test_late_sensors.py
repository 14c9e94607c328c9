"""A twin whose sensors are late, in real time: stamps say when something was measured, not when it was said."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("rclpy")
pytest.importorskip("o2o_msgs", reason="the built workspace is not on the path; run: . scripts/env.sh")

from arm_bench import Client, twin_process
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image, JointState

from o2o_nodes import convert, qos
from o2o_robot.supervise import Supervisor

pytestmark = pytest.mark.ros
LATE_NS = 60_000_000
FILE = "camera: {fps: 20, link: {latency_s: 0.06}}\njoints: {hz: 50, link: {latency_s: 0.06}}\n"


def test_a_late_sensors_messages_carry_the_stamp_of_the_measurement(domain: int, tmp_path: Path):
    (tmp_path / "late.yaml").write_text(FILE)
    sensors = {"sensors": str(tmp_path / "late.yaml"), "cameras": ["wrist"], "image_size": 8, "realtime_factor": 0.5}
    now_ns, ages_ns = [0], {"joints": [], "wrist": []}

    def heard(name: str, message: JointState | Image) -> None:
        ages_ns[name].append(now_ns[0] - convert.stamp_ns(message.header.stamp))

    with Supervisor([twin_process(**sensors)], tmp_path / "run"), Client(domain, lockstep=False) as client:
        hear = client.node.create_subscription
        hear(Clock, "/clock", lambda said: now_ns.__setitem__(0, convert.stamp_ns(said.clock)), qos.RECORD)
        hear(JointState, "joint_states", lambda said: heard("joints", said), qos.RECORD)
        hear(Image, "wrist/color/image_raw", lambda said: heard("wrist", said), qos.RECORD)
        client.until(lambda: all(len(ages) > 20 for ages in ages_ns.values()), 120.0, "twenty of each")
    for name, ages in ages_ns.items():
        known = [age for age in ages if age < 10 * LATE_NS]  # a clock that was not heard yet, or is behind in the queue
        assert sum(age >= LATE_NS - 20_000_000 for age in known) > 0.8 * len(known), name
