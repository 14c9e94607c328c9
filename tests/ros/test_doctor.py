"""`o2o doctor` before a graph of topics: each fault planted there, and no other, turns its own line."""

from __future__ import annotations

from pathlib import Path

import pytest
from graphs import graph

pytest.importorskip("rclpy")
pytest.importorskip("o2o_msgs", reason="the built workspace is not on the path; run: . scripts/env.sh")

from fake_robot import FakeRobot
from watcher import Watcher

from o2o_robot.apps.doctor import main
from o2o_robot.jsonfile import read_json

pytestmark = pytest.mark.ros
SOFT_URDF = (
    '<robot name="fr3">'
    + "".join(
        f'<joint name="fr3_joint{i}" type="revolute"><limit lower="-9" upper="9" velocity="9"/>'
        '<safety_controller soft_lower_limit="-0.1" soft_upper_limit="0.1" k_velocity="1"/></joint>'
        for i in range(1, 8)
    )
    + "</robot>"
)
WELL = "green"


def lines(folder: Path, robot: str = "fr3", **options) -> dict[str, str]:
    """What was looked at -> level, of one visit of the doctor."""
    options = {"cameras": "wrist", "seconds": 1.5, **options}
    main(robot=robot, run_dir=folder, json=folder / "doctor.json", **options)
    return {line["what"]: line["level"] for line in read_json(folder / "doctor.json")["findings"]}


@pytest.fixture(scope="module")
def good(module_domain: int, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("good")
    with FakeRobot(module_domain):
        return lines(folder, save_references=folder / "references.json")


@pytest.fixture(scope="module")
def bad(module_domain: int, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Everything wrong at once that does not hide one another."""
    joints = tuple(f"panda_joint{i}" for i in range(1, 8))
    frames = {"wrist": "front_color_optical_frame"}
    wrong = {"joints": joints, "ahead_s": 1.0, "rogue": True, "drop": 4, "backward": True, "sim_time": True}
    with FakeRobot(module_domain, frame_of=frames, urdf=SOFT_URDF, **wrong):
        return lines(tmp_path_factory.mktemp("bad"), cameras="wrist,front")


@pytest.mark.parametrize(
    ("what", "level"),
    [
        ("joint names", "red"),
        ("target_pose: one publisher", "red"),
        ("joint_states: from the future", "red"),
        ("current_pose: from the future", "red"),
        ("joint_states: order of stamps", "red"),
        ("wrist/color/image_raw: frames without gaps", "red"),
        ("wrist: frame", "yellow"),
        ("use_sim_time", "red"),
    ],
)
def test_a_planted_fault_turns_the_line_that_is_about_it(good, bad, what, level):
    assert good[what] == WELL
    assert bad[what] == level


def test_a_camera_that_is_not_there_is_red_and_the_others_are_still_judged(bad):
    assert bad["front/color/image_raw: there"] == "red"
    assert bad["wrist: picture"] == WELL


def test_a_robot_that_describes_itself_narrower_than_the_guard_is_red(good, bad):
    assert good["joint box in the URDF's"] == "unknown"
    assert bad["joint box in the URDF's"] == "red"


@pytest.mark.parametrize(
    "what",
    [
        "wrist/color/image_raw: delivered",
        "wrist: intrinsics",
        "target_pose: listener",
        "a person arms",
        "joint_states: there",
    ],
)
def test_what_is_right_is_found_right(good, what):
    assert good[what] == WELL


def test_a_controller_s_parameters_are_read_from_it(good):
    assert good["/joint_trajectory_controller: cmd_timeout"] == "yellow"


def test_nobody_there_is_red_and_no_error(domain, tmp_path):
    told = lines(tmp_path, seconds=0.5)
    assert told["joint_states: there"] == told["target_pose: one publisher"] == "red"


def test_the_running_twin_is_in_order(domain, tmp_path):
    idle = {"teleop_node": {"schedule": [""]}}
    with graph("collect", tmp_path, idle, realtime_factor=1.0):
        with Watcher(domain) as watcher:
            watcher.until(lambda: watcher.state_ns and watcher.targets, 30.0, "the arm held")
        told = lines(tmp_path, robot="twin", cameras="wrist,front", seconds=2.0)
    about = ("there", "one publisher", "listener", "order of stamps", "from the future", "frame", "picture")
    asked = {
        what: level for what, level in told.items() if what.endswith(about) or what in ("joint names", "use_sim_time")
    }
    optional = {what for what in asked if what.startswith("external_wrench") or "camera_info" in what}
    assert len(asked) > 12
    assert {what: level for what, level in asked.items() if level != WELL and what not in optional} == {}
