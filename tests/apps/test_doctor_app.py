"""`o2o doctor` where there is no ROS to ask, and where its words are wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from o2o_robot import overlay
from o2o_robot.apps import doctor
from o2o_robot.errors import ConfigError, DataError, GraphError
from o2o_robot.jsonfile import read_json


@pytest.fixture(autouse=True)
def _no_ros(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing_built() -> dict[str, str]:
        raise GraphError("no built workspace")

    monkeypatch.setattr(overlay, "environment", nothing_built)


@pytest.mark.parametrize("robot", ["twin", "fr3", "ur5e"])
def test_without_ros_the_verdict_is_red_and_limits_and_machine_are_judged(robot, tmp_path, capsys):
    assert doctor.main(robot=robot, run_dir=tmp_path, json=tmp_path / "d.json") == 1
    told = {line["what"]: line["level"] for line in read_json(tmp_path / "d.json")["findings"]}
    assert told["ROS graph"] == "red"
    assert told["joint box in the datasheet's"] == "green"
    shown = capsys.readouterr().out
    assert "do not move the arm" in shown
    assert all(what in shown for what in told)


def test_a_urdf_file_is_held_against_the_guard(tmp_path):
    (tmp_path / "r.urdf").write_text("<robot name='fr3'/>")
    doctor.main(robot="fr3", run_dir=tmp_path, json=tmp_path / "d.json", urdf=tmp_path / "r.urdf")
    told = {line["what"]: line for line in read_json(tmp_path / "d.json")["findings"]}
    assert told["joint box in the URDF's"]["level"] == "red"


@pytest.mark.parametrize(
    "wrong",
    [
        {"seconds": 0.0},
        {"seconds": float("nan")},
        {"remap": ("joint_states",)},
        {"urdf": Path("none.urdf")},
        {"params": Path("none.yaml")},
        {"references": Path("none.json")},
    ],
)
def test_wrong_words_are_one_line_before_anything_is_measured(wrong, tmp_path):
    with pytest.raises((ConfigError, DataError)) as told:
        doctor.main(run_dir=tmp_path, **wrong)
    assert len(str(told.value).splitlines()) == 1


def test_namespace_and_remaps_reach_the_listener_as_ros_words():
    words = doctor._ros_words("/left/", ("joint_states:=/franka/joint_states",))
    assert words == ["--ros-args", "-r", "joint_states:=/franka/joint_states", "-r", "__ns:=/left"]
    assert doctor._ros_words("", ()) == []
