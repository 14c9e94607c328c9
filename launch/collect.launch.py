"""Demonstrations by the scripted expert: ros2 launch o2o_robot collect.launch.py episodes:=20 run_dir:=runs/collect

By a person at a device: robot:=fr3 teleop:=spacemouse, and reward:=keys where nothing else judges (docs/teleop.md).
"""

from __future__ import annotations

from typing import Any

from o2o_robot.launching import describe


def generate_launch_description() -> Any:
    return describe("collect")
