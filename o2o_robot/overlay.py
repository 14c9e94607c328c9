"""Finds the built ROS 2 workspace, so that `o2o` works in a shell where nothing was sourced."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from o2o_robot.errors import GraphError

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGE = "o2o_nodes"
# what a node's process is given where the shell says nothing else
DEFAULTS = {"MUJOCO_GL": os.environ.get("MUJOCO_GL", "egl"), "PYTHONUNBUFFERED": "1"}
# Fast DDS 3 (Kilted and later) reads the first, Fast DDS 2 the second
PROFILE_VARIABLES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")
TERMINAL = "O2O_TERMINAL"
DISCOVERY_VARIABLES = ("ROS_AUTOMATIC_DISCOVERY_RANGE", "ROS_LOCALHOST_ONLY")
FAST_DDS_2 = ("humble", "iron", "jazzy")


def prefix() -> Path:
    """The install prefix that holds o2o_nodes: of the sourced environment, else of this repository.

    Raises GraphError where there is none.
    """
    candidates = [Path(p) for p in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p]
    candidates.append(REPOSITORY / "ros_ws" / "install")
    for candidate in candidates:
        if (candidate / "lib" / PACKAGE).is_dir():
            return candidate
    raise GraphError(f"no built workspace holds {PACKAGE} (looked in {', '.join(map(str, candidates))}); run make ros")


def share() -> Path:
    """The folder of launch files and robot parameters: the repository's, else the installed one."""
    ours = REPOSITORY / "launch"
    return ours if ours.is_dir() else prefix() / "share" / "o2o_robot" / "launch"


def environment() -> dict[str, str]:
    """The environment of a node's process: this one, with the workspace sourced where it was not."""
    found = prefix()
    sourced = str(found) in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    env = dict(os.environ) if sourced else _source(found)
    wheels = Path(sys.prefix)
    if (wheels / "share" / "std_msgs").is_dir() and str(wheels) not in env["AMENT_PREFIX_PATH"].split(os.pathsep):
        env["AMENT_PREFIX_PATH"] += f"{os.pathsep}{wheels}"  # ROS 2 from pip lives in the venv
    return env | DEFAULTS | prompt() | discovery(env) | fast_dds_profile(env)


def prompt() -> dict[str, str]:
    """What tells a keyboard device of the terminal we were started at: a node's own input is none."""
    try:
        return {TERMINAL: os.ttyname(0)}
    except OSError:  # no terminal, or one that has no name here
        return {}


def discovery(env: Mapping[str, str]) -> dict[str, str]:
    """What keeps nodes on this machine: nobody else finds the arm. Nothing where the shell has said how far they reach.

    Humble knows ROS_LOCALHOST_ONLY alone, later releases ROS_AUTOMATIC_DISCOVERY_RANGE; the first one still wins there.
    """
    if any(name in env for name in DISCOVERY_VARIABLES):
        return {}
    return {"ROS_LOCALHOST_ONLY": "1"} if env.get("ROS_DISTRO") == "humble" else {DISCOVERY_VARIABLES[0]: "LOCALHOST"}


def fast_dds_profile(env: Mapping[str, str]) -> dict[str, str]:
    """What tells Fast DDS of launch/fastdds.xml, under which raw pictures arrive; nothing where a profile is set."""
    if any(name in env for name in PROFILE_VARIABLES):
        return {}
    return {PROFILE_VARIABLES[env.get("ROS_DISTRO") in FAST_DDS_2]: str(share() / "fastdds.xml")}


def _source(found: Path) -> dict[str, str]:
    script = f"source {shlex.quote(str(found / 'local_setup.bash'))} >/dev/null && env -0"
    answer = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    if answer.returncode:
        raise GraphError(f"cannot source {found}/local_setup.bash: {answer.stderr.strip()}; run make ros")
    return dict(line.split("=", 1) for line in answer.stdout.split("\0") if "=" in line)
