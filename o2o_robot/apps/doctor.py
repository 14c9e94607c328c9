"""Look before you move: `o2o doctor --robot fr3` measures graph, cameras, limits and machine, and says what to do."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from rich.console import Console

from o2o_robot import overlay
from o2o_robot.config import as_mapping, build
from o2o_robot.errors import ConfigError, GraphError
from o2o_robot.jsonfile import read_json, write_json
from o2o_robot.preflight.arm_names import arm_names_from_file
from o2o_robot.preflight.ask import ANSWER, ASK, Ask, ask_for
from o2o_robot.preflight.cameras import read_references, write_references
from o2o_robot.preflight.examine import Section, examine
from o2o_robot.preflight.facts import Facts, GraphFacts
from o2o_robot.preflight.finding import exit_code
from o2o_robot.preflight.machine_facts import machine_facts
from o2o_robot.preflight.table import show
from o2o_robot.preflight.wanted import (
    CAMERA_HZ,
    COMMAND_OWNER,
    STATE_HZ,
    Wanted,
    guard_from_file,
    guard_from_parameters,
    wanted,
)

_GRACE_S = 30.0  # beyond listening: start, discovery, parameters of many nodes


def main(
    *,
    robot: Literal["twin", "fr3", "ur5e"] = "twin",
    namespace: str = "",
    seconds: float = 5.0,
    cameras: str = "wrist,front",
    state_hz: float = 0.0,
    camera_hz: float = 0.0,
    remap: tuple[str, ...] = (),
    command: str = "",
    params: Path | None = None,
    urdf: Path | None = None,
    run_dir: Path = Path("runs"),
    references: Path | None = None,
    save_references: Path | None = None,
    json: Path | None = None,
    strict: bool = False,
) -> int:
    """Measure what an arm needs before it moves, and print one table; red lines say what to do.

    Exit code: 0 nothing is red, 1 something is. The doctor listens and asks; it commands nothing.

    Args:
        robot: twin, fr3 or ur5e: whose topics, joints and limits are expected.
        namespace: where its nodes live, like /left.
        seconds: how long to listen.
        cameras: names, with commas; empty for none.
        state_hz: rate asked of joint_states and current_pose; 0: 500 for ur5e, else 100.
        camera_hz: rate asked of each camera; 0: 10 for the twin, else 30.
        command: the topic by which arm_node moves the arm, where it is not the parameter file's.
        remap: topics by another name, like joint_states:=/franka/joint_states.
        params: the robot's parameter file; launch/params/ROBOT.yaml unless told, and arm_node's own where it runs.
        urdf: a URDF file, where robot_description is not published.
        run_dir: where the next run will be written: its disk is looked at.
        references: a file kept by --save-references: each camera must still look like its own picture.
        save_references: keep what the cameras see now, as small grey pictures in a JSON file.
        json: write facts and findings to this file.
        strict: yellow lines turn the exit code too.
    """
    if not 0.5 <= seconds <= 600:
        raise ConfigError(f"--seconds must be 0.5 to 600, got {seconds}; 5 is enough for most rates")
    settings = params or overlay.share() / "params" / f"{robot}.yaml"
    asked = wanted(
        robot,
        cameras=tuple(name.strip() for name in cameras.split(",") if name.strip()),
        guard=guard_from_file(robot, settings),
        arm=arm_names_from_file(settings),
        state_hz=state_hz or STATE_HZ[robot],
        camera_hz=camera_hz or CAMERA_HZ[robot],
    )
    asked = replace(asked, urdf=_text(urdf), references=read_references(references) if references else {})
    ask, ros_words, environment = (
        ask_for(asked, seconds, command or asked.arm.command),
        _ros_words(namespace, remap),
        _environment(),
    )
    with Console(stderr=True).status(f"listening for {seconds:g} s"):
        graph = _listen(ask, ros_words, environment) if environment else None
    facts = Facts(graph, machine_facts(run_dir, environment=environment or os.environ))
    sections = examine(facts, _as_told(asked, graph))
    show(sections, robot)
    if save_references:
        write_references(save_references, graph.pictures if graph else ())
    if json:
        write_json(json, _document(robot, facts, sections))
    return exit_code((f for _, findings in sections for f in findings), strict=strict)


def _environment() -> dict[str, str] | None:
    """What the nodes of this house are started with; None where ROS 2 is not there, which is said."""
    try:
        return overlay.environment()
    except GraphError as problem:
        print(f"o2o doctor: {problem}", file=sys.stderr)
        return None


def _listen(ask: Ask, ros_words: list[str], environment: dict[str, str]) -> GraphFacts:
    """What doctor_node heard, in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="o2o_doctor_") as name:
        folder = Path(name)
        write_json(folder / ASK, as_mapping(ask))
        command = [sys.executable, "-m", f"{overlay.PACKAGE}.doctor_node", name, *ros_words]
        _run(command, environment, ask.seconds + _GRACE_S)
        return build(GraphFacts, read_json(folder / ANSWER), where=ANSWER)


def _run(command: list[str], environment: dict[str, str], limit_s: float) -> None:
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=limit_s, check=False)
    except subprocess.TimeoutExpired:
        raise GraphError(f"doctor_node did not end within {limit_s:.0f} s; is the machine loaded?") from None
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["without a word"]
        raise GraphError(f"doctor_node ended with code {done.returncode} ({last[0]}); run make ros, then try again")


def _ros_words(namespace: str, remap: tuple[str, ...]) -> list[str]:
    for rule in remap:
        if ":=" not in rule:
            raise ConfigError(f"--remap {rule} has no ':='; write joint_states:=/franka/joint_states")
    rules = [*remap, *([f"__ns:=/{namespace.strip('/')}"] if namespace else [])]
    return ["--ros-args", *(word for rule in rules for word in ("-r", rule))] if rules else []


def _as_told(asked: Wanted, graph: GraphFacts | None) -> Wanted:
    """With the guard as the running arm_node was told, which may differ from the file."""
    parameters = graph.parameters_of(COMMAND_OWNER) if graph else None
    return replace(asked, guard=guard_from_parameters(asked.robot, parameters)) if parameters else asked


def _text(path: Path | None) -> str:
    try:
        return path.read_text() if path else ""
    except (OSError, UnicodeDecodeError) as problem:
        raise ConfigError(f"--urdf {path} cannot be read ({problem}); give the file that xacro wrote") from None


def _document(robot: str, facts: Facts, sections: tuple[Section, ...]) -> dict[str, object]:
    rows = [
        {"section": heading, **finding._asdict(), "level": finding.level.name.lower()}
        for heading, findings in sections
        for finding in findings
    ]
    streams = {s.name: int(np.size(s.stamps_ns)) for s in facts.graph.streams} if facts.graph else {}
    return {"robot": robot, "findings": rows, "messages": streams, "machine": as_mapping(facts.machine)}
