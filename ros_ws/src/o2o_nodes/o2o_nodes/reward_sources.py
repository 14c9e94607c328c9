"""What a reward can be judged from: pictures, the tool's pose, a force, somebody else's topic, a person's keys.

Each subscribes and tells (stamp_ns, score, trouble): a score for the judge, or why there can be none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
from geometry_msgs.msg import PoseStamped, WrenchStamped
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Bool, Float32

from o2o_nodes import convert, qos
from o2o_nodes.node import HouseNode
from o2o_robot.errors import CheckpointError, ConfigError, DataError
from o2o_robot.reward.rules import PoseRule, WrenchRule
from o2o_robot.robot.assemble import Assembler, Tick

Tell = Callable[[int, float, str], None]
NO_SCORE = math.nan


class Pictures:
    """The classifier on the newest frames of all its cameras, stamped by the first of them."""

    def __init__(self, node: HouseNode, tell: Tell) -> None:
        from o2o_robot.reward.saved import load_classifier  # torch, only where it is needed

        folder = node.setting("classifier", "", "folder of `o2o reward train`")
        if not folder:
            raise CheckpointError("reward_node has no classifier; set the parameter classifier, or another source")
        self._judge, self._tell = load_classifier(folder), tell
        self.facts = self._judge.facts
        topic = node.setting("image_topic", "color/image_raw", "a camera's pictures, at the size trained on")
        tolerance_s = node.setting("tolerance_s", 0.05, "how much older than the first camera's frame another may be")
        rate_hz = node.setting("rate_hz", 30.0, "judgements a second at most")
        self._assembler = Assembler(
            streams=self.facts.cameras,
            reference=self.facts.cameras[0],
            period_ns=round(1e9 / rate_hz),
            tolerance_ns=0 if node.lockstep else round(tolerance_s * 1e9),
        )
        profile = qos.sensor_in(lockstep=node.lockstep)
        for name in self.facts.cameras:
            node.create_subscription(
                Image, f"{name}/{topic}", lambda message, name=name: self._take(name, message), profile
            )

    def _take(self, camera: str, message: Image) -> None:
        self._assembler.add(camera, convert.stamp_ns(message.header.stamp), message)
        if (tick := self._assembler.next_tick()) is not None:
            self._tell(tick.stamp_ns, *self._score(tick))

    def _score(self, tick: Tick) -> tuple[float, str]:
        try:
            images = {name: convert.image(message) for name, message in tick.samples.items()}
        except DataError as problem:
            return NO_SCORE, str(problem)
        trouble = self._judge.trouble(images)
        return (NO_SCORE, trouble) if trouble else (self._judge.probability_of(images), "")


def pose(node: HouseNode, tell: Tell) -> None:
    """The tool in a box of the base frame."""
    low = node.setting("pose_low_m", [0.0, 0.0, 0.0], "corner of the box, metres, frame of current_pose")
    high = node.setting("pose_high_m", [0.0, 0.0, 0.0], "the opposite corner")
    rule = PoseRule(tuple(low), tuple(high))

    def see(message: PoseStamped) -> None:
        tell(convert.stamp_ns(message.header.stamp), rule.score(convert.pose(message).position_m), "")

    node.create_subscription(PoseStamped, "current_pose", see, qos.sensor_in(lockstep=node.lockstep))


def wrench(node: HouseNode, tell: Tell) -> None:
    """A force at the tool."""
    axis = node.setting("wrench_axis", [0.0, 0.0, 0.0], "direction of the push; all 0: any")
    min_n = node.setting("wrench_min_n", 0.0, "newtons from which it counts")
    rule = WrenchRule(min_n, tuple(axis) if any(axis) else ())

    def see(message: WrenchStamped) -> None:
        force = message.wrench.force
        tell(convert.stamp_ns(message.header.stamp), rule.score(np.array([force.x, force.y, force.z])), "")

    node.create_subscription(WrenchStamped, "external_wrench", see, qos.sensor_in(lockstep=node.lockstep))


def topic(node: HouseNode, tell: Tell) -> None:
    """What somebody else says, a Bool or a Float32 from 0 to 1, at each stamp of joint_states.

    In lockstep the latest word stands; in real time one that is older than max_age_s is trouble.
    """
    kinds = {"bool": Bool, "float": Float32}
    kind = node.setting("topic_type", "bool", "bool (std_msgs/Bool) or float (std_msgs/Float32, 0 to 1)")
    name = node.setting("topic", "success", "where it is said")
    max_age_s = node.setting("max_age_s", 0.5, "how old the last word may be, by this node's clock")
    if kind not in kinds:
        raise ConfigError(f"topic_type '{kind}' is unknown; allowed: {', '.join(kinds)}")
    heard: dict[str, float] = {}

    def hear(message: Bool | Float32) -> None:
        heard["value"], heard["at_ns"] = float(message.data), float(node.now_ns())

    def see(message: JointState) -> None:
        stamp_ns, value = convert.stamp_ns(message.header.stamp), heard.get("value", math.nan)
        is_old = not node.lockstep and node.now_ns() - heard.get("at_ns", -math.inf) > max_age_s * 1e9
        if "value" not in heard or is_old:
            tell(stamp_ns, NO_SCORE, f"nothing is said on {name}; look at its publisher")
        elif not 0 <= value <= 1:
            tell(stamp_ns, NO_SCORE, f"{name} says {value}, which is not 0 to 1; look at its publisher")
        else:
            tell(stamp_ns, value, "")

    node.create_subscription(kinds[kind], name, hear, qos.COMMAND)
    node.create_subscription(JointState, "joint_states", see, qos.sensor_in(lockstep=node.lockstep))


def keys(node: HouseNode, tell: Tell) -> None:
    """Nothing but a person's word (~/label); until then it is no success, at each stamp of joint_states."""

    def see(message: JointState) -> None:
        tell(convert.stamp_ns(message.header.stamp), 0.0, "")

    node.create_subscription(JointState, "joint_states", see, qos.sensor_in(lockstep=node.lockstep))


RULES: Mapping[str, Callable[[HouseNode, Tell], None]] = {"pose": pose, "wrench": wrench, "topic": topic, "keys": keys}
SOURCES = ("classifier", *RULES)
