"""Real cameras alone: ros2 launch o2o_robot cameras.launch.py robot:=fr3 cameras:=wrist,front run_dir:=runs/cameras"""

from __future__ import annotations

from typing import Any

from o2o_robot.launching import describe


def generate_launch_description() -> Any:
    return describe("cameras")
