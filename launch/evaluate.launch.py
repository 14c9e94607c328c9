"""Episodes of a checkpoint: ros2 launch o2o_robot evaluate.launch.py checkpoint:=runs/pretrain/checkpoint"""

from __future__ import annotations

from typing import Any

from o2o_robot.launching import describe


def generate_launch_description() -> Any:
    return describe("evaluate")
