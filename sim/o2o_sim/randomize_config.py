"""What differs from episode to episode beside the objects' places. Frozen; by default nothing does.

A file gives only what is drawn, for example:

    light: {brightness: {low: 0.8, high: 1.2}}
    cameras: {offset_mm: {low: -5, high: 5, std: 2}}
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from o2o_robot.errors import ConfigError
from o2o_sim.settings_file import settings_from
from o2o_sim.spread import ONE, ZERO, Spread

SHIPPED = Path(__file__).parent / "randomizations"


@dataclass(frozen=True)
class LightSpread:
    """brightness: factor on all light. tint: factor of each colour channel. lamp: brightness of one lamp from above,
    0 to 1, whose light comes lamp_tilt_deg from straight down, from any side; it adds to the light that is there."""

    brightness: Spread = ONE
    tint: Spread = ONE
    lamp: Spread = ZERO
    lamp_tilt_deg: Spread = ZERO

    def __post_init__(self) -> None:
        _refuse_outside("light", self, {"brightness": 0.05, "tint": 0.05, "lamp": 0.0})
        _refuse_outside("light", self, {"lamp_tilt_deg": 0.0}, highest=80.0)


@dataclass(frozen=True)
class LookSpread:
    """colour: factor of each channel of each object's colour, and of the robot's. table and table_tint: of the table's
    brightness and of each of its channels. pattern: contrast of a pattern on the table. floor: brightness of the floor
    around it (0 is the black that there is without)."""

    colour: Spread = ONE
    table: Spread = ONE
    table_tint: Spread = ONE
    pattern: Spread = ZERO
    floor: Spread = ZERO

    def __post_init__(self) -> None:
        _refuse_outside("looks", self, dict.fromkeys(("colour", "table", "table_tint"), 0.05))
        _refuse_outside("looks", self, {"pattern": 0.0, "floor": 0.0}, highest=1.0)


@dataclass(frozen=True)
class CameraSpread:
    """Moves each camera by offset_mm along each of its axes, turns it by turn_deg about each, widens it by fov_deg."""

    offset_mm: Spread = ZERO
    turn_deg: Spread = ZERO
    fov_deg: Spread = ZERO


@dataclass(frozen=True)
class PhysicsSpread:
    """Factors: friction on all sliding friction, object_mass on each loose body, link_mass on each of the robot's,
    joint_damping and motor_gain on each joint. joint_friction_nm is dry friction added to each of the arm's joints.

    The impedance controller compensates gravity with the very masses drawn, as a calibrated arm does.
    """

    friction: Spread = ONE
    object_mass: Spread = ONE
    link_mass: Spread = ONE
    joint_damping: Spread = ONE
    motor_gain: Spread = ONE
    joint_friction_nm: Spread = ZERO

    def __post_init__(self) -> None:
        factors = ("friction", "object_mass", "link_mass", "motor_gain")
        _refuse_outside("physics", self, {**dict.fromkeys(factors, 0.05), "joint_damping": 0.0})
        _refuse_outside("physics", self, {"joint_friction_nm": 0.0})


@dataclass(frozen=True)
class StartSpread:
    """Moves the tip's start, beside what the task draws, by offset_mm along each axis of the base frame."""

    offset_mm: Spread = ZERO


@dataclass(frozen=True)
class Randomization:
    """Everything that can be drawn. The default draws nothing, and the twin is what it is without."""

    light: LightSpread = field(default_factory=LightSpread)
    looks: LookSpread = field(default_factory=LookSpread)
    cameras: CameraSpread = field(default_factory=CameraSpread)
    physics: PhysicsSpread = field(default_factory=PhysicsSpread)
    start: StartSpread = field(default_factory=StartSpread)

    @property
    def is_on(self) -> bool:
        return self != Randomization()


def randomization(name_or_path: str) -> Randomization:
    """none, mild or strong, or what a YAML file says. Raises ConfigError naming the key that is wrong."""
    return settings_from(Randomization, name_or_path, SHIPPED)


def _refuse_outside(part: str, settings: object, lowest: dict[str, float], highest: float = float("inf")) -> None:
    for name, at_least in lowest.items():
        spread: Spread = getattr(settings, name)
        if spread.low < at_least or spread.high > highest:
            raise ConfigError(
                f"{part}.{name} must be {at_least} to {highest}, got {spread.low} to {spread.high}; mend low or high"
            )
