"""Who may move the arm, who listens, and what the controllers below do when commands stop."""

from __future__ import annotations

from collections.abc import Iterator

from o2o_robot.config import as_mapping
from o2o_robot.preflight.arm_names import PREFIX, ArmNames, arm_names_from_parameters
from o2o_robot.preflight.facts import GraphFacts, NodeParameters, Stream
from o2o_robot.preflight.finding import Finding, Level, graded, unknown
from o2o_robot.preflight.wanted import COMMAND_OWNER


def one_commander(command: Stream) -> Finding:
    """arm_node, and nobody else, publishes commands: every other publisher moves the arm past the guard."""
    what, who = f"{command.name}: one publisher", [p.node for p in command.publishers]
    owners = [node for node in who if _base(node) == COMMAND_OWNER]
    strangers = [node for node in who if _base(node) != COMMAND_OWNER]
    if strangers or len(owners) > 1:
        remedy = f"Stop {', '.join(strangers or owners[1:])}: only one {COMMAND_OWNER} may command the arm."
        return Finding(Level.RED, what, ", ".join(who), COMMAND_OWNER, remedy)
    remedy = f"Start {COMMAND_OWNER} (ros2 launch, or o2o up): without it nothing guards the arm."
    return graded(what, ", ".join(who) or "nobody", COMMAND_OWNER, remedy, red=not owners)


def command_is_heard(command: Stream) -> Finding:
    """Somebody below listens to the commands."""
    who = [s.node for s in command.subscribers]
    remedy = f"Activate the controller that follows {command.topic or command.name}, or remap the topic to it."
    return graded(f"{command.name}: listener", ", ".join(who) or "nobody", "one", remedy, red=not who)


def same_names(graph: GraphFacts, expected: ArmNames) -> Finding:
    """Whether the running arm_node hears and moves the arm by the topics that were looked at here."""
    what, parameters = f"{COMMAND_OWNER}: topics", graph.parameters_of(COMMAND_OWNER)
    found = arm_names_from_parameters(parameters) if parameters else None
    if found is None:
        return unknown(what, f"{COMMAND_OWNER} did not tell them")
    here, there = as_mapping(expected), as_mapping(found)
    wrong = [f"{PREFIX}{name} is '{there[name]}'" for name in here if here[name] != there[name]]
    remedy = f"Give --params the file that {COMMAND_OWNER} was started with: other topics were measured here."
    return graded(what, ", ".join(wrong) or "as looked at", "as looked at", remedy, red=bool(wrong))


def arms_itself(graph: GraphFacts, robot: str) -> Finding:
    """A guard that arms itself is for the twin; before a real arm a person does it. Lockstep likewise."""
    what, parameters = "a person arms", graph.parameters_of(COMMAND_OWNER)
    if parameters is None:
        return unknown(what, f"{COMMAND_OWNER} did not answer")
    wrong = [name for name in ("auto_arm", "lockstep") if parameters.get(name)]
    told = ", ".join(f"{name} is true" for name in wrong) or "auto_arm and lockstep are false"
    remedy = f"Set {' and '.join(wrong)} to false for a real arm."
    return graded(what, told, "both false, but on the twin", remedy, red=bool(wrong) and robot != "twin")


def commands_expire(graph: GraphFacts) -> Iterator[Finding]:
    """Controllers with a cmd_timeout that is off go on for ever with the last trajectory."""
    timed = [node for node in graph.nodes if "cmd_timeout" in node.parameters]
    if not timed:
        yield unknown("controller time-out", "no controller tells one")
    for node in timed:
        yield _time_out(node)


def limits_are_enforced(graph: GraphFacts) -> Iterator[Finding]:
    """ros2_control's own limiter, off by default up to Jazzy and explicitly off on UR."""
    managers = [node for node in graph.nodes if "enforce_command_limits" in node.parameters]
    if not managers:
        yield unknown("controller limits", "no controller_manager tells them")
    for node in managers:
        is_on = bool(node.parameters["enforce_command_limits"])
        remedy = f"Set enforce_command_limits of {node.node} to true."
        told = "enforced" if is_on else "not enforced"
        yield graded(f"{node.node}: limits", told, "enforced", remedy, red=False, yellow=not is_on)


def _time_out(node: NodeParameters) -> Finding:
    value = node.parameters["cmd_timeout"]
    seconds = float(value) if isinstance(value, int | float) else 0.0
    remedy = f"Set cmd_timeout of {node.node} above its goal_time, 0.2 s for instance."
    told = f"{seconds:g} s" if seconds > 0 else "off"
    return graded(f"{node.node}: cmd_timeout", told, "> 0 s", remedy, red=False, yellow=seconds <= 0)


def _base(node: str) -> str:
    return node.rpartition("/")[2]
