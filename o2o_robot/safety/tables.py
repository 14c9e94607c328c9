"""The guard's limits and profiles as Markdown, as docs/safety.md shows them: `python -m o2o_robot.safety.tables`."""

from __future__ import annotations

from collections.abc import Sequence

from o2o_robot.safety.guard_config import PRESETS
from o2o_robot.safety.profiles import LOWER, OF_MODE, PROFILES, UPPER, profiled
from o2o_robot.safety.reason import LATCHING, STOPPING, Reason, names

SHOWN = (
    "joint_box",
    "workspace_min_m",
    "workspace_max_m",
    "max_step_m",
    "max_rotation_rad",
    "max_speed_m_s",
    "max_speed_rad_s",
    "max_acceleration_m_s2",
    "max_acceleration_rad_s2",
    "max_jerk_m_s3",
    "joint_margin_rad",
    "joint_speed_scale",
    "joint_acceleration_scale",
    "slow_condition",
    "stop_condition",
    "soft_force_n",
    "hard_force_n",
    "max_force_rise_n",
    "max_tracking_m",
    "state_stop_s",
    "state_latch_s",
    "frozen_state_s",
    "max_observation_age_s",
    "max_recoveries",
    "shaped",
)


def limits_table() -> str:
    """Setting by preset."""
    robots = ("fr3", "ur5e", "twin")
    settings = [vars(PRESETS[robot]()) for robot in robots]
    rows = [(f"`{name}`", *(_text(chosen[name]) for chosen in settings)) for name in SHOWN]
    return _table(("setting", *robots), rows)


def profiles_table(robot: str = "fr3") -> str:
    """Setting by profile, of those in which they differ."""
    preset = PRESETS[robot]()
    chosen = [vars(profiled(preset, name)) for name in ("", *PROFILES)]
    differ = [name for name in (*UPPER, *LOWER) if len({_text(one[name]) for one in chosen}) > 1]
    modes = [next(f"{mode.value}" for mode, profile in OF_MODE.items() if profile == name) for name in PROFILES]
    head = (f"{robot}", "preset", *(f"{name} (mode {mode})" for name, mode in zip(PROFILES, modes, strict=True)))
    return _table(head, [(f"`{name}`", *(_text(one[name]) for one in chosen)) for name in differ])


def reasons_table() -> str:
    """Bit, name and effect of every reason on the wire."""
    rows = []
    for reason in Reason:
        effect = "latches" if reason & LATCHING else "stops" if reason & STOPPING else ""
        bit = int(reason).bit_length() - 1
        rows.append((str(bit) if bit < 32 else "detail", f"`{reason.name}`", names(reason)[0], effect))
    return _table(("bit", "name", "said as", "between commands"), rows)


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _text(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(_text(one) for one in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    print("\n\n".join((limits_table(), profiles_table(), reasons_table())))
