"""The twin's settings out of twin_node's parameters; names of shipped settings, or paths of files of one's own."""

from __future__ import annotations

from dataclasses import replace

from o2o_nodes.node import HouseNode
from o2o_robot.errors import ConfigError
from o2o_robot.robot.action_space import has_gripper
from o2o_sim.config import TwinConfig
from o2o_sim.randomize_config import randomization
from o2o_sim.sensor_config import sensors
from o2o_sim.twin import Twin


def twin_config(node: HouseNode) -> TwinConfig:
    """What the node's parameters say. Raises ConfigError naming the file and the key that is wrong."""
    config = TwinConfig(
        task=node.setting("task", "peg", "task of the twin"),
        robot=node.setting("robot", "fr3", "arm of the twin: fr3, ur5e, or the path of a name map"),
        cameras=tuple(name for name in node.setting("cameras", ["wrist", "front"], "camera names") if name),
        image_size=node.setting("image_size", 64, "side of the images in pixels"),
        control_hz=node.setting("control_hz", 10.0, "rate of the policy, and of physics in lockstep"),
        sensors=sensors(node.setting("sensors", "none", "sensor models: none, real, or a file's path")),
        randomization=randomization(
            node.setting("randomization", "none", "drawn for each scene: none, mild, strong, or a file's path")
        ),
        placements=tuple(file for file in node.setting("placements", [""], "calibration results (.yaml)") if file),
    )
    clearance_m = node.setting("clearance_m", config.peg.clearance_m, "gap between peg and hole on each side")
    return replace(config, peg=replace(config.peg, clearance_m=clearance_m))


def require_timely(config: TwinConfig, *, lockstep: bool) -> None:
    """Raises ConfigError where sensors are late and physics waits: lockstep answers the look of this very instant."""
    if lockstep and config.sensors.reports_the_past:
        raise ConfigError(
            "twin_node: late sensors need real time, in lockstep a command answers this very instant; "
            "set realtime_factor > 0, or leave fps, hz and link out of the sensors' file"
        )


def require_gripper(node: HouseNode, twin: Twin) -> None:
    """Raises ConfigError where actions move a gripper that this twin has not."""
    space = node.setting("action_space", "delta_position", "what arm_node makes of actions", read_only=True)
    if has_gripper(space) and not twin.has_gripper:
        raise ConfigError(
            f"twin_node: action_space is '{space}', but in task '{twin.task}' the hand holds the peg for good; "
            "set action_space to delta_position, or task to lift"
        )
