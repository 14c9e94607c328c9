"""Do the joints' names fit, and does the guard's box lie inside what the maker and the URDF allow?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from o2o_robot.errors import DataError
from o2o_robot.preflight.finding import Finding, Level, graded, unknown
from o2o_robot.preflight.urdf import JointLimits, joint_limits
from o2o_robot.safety.guard_config import GuardConfig
from o2o_robot.safety.limits_table import FACTS, ArmFacts

_ROUNDING = 1e-6  # URDFs are written with a few digits
_REMEDY_BOX = "Set guard.joint_box to conservative, or mend limits_table.py by this robot's own figures."


def joint_names(heard: Sequence[str], expected: Sequence[str]) -> Finding:
    """Whether joint_states carries every joint that the parameters name; order and further joints do not matter."""
    what = "joint names"
    if not heard:
        return unknown(what, "no joint_states came")
    missing = [name for name in expected if name not in heard]
    told = f"lacks {', '.join(missing)}; has {', '.join(heard)}" if missing else f"all {len(expected)} there"
    remedy = "Set the parameter joints to the names that this driver publishes, in the arm's order."
    return graded(what, told, ", ".join(expected), remedy, red=bool(missing))


def repeated_names(heard: Sequence[str]) -> Finding:
    """A name that stands twice in one message: which of its positions is meant, nobody can tell."""
    if not heard:
        return unknown("joint names: each once", "no joint_states came")
    twice = sorted({name for name in heard if list(heard).count(name) > 1})
    remedy = "Mend the driver: a joint may appear once in a message."
    return graded("joint names: each once", ", ".join(twice) or "yes", "yes", remedy, red=bool(twice))


def inside_datasheet(guard: GuardConfig) -> Finding:
    """The guard's joint box against everything the maker publishes."""
    what, facts, widest = "joint box in the datasheet's", *_facts(guard)
    if facts is None or widest is None:
        return unknown(what, f"no figures of {guard.robot}")
    published = {
        f"joint {i + 1}": JointLimits(*row)
        for i, row in enumerate(zip(widest.min_rad, widest.max_rad, widest.envelope.max_rad_s, strict=True))
    }
    return _inside(what, guard, facts, published)


def inside_urdf(guard: GuardConfig, urdf: str, joints: Sequence[str]) -> Finding:
    """The guard's joint box, less its margin, against the URDF's limits."""
    what, facts = "joint box in the URDF's", _facts(guard)[0]
    if not urdf:
        return unknown(what, "no robot_description", "Publish robot_description, or give a file with --urdf.")
    if facts is None:
        return unknown(what, f"no figures of {guard.robot}")
    try:
        found = joint_limits(urdf)
    except DataError as problem:
        return Finding(Level.RED, what, str(problem), "a URDF", "Publish this robot's own URDF.")
    missing = [name for name in joints if name not in found]
    if missing:
        remedy = "Publish this robot's own URDF, or set the parameter joints to its names."
        return Finding(Level.RED, what, f"lacks {', '.join(missing)}", f"{len(joints)} joints", remedy)
    return _inside(what, guard, facts, {name: found[name] for name in joints})


def _inside(what: str, guard: GuardConfig, facts: ArmFacts, allowed: Mapping[str, JointLimits]) -> Finding:
    wrong = outside(guard, facts, list(allowed.values()))
    told = "; ".join(f"{list(allowed)[i]} {text}" for i, text in wrong)
    n = len(allowed)
    return graded(what, told or f"{n} of {n} joints inside", "all inside", _REMEDY_BOX, red=bool(wrong))


def outside(guard: GuardConfig, facts: ArmFacts, allowed: Sequence[JointLimits]) -> list[tuple[int, str]]:
    """(joint, what is wrong) for every joint whose guarded range or speed reaches past what is allowed."""
    wrong = []
    low, high = facts.min_rad + guard.joint_margin_rad, facts.max_rad - guard.joint_margin_rad
    speeds = facts.envelope.max_rad_s * guard.joint_speed_scale
    for i, limit in enumerate(allowed):
        if low[i] < limit.low_rad - _ROUNDING or high[i] > limit.high_rad + _ROUNDING:
            told = f"[{low[i]:.4f}, {high[i]:.4f}] rad, allowed [{limit.low_rad:.4f}, {limit.high_rad:.4f}]"
            wrong.append((i, told))
        if speeds[i] > limit.max_rad_s + _ROUNDING:
            wrong.append((i, f"{speeds[i]:.3f} rad/s, allowed {limit.max_rad_s:.3f}"))
    return wrong


def workspace(guard: GuardConfig) -> Finding:
    """Whether the tool can be in the workspace at all: some corner, or the middle, is within the arm's length."""
    what, facts = "workspace within reach", _facts(guard)[0]
    if facts is None:
        return unknown(what, f"no figures of {guard.robot}")
    low, high = np.array(guard.workspace_min_m), np.array(guard.workspace_max_m)
    if (low >= high).any():
        told = f"{low.tolist()} to {high.tolist()} m"
        return Finding(Level.RED, what, told, "min < max", "Swap the bounds of the axis that is turned round.")
    reach_m = _length_m(facts) + math.dist((0, 0, 0), guard.tool_offset_m)
    nearest_m = float(np.linalg.norm(np.clip(0.0, low, high)))
    told = f"nearest point {nearest_m:.2f} m from the base"
    remedy = "Measure the workspace again, in the frame that poses are given in."
    return graded(what, told, f"< {reach_m:.2f} m (the arm stretched)", remedy, red=nearest_m >= reach_m)


def _facts(guard: GuardConfig) -> tuple[ArmFacts | None, ArmFacts | None]:
    """What the guard was given, and the widest that the maker publishes."""
    chosen, widest = FACTS.get((guard.robot, guard.joint_box)), FACTS.get((guard.robot, "published"))
    return (chosen() if chosen else None), (widest() if widest else None)


def _length_m(facts: ArmFacts) -> float:
    """The arm's links laid end to end: further than it can ever reach."""
    parts = [*facts.kinematics.links, facts.kinematics.end]
    return float(sum(np.linalg.norm(part[:3, 3]) for part in parts))
