"""launch/sros2/policy.xml: what each node may say, hear, serve and ask for, in the form of ros2/sros2 (version 0.2.0).

A profile is read off a running graph (o2o_nodes/who_speaks.py) or out of the file; `scripts/sros2_policy.py` writes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from o2o_robot.errors import GraphError

VERSION = "0.2.0"
ENCLAVES = "/o2o"
MOTION = (  # what moves an arm, by each kind of controller; arm_node alone may say it
    "target_pose",
    "target_joint",
    "forward_position_controller/commands",
    "joint_trajectory_controller/joint_trajectory",
    "servo_node/delta_twist_cmds",
    "gripper_position_controller/commands",
)
RULES = (  # a rule of Profile: (tag of the list, its attribute, tag of an entry)
    ("publish", ("topics", "publish", "topic")),
    ("subscribe", ("topics", "subscribe", "topic")),
    ("reply", ("services", "reply", "service")),
    ("request", ("services", "request", "service")),
    ("execute", ("actions", "execute", "action")),
    ("call", ("actions", "call", "action")),
)


@dataclass(frozen=True)
class Profile:
    """Names as the policy has them: `~/x` under the node's own name, `x` in the root namespace."""

    publish: frozenset[str] = frozenset()
    subscribe: frozenset[str] = frozenset()
    reply: frozenset[str] = frozenset()
    request: frozenset[str] = frozenset()
    execute: frozenset[str] = frozenset()
    call: frozenset[str] = frozenset()

    def __or__(self, other: Profile) -> Profile:
        return Profile(*(getattr(self, rule) | getattr(other, rule) for rule, _ in RULES))

    def __sub__(self, other: Profile) -> Profile:
        return Profile(*(getattr(self, rule) - getattr(other, rule) for rule, _ in RULES))

    def __bool__(self) -> bool:
        return any(getattr(self, rule) for rule, _ in RULES)

    def __str__(self) -> str:
        kept = ((rule, sorted(getattr(self, rule))) for rule, _ in RULES)
        return "; ".join(f"{rule} {', '.join(names)}" for rule, names in kept if names)


def profile(**rules: Iterable[str]) -> Profile:
    """profile(publish=["action"], call=["reset_scene"])"""
    return Profile(**{rule: frozenset(names) for rule, names in rules.items()})


def enclave_arguments(node: str, env: Mapping[str, str]) -> list[str]:
    """Which keys a node's process is to use, as words after --ros-args; none where security is not switched on."""
    secured = env.get("ROS_SECURITY_ENABLE", "").lower() == "true"
    return ["--enclave", f"{ENCLAVES}/{node}"] if secured else []


def relative(name: str, node: str) -> str:
    """A fully qualified name as the policy has it: /arm_node/hold of arm_node is ~/hold, /action is action."""
    own = f"/{node}/"
    return f"~/{name.removeprefix(own)}" if name.startswith(own) else name.removeprefix("/")


def write_policy(path: Path, profiles: Mapping[str, Profile], comment: str = "") -> None:
    """Node -> profile, each in the enclave /o2o/<node>, which is what `--ros-args --enclave` is given."""
    policy = ElementTree.Element("policy", version=VERSION)
    if comment:
        policy.append(ElementTree.Comment(f" {comment} "))
    enclaves = ElementTree.SubElement(policy, "enclaves")
    for node in sorted(profiles):
        enclave = ElementTree.SubElement(enclaves, "enclave", path=f"{ENCLAVES}/{node}")
        told = ElementTree.SubElement(ElementTree.SubElement(enclave, "profiles"), "profile", ns="/", node=node)
        for rule, (many, attribute, one) in RULES:
            names = sorted(getattr(profiles[node], rule))
            if names:
                told.append(_rule(many, attribute, one, names))
    ElementTree.indent(policy)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(policy, encoding="unicode") + "\n"
    )


def _rule(many: str, attribute: str, one: str, names: Iterable[str]) -> ElementTree.Element:
    listed = ElementTree.Element(many, {attribute: "ALLOW"})
    for name in names:
        ElementTree.SubElement(listed, one).text = name
    return listed


def read_policy(path: Path) -> dict[str, Profile]:
    """Node -> profile. Raises GraphError where the file is no policy of this version."""
    try:
        policy = ElementTree.fromstring(path.read_bytes())
    except (OSError, ElementTree.ParseError) as problem:
        raise GraphError(f"cannot read the policy {path}: {problem}; scripts/sros2_policy.py writes it") from None
    if policy.tag != "policy" or policy.get("version") != VERSION:
        raise GraphError(f"{path} is no SROS 2 policy of version {VERSION}; scripts/sros2_policy.py writes it")
    return {told.get("node", ""): _profile(told) for told in policy.iter("profile")}


def _profile(told: ElementTree.Element) -> Profile:
    rules = {rule: told.findall(f"{many}[@{how}='ALLOW']/{one}") for rule, (many, how, one) in RULES}
    return profile(**{rule: [entry.text or "" for entry in entries] for rule, entries in rules.items()})


# --- what no graph of the twin shows ---------------------------------------------------------------------------------
OPERATOR_SAYS = ("estop",)  # never what moves the arm
OPERATOR = "operator"  # whoever stands at the robot: ros2 command line, doctor, console
CAMERAS = ("wrist", "front")
_PICTURES = [f"{camera}/color/{topic}" for camera in CAMERAS for topic in ("image_raw", "image_policy")]
_ARM = ("joint_states", "current_pose", "external_wrench", "gripper/joint_states")
_TOLD = ("session_state", "safety_state", "policy_state", "learner_state", "recorder_state", "reward_state")
_DEVICES = ("joy", "console_joy", "delta_twist_cmds", "leader/current_pose", "leader/clutch")
_SESSION = [
    f"{session}/{deed}" for session in ("policy_node", "teleop_node") for deed in ("pause", "resume", "end", "label")
]
_RESET_DONE = "reset_node/reset_done"
_CAMERA = ("color/image_raw", "color/camera_info", "color/image_policy", "color/metadata")
UNSEEN = {
    "arm_node": profile(
        publish=MOTION,
        subscribe=("deadman", "robot_mode", "robot_program_running", "external_wrench", "gripper/joint_states"),
    ),
    "camera_node": profile(publish=[f"{camera}/{topic}" for camera in CAMERAS for topic in _CAMERA]),
    "console_node": profile(
        publish=("estop", "console_joy"),
        subscribe=("diagnostics", *_TOLD, *_PICTURES),
        request=[*(f"arm_node/{deed}" for deed in ("arm", "estop", "hold", "reset")), *_SESSION, _RESET_DONE],
    ),
    "prompt": profile(
        publish=("estop",),
        subscribe=("session_state", "safety_state"),
        request=(*(f"arm_node/{deed}" for deed in ("arm", "estop", "hold")), *_SESSION, _RESET_DONE),
    ),
    "reset_node": profile(
        publish=("action", "reset_event"),
        subscribe=("episode", "executed_action", *_ARM, *_PICTURES),
        reply=("~/reset_done",),
        call=("place_scene",),
        execute=("reset_scene",),
    ),
    "reward_node": profile(
        publish=("reward_state", "task_state"), subscribe=("episode", "success", *_ARM, *_PICTURES), reply=("~/label",)
    ),
    "teleop_node": profile(
        publish=("teleop_action", "estop"),
        subscribe=("episode", "truth/task_state", *_DEVICES),
        request=("arm_node/hold", *_SESSION),
    ),
    "twin_node": profile(publish=("truth/task_state",), execute=("place_scene",)),
}
"""Of robots with other controllers and switches, of nodes that the twin stands for, and of what runs when asked for: a
person's device, another judge, a real reset, the console, keys at the prompt."""

COMMON = profile(
    publish=("rosout", "parameter_events", "diagnostics", "~/transition_event"),
    subscribe=("parameter_events", "clock"),
    reply=[
        f"~/{name}"
        for name in (
            *("change_state", "get_state", "get_available_states", "get_available_transitions", "get_transition_graph"),
            *("describe_parameters", "get_parameter_types", "get_parameters", "list_parameters", "set_parameters"),
            *("set_parameters_atomically", "get_type_description"),
        )
    ],
)
"""Of every node of the house: a managed one, with parameters."""


def with_unseen(seen: Mapping[str, Profile]) -> dict[str, Profile]:
    """The whole policy: what was seen, what only other robots show, and an operator who hears and asks for all."""
    nodes = {*seen, *UNSEEN}
    whole = {node: seen.get(node, Profile()) | UNSEEN.get(node, Profile()) | COMMON for node in nodes}
    return whole | {OPERATOR: _operator(whole)}


def _operator(profiles: Mapping[str, Profile]) -> Profile:
    def everybodys(rule: str) -> set[str]:
        return {name.replace("~", node, 1) for node, told in profiles.items() for name in getattr(told, rule)}

    heard, asked = everybodys("publish"), everybodys("reply")
    return profile(publish=OPERATOR_SAYS, subscribe=heard, request=asked, call=everybodys("execute")) | COMMON
