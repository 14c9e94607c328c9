"""How the arm of a graph gets back to its start: the chain of strategies that reset_node is told."""

from __future__ import annotations

from typing import Any

from o2o_robot.reset.strategy import words_of

NONE = "none"  # somebody else answers reset_scene
ASK = "ask"
RESET_PATIENCE_S = 3600.0  # of the session: what a chain may take, a person who was out for lunch included


def require_chain(reset: str) -> None:
    """Raises ConfigError for a chain with a word that is no strategy."""
    if reset not in ("", NONE):
        words_of(reset)


def reset_parameters(reset: str, robot: str, arm: str) -> dict[str, Any]:
    """reset_node's parameters; on the twin its scene is placed by the twin, the arm left to the chain."""
    kinematics = arm if robot == "twin" else robot
    told = {"chain": reset or ASK, "kinematics": kinematics}
    return {**told, "scene_server": "place_scene"} if robot == "twin" else told
