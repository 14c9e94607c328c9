"""A user's own MJCF, by path and a map of names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

pytest.importorskip("o2o_sim.engine", reason="needs mujoco")
from o2o_robot.errors import ConfigError
from o2o_robot.robot.action import DeltaPosition
from o2o_sim.config import TwinConfig
from o2o_sim.robots import UR5E, robot_model
from o2o_sim.twin import Twin

SPACE = DeltaPosition()

# In the layout of a public model zoo: degrees, nested defaults, position servos, a floor and a keyframe of its own,
# an arm with a gripper whose actuator counts to 255.
SIX = """
<mujoco model="six">
  <compiler angle="degree" autolimits="true"/>
  <default>
    <default class="six">
      <joint axis="0 1 0" range="-170 170" armature="0.1" damping="150"/>
      <geom type="capsule" size="0.03" mass="1" conaffinity="0"/>
      <position kp="2000" kv="100" ctrlrange="-170 170" forcerange="-87 87"/>
    </default>
  </default>
  <worldbody>
    <light pos="0 0 2"/>
    <geom name="floor" type="plane" size="0 0 0.05"/>
    <body name="base" childclass="six">
      <geom fromto="0 0 0.05 0 0 0.3"/>
      <body name="a" pos="0 0 0.35"><joint name="j1" axis="0 0 1"/><geom fromto="0 0 0 0 0 0.05"/>
      <body name="b" pos="0 0 0.05"><joint name="j2"/><geom fromto="0 0 0 0 0 0.35"/>
      <body name="c" pos="0 0 0.35"><joint name="j3"/><geom fromto="0 0 0 0 0 0.35"/>
      <body name="d" pos="0 0 0.35"><joint name="j4"/><geom fromto="0 0 0 0 0 0.05"/>
      <body name="e" pos="0 0 0.05"><joint name="j5" axis="1 0 0"/><geom fromto="0 0 0 0 0 0.02"/>
      <body name="f" pos="0 0 0.02"><joint name="j6" axis="0 0 1"/><geom fromto="0 0 0 0 0 0.03"/>
        <site name="attachment" pos="0 0 0.05" quat="0 0 0 1"/>{hand}
      </body></body></body></body></body></body>
    </body>
  </worldbody>
  <actuator>
    <position class="six" name="m1" joint="j1"/><position class="six" name="m2" joint="j2"/>
    <position class="six" name="m3" joint="j3"/><position class="six" name="m4" joint="j4"/>
    <position class="six" name="m5" joint="j5"/><position class="six" name="m6" joint="j6"/>{motor}
  </actuator>{tie}
  <keyframe><key name="home" qpos="{zeros}"/></keyframe>
</mujoco>
"""
HAND = """
  <body name="palm" pos="0 0 0.05" quat="0 0 0 1"><geom type="box" size="0.02 0.08 0.02"/>
    <camera name="eye_in_hand" pos="0.08 0 0" xyaxes="0 -1 0 -1 0 0"/>
    <body name="l" pos="0 0 0.03">
      <joint name="l" type="slide" axis="0 1 0" range="0 0.04" damping="5"/>
      <geom type="box" pos="0 0.008 0.03" size="0.01 0.008 0.03" mass="0.03" friction="1 .01 .001" condim="4"/>
    </body>
    <body name="r" pos="0 0 0.03" euler="0 0 180">
      <joint name="r" type="slide" axis="0 1 0" range="0 0.04" damping="5"/>
      <geom type="box" pos="0 0.008 0.03" size="0.01 0.008 0.03" mass="0.03" friction="1 .01 .001" condim="4"/>
    </body>
  </body>"""
GRIP = """
  <general name="grip" joint="l" ctrlrange="0 255" gainprm="0.1568 0 0" biastype="affine" biasprm="0 -1000 -50"/>"""
TIE = '<equality><joint joint1="l" joint2="r" solref="0.005 1"/></equality>'

MAP = {
    "mjcf": "six.xml",
    "joints": [f"j{i}" for i in range(1, 7)],
    "actuators": [f"m{i}" for i in range(1, 7)],
    "ready_rad": [0.0, -0.3, 2.0, 1.4, 0.0, 0.0],
    "damping_nms_rad": 1.0,
    "mount": {"site": "attachment"},
}
GRIPPER = {"actuator": "grip", "joints": ["l", "r"], "open_at": 0.04, "ctrl_open": 255.0, "open_m": 0.08}
OWN_HAND = {
    **{k: v for k, v in MAP.items() if k != "mount"},
    "tool": {"body": "palm", "offset_m": [0.0, 0.0, 0.08]},
    "gripper": GRIPPER,
    "cameras": {"wrist": "eye_in_hand"},
}


def written(folder: Path, settings: dict, *, hand: bool = False) -> str:
    parts = (HAND, GRIP, TIE, 8) if hand else ("", "", "", 6)
    names = dict(zip(("hand", "motor", "tie"), parts[:3], strict=True))
    (folder / "six.xml").write_text(SIX.format(zeros=" ".join("0" * parts[3]), **names))
    (folder / "six.yaml").write_text(yaml.safe_dump(settings))
    return str(folder / "six.yaml")


def follows(twin: Twin) -> float:
    """How far from 20 mm to the side and up the tool has come after 0.6 s, in metres."""
    start = twin.arm_state()
    target = SPACE.target(np.array([0.0, 0.8, 0.8]), start)
    twin.step(target, duration_s=0.6)
    return float(np.linalg.norm(twin.arm_state().tool.position_m - target.position_m))


def test_an_arm_of_position_servos_is_driven_by_torques_and_gets_our_tools(tmp_path: Path) -> None:
    robot = written(tmp_path, MAP)
    for task, opening_m in (("peg", 0.016), ("lift", 0.08)):
        with Twin(TwinConfig(task=task, robot=robot, cameras=("wrist", "front"))) as twin:
            assert twin.arm_state().q_rad.shape == (6,)
            assert twin.arm_state().gripper_m == pytest.approx(opening_m)
            assert follows(twin) < 1e-3
            assert (np.abs(twin._data.actuator_force[:6]) <= 87).all()
            assert twin.image("wrist").std() > 0


def test_an_arm_with_a_gripper_and_a_camera_keeps_them(tmp_path: Path) -> None:
    robot = written(tmp_path, OWN_HAND, hand=True)
    with Twin(TwinConfig(task="lift", robot=robot, cameras=("wrist",))) as twin:
        assert follows(twin) < 1e-3
        twin.grip(0.02)
        twin.advance(1.5)
        assert twin.arm_state().gripper_m == pytest.approx(0.02, abs=0.002)
    with pytest.raises(ConfigError, match="holds a peg"):
        Twin(TwinConfig(task="peg", robot=robot))


def test_our_own_ur5e_under_other_names_moves_as_it_does_under_its_own(tmp_path: Path) -> None:
    text = UR5E.mjcf.read_text()
    for i, name in enumerate(UR5E.joints):
        text = text.replace(f'"{name}"', f'"axis{i}"')
    (tmp_path / "arm.xml").write_text(text.replace('"flange"', '"plate"'))
    names = [f"axis{i}" for i in range(6)]
    settings = {"mjcf": "arm.xml", "joints": names, "actuators": list(names), "ready_rad": list(UR5E.ready_rad)}
    settings |= {"mount": {"site": "plate"}, "facing": -1.0}
    (tmp_path / "arm.yaml").write_text(yaml.safe_dump(settings))
    ends = []
    for robot in ("ur5e", str(tmp_path / "arm.yaml")):
        with Twin(TwinConfig(robot=robot, cameras=())) as twin:
            twin.reset(4)
            follows(twin)
            ends.append(twin.arm_state().q_rad)
    np.testing.assert_array_equal(*ends)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"joints": ["j1", "j2", "j3", "j4", "j5", "elbow"]}, "no joint 'elbow'; it has j1, j2"),
        ({"actuators": ["m1", "m2", "m3", "m4", "m5", "m7"]}, "no actuator 'm7'; it has m1"),
        ({"actuators": ["m2", "m1", "m3", "m4", "m5", "m6"]}, "moves 'j2', not joint 'j1'"),
        ({"mount": {"site": "plate"}}, "no site 'plate'; it has attachment"),
        ({"mount": {"body": "plate"}}, "no body 'plate'; it has base"),
        ({"mount": {"sight": "attachment"}}, "did you mean 'site'"),
        ({"cameras": {"wrist": "eye"}}, "no camera 'eye'; it has none"),
        ({"ready_rad": [0.0]}, "1 ready_rad"),
        ({"ready": [0.0]}, "did you mean 'ready_rad'"),
        ({"mjcf": "seven.xml"}, "no model at"),
        ({"facing": 0.5}, "facing must be 1"),
        ({"mount": None}, "needs `mount`"),
    ],
)
def test_what_does_not_fit_is_named_in_one_line(tmp_path: Path, change: dict, says: str) -> None:
    robot = written(tmp_path, {**MAP, **change})
    with pytest.raises(ConfigError, match=says) as told:
        Twin(TwinConfig(robot=robot, cameras=()))
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [("- a list", "not a map"), ("joints: [", "is not YAML"), ("joints: [j1]", "missing mjcf, actuators")],
)
def test_a_map_that_is_none_is_refused(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "arm.yaml").write_text(text)
    with pytest.raises(ConfigError, match=says):
        robot_model(str(tmp_path / "arm.yaml"))


def test_a_model_that_is_no_mjcf_is_refused_in_one_line(tmp_path: Path) -> None:
    robot = written(tmp_path, MAP)
    (tmp_path / "six.xml").write_text("<mujoco><worldbody><body></mujoco>")
    with pytest.raises(ConfigError, match="is not XML"):
        Twin(TwinConfig(robot=robot, cameras=()))


def test_a_servo_of_unknown_strength_is_refused(tmp_path: Path) -> None:
    robot = written(tmp_path, MAP)
    weak = (tmp_path / "six.xml").read_text().replace(' forcerange="-87 87"', "")
    (tmp_path / "six.xml").write_text(weak)
    with pytest.raises(ConfigError, match="no forcerange"):
        Twin(TwinConfig(robot=robot, cameras=()))


def test_a_robot_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(ConfigError, match="fr3, ur5e, or the path of a name map"):
        Twin(TwinConfig(robot="panda"))
    with pytest.raises(ConfigError, match="on a site or on a body"):
        replace(UR5E.mount, body="wrist_3_link")
