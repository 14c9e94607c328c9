"""The guard's settings for a twin's cell: the simulated FR3's, fitted to the arm and to what it holds."""

from __future__ import annotations

from dataclasses import replace

from o2o_robot.errors import ConfigError
from o2o_robot.safety.guard_config import GuardConfig
from o2o_robot.safety.guard_config import twin as fr3_with_peg
from o2o_sim.config import TwinConfig

FINGERTIP_TOOL_M = (0.0, 0.0, 0.008)  # the gripper's pads end 7.1 mm below the hand's TCP


def cell_limits(config: TwinConfig) -> GuardConfig:
    """Limits of the twin of this config. Raises ConfigError for an arm whose limits only its owner knows."""
    limits = fr3_with_peg()
    if config.robot == "ur5e":
        limits = replace(
            limits,
            robot="ur5e",
            tool_quat_xyzw=(0.0, 0.0, 0.0, 1.0),
            workspace_min_m=(-0.70, -0.30, 0.002),
            workspace_max_m=(-0.30, 0.30, 0.50),
        )
    elif config.robot != "fr3":
        raise ConfigError(f"no limits known for robot '{config.robot}'; pass the guard's settings with guard=")
    return replace(limits, checkpoints_tool_m=FINGERTIP_TOOL_M, n_values=4) if config.task == "lift" else limits
