"""What the doctor asks its listener on the ROS side, and the file names both know."""

from __future__ import annotations

from dataclasses import dataclass

from o2o_robot.preflight.wanted import Wanted, WantedStream

ASK, ANSWER = "ask.json", "graph.json"
PARAMETERS = ("use_sim_time", "cmd_timeout", "enforce_command_limits", "update_rate", "auto_arm", "lockstep", "limits")
PREFIXES = ("guard.", "arm.")


@dataclass(frozen=True)
class Ask:
    """Listen to these topics for so long, once each has spoken or `patience_s` is over."""

    streams: tuple[WantedStream, ...]
    cameras: tuple[str, ...]
    command: str = "target_pose"
    seconds: float = 5.0
    patience_s: float = 5.0


def ask_for(wanted: Wanted, seconds: float, command: str) -> Ask:
    """Everything that the checks of `wanted` look at."""
    return Ask(wanted.streams, wanted.cameras, command, seconds)
