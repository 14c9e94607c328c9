"""A black box written and read back: the messages are those that were said, and the picture shows them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("rosbags")

from o2o_robot.apps import black_box as app
from o2o_robot.black_box import FACTS, MESSAGES, PICTURE, Capture, Raw, TopicType, write
from o2o_robot.config import as_mapping
from o2o_robot.data.bag import Bag
from o2o_robot.data.bags import encode
from o2o_robot.errors import DataError, StoreError
from o2o_robot.report import black_box
from o2o_robot.report.black_box import Track
from o2o_robot.report.black_box_figure import rate
from o2o_robot.report.stops import stops
from o2o_robot.safety.guard_config import twin

NS = 1_000_000_000
START_NS, STOP_NS = 100 * NS, 110 * NS
MADE_AT = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
TYPES = {
    "/joint_states": TopicType("sensor_msgs/msg/JointState", True),
    "/current_pose": TopicType("geometry_msgs/msg/PoseStamped", True),
}
GUARD = {name: value for name, value in as_mapping(twin()).items() if name != "lockstep"}
FOUND = {
    "limits": "twin",
    "guard": GUARD,
    "joints": [f"joint_{i}" for i in range(1, 8)],
    "topics": {"joint_states": "/joint_states", "current_pose": "/current_pose"},
}


def moving() -> tuple[Raw, ...]:
    """12 s at 100 Hz, along x at 0.1 m/s; each message heard 3 ms after its stamp."""
    said = []
    for stamp_ns in range(START_NS, STOP_NS + 2 * NS, NS // 100):
        x_m = 0.4 + 0.1 * (stamp_ns - START_NS) / NS / 10
        joints = encode.joints(stamp_ns, np.zeros(7), np.zeros(7))
        pose = encode.pose(stamp_ns, np.array([x_m, 0.0, 0.2]), np.array([0.0, 0.0, 0.0, 1.0]))
        said += [Raw(t, m.data, stamp_ns + 3_000_000) for t, m in zip(TYPES, (joints, pose), strict=True)]
    return tuple(said)


def boxed(folder: Path, **facts: object) -> Path:
    capture = Capture(("force above the hard limit", "episode ended by safety"), STOP_NS, moving())
    pictures = {"wrist": np.zeros((8, 8, 3), np.uint8)}
    found = {**FOUND, **facts}
    return write(folder, capture, TYPES, found, made_at=MADE_AT, pictures=pictures, definition=encode.definition)


def test_every_message_that_was_in_hand_is_in_the_file_byte_for_byte(tmp_path):
    own = boxed(tmp_path)
    assert own.name == "20261121-120000-force-above-the-hard-limit"
    read = list(Bag.open(own / MESSAGES).messages(TYPES))
    assert [(m.topic, m.data, m.receipt_ns) for m in read] == [tuple(raw) for raw in moving()]
    assert (own / "wrist.png").read_bytes().startswith(b"\x89PNG")


def test_what_is_read_back_is_on_an_axis_that_begins_at_the_stop(tmp_path):
    signals = black_box.read(boxed(tmp_path))
    np.testing.assert_allclose(signals.tool.t_s, np.arange(-10.0, 2.0, 0.01), atol=1e-6)
    assert signals.joints.values.shape == (1200, 7)
    assert signals.guard == twin()
    assert len(signals.force.t_s) == 0


def test_the_picture_is_drawn_by_the_app_once_and_two_stops_of_one_second_have_two_folders(tmp_path, capsys):
    run_dir = tmp_path / "run"
    first, second = boxed(run_dir / "black_box"), boxed(run_dir / "black_box")
    assert first != second
    assert app.main(run_dir) == 0
    drawn = (first / PICTURE).stat().st_mtime_ns
    assert (first / PICTURE).read_bytes().startswith(b"\x89PNG")
    assert app.main(run_dir) == 0
    assert (first / PICTURE).stat().st_mtime_ns == drawn
    assert "force above the hard limit" in capsys.readouterr().out
    section = stops(run_dir)
    assert [row.reason for row in section.rows] == ["force above the hard limit; then episode ended by safety"] * 2
    assert all(plot.png for plot in section.plots)


def test_limits_that_nobody_told_leave_a_picture_without_bounds(tmp_path):
    own = boxed(tmp_path, guard={}, limits="", joints=[])
    assert black_box.read(own).guard is None
    assert black_box.draw(own).is_file()


def test_a_box_that_was_cut_short_is_not_one_and_a_folder_that_is_none_is_refused(tmp_path):
    own = boxed(tmp_path / "run" / "black_box")
    (own / FACTS).unlink()
    assert black_box.find(tmp_path) == []
    with pytest.raises(DataError):
        black_box.draw(own)


def test_a_disk_that_refuses_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError) as told:
        boxed(tmp_path / "file" / "black_box")
    assert len(str(told.value).splitlines()) == 1


@pytest.mark.parametrize("period_s", [0.01, 0.03, 0.1])
def test_speed_of_an_even_motion_is_even_whatever_the_rate_and_of_one_sample_there_is_none(period_s):
    t_s = np.arange(0.0, 1.0, period_s)
    speed = rate(Track(t_s, np.outer(t_s, [0.1, 0.0, -0.2])))
    np.testing.assert_allclose(speed.values, np.tile([0.1, 0.0, -0.2], (len(speed.t_s), 1)), atol=1e-9)
    assert len(rate(Track(np.zeros(1), np.zeros((1, 3)))).t_s) == 0
