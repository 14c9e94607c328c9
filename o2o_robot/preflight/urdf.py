"""Joint limits out of a robot_description: text from the network, so no entities and no more than a few megabytes."""

from __future__ import annotations

import math
from typing import NamedTuple
from xml.etree import ElementTree

from o2o_robot.errors import DataError

_MOST_CHARACTERS = 8_000_000


class JointLimits(NamedTuple):
    """Of one joint: positions in rad, speed in rad/s; infinite where the URDF says nothing."""

    low_rad: float
    high_rad: float
    max_rad_s: float


def joint_limits(text: str) -> dict[str, JointLimits]:
    """Joint name -> limits, with a safety_controller's soft limits where they are narrower.

    Raises DataError for what is no URDF. A document type, where XML entities are declared, is refused: they can make
    a short text grow without bound, or read files.
    """
    if len(text) > _MOST_CHARACTERS:
        raise DataError(
            f"robot_description has {len(text)} characters, at most {_MOST_CHARACTERS} are read; embed no meshes"
        )
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise DataError("robot_description declares a document type; a URDF needs none, publish it without")
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as problem:
        raise DataError(f"robot_description is not XML ({problem}); publish the URDF after xacro has run") from None
    if root.tag != "robot":
        raise DataError(f"robot_description begins with <{root.tag}>, a URDF with <robot>; publish that")
    movable = [joint for joint in root.iter("joint") if joint.get("type") in ("revolute", "continuous")]
    return {str(joint.get("name")): _limits(joint) for joint in movable}


def _limits(joint: ElementTree.Element) -> JointLimits:
    limit, soft = joint.find("limit"), joint.find("safety_controller")
    is_endless = joint.get("type") == "continuous"
    low = -math.inf if is_endless else max(_number(limit, "lower", 0.0), _number(soft, "soft_lower_limit", -math.inf))
    high = math.inf if is_endless else min(_number(limit, "upper", 0.0), _number(soft, "soft_upper_limit", math.inf))
    return JointLimits(low, high, _number(limit, "velocity", math.inf))


def _number(element: ElementTree.Element | None, name: str, default: float) -> float:
    text = None if element is None else element.get(name)
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if math.isnan(value):
        raise DataError(f"robot_description has {name}='{text}' where a number belongs; run xacro, and look there")
    return value
