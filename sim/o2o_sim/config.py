"""Settings of the twin. Frozen; every number in SI units; wrong ones fail here, not at step 4000."""

from __future__ import annotations

from dataclasses import dataclass, field

from o2o_robot.errors import ConfigError
from o2o_sim.randomize_config import Randomization
from o2o_sim.sensor_config import SensorConfig


@dataclass(frozen=True)
class ImpedanceConfig:
    """Cartesian impedance: natural frequencies (rad/s) and damping ratio of the tool about its reference, and the
    time a new target is spread over (a minimum-jerk reference; the slew filter). The posture term pulls the elbow, and
    the firm one holds it where joints are commanded."""

    position_rad_s: float = 14.0
    rotation_rad_s: float = 28.0
    damping_ratio: float = 1.0
    slew_s: float = 0.12
    max_error_m: float = 0.03
    posture_nm_rad: float = 20.0
    posture_nms_rad: float = 10.0
    firm_nm_rad: float = 300.0
    firm_nms_rad: float = 35.0

    def __post_init__(self) -> None:
        if self.slew_s <= 0:
            raise ConfigError(f"slew_s must be > 0, got {self.slew_s}; 0.12 keeps 25 mm near the FR3's 9 m/s^2")


@dataclass(frozen=True)
class PegConfig:
    """A socket and a distractor, both drawn anywhere in the region; hole half-width = peg radius + clearance.

    2 mm on each side is an insertion; the demo asks for 10 mm, which a policy learns in minutes (decision 0011).
    """

    clearance_m: float = 0.002
    socket_height_m: float = 0.030
    wall_m: float = 0.010
    insert_depth_m: float = 0.012
    min_gap_m: float = 0.09
    region_x_m: tuple[float, float] = (0.40, 0.60)
    region_y_m: tuple[float, float] = (-0.15, 0.15)
    start_x_m: tuple[float, float] = (0.45, 0.55)
    start_y_m: tuple[float, float] = (-0.08, 0.08)
    start_z_m: tuple[float, float] = (0.12, 0.18)

    def __post_init__(self) -> None:
        if self.clearance_m <= 0:
            raise ConfigError(f"clearance_m must be > 0, got {self.clearance_m}; 0.010 is easy, 0.002 usual")
        if not 0 < self.insert_depth_m < self.socket_height_m:
            raise ConfigError(
                f"insert_depth_m must be > 0 and < socket_height_m={self.socket_height_m}, got {self.insert_depth_m}"
            )


@dataclass(frozen=True)
class ReachConfig:
    """A coloured sphere in the air, which the tip must enter."""

    radius_m: float = 0.025
    region_x_m: tuple[float, float] = (0.40, 0.60)
    region_y_m: tuple[float, float] = (-0.15, 0.15)
    region_z_m: tuple[float, float] = (0.04, 0.15)
    start_x_m: tuple[float, float] = (0.45, 0.55)
    start_y_m: tuple[float, float] = (-0.08, 0.08)
    start_z_m: tuple[float, float] = (0.12, 0.18)


@dataclass(frozen=True)
class LiftConfig:
    """A cube on the table. Done once its underside has been lift_m above the table for hold_s without a break."""

    side_m: float = 0.04
    mass_kg: float = 0.05
    lift_m: float = 0.06
    hold_s: float = 0.3
    max_yaw_rad: float = 0.25
    region_x_m: tuple[float, float] = (0.42, 0.58)
    region_y_m: tuple[float, float] = (-0.13, 0.13)
    start_x_m: tuple[float, float] = (0.45, 0.55)
    start_y_m: tuple[float, float] = (-0.08, 0.08)
    start_z_m: tuple[float, float] = (0.12, 0.18)

    def __post_init__(self) -> None:
        if not 0.01 <= self.side_m <= 0.06:
            raise ConfigError(f"side_m must be 0.01 to 0.06 (the gripper opens to 0.08 m), got {self.side_m}")
        if self.mass_kg <= 0 or self.lift_m <= 0 or self.hold_s < 0:
            raise ConfigError(f"mass_kg={self.mass_kg}, lift_m={self.lift_m} must be > 0, hold_s={self.hold_s} >= 0")


@dataclass(frozen=True)
class TwinConfig:
    """What is simulated: the robot, the task, the cameras, the rates. `physics_hz` is also the impedance loop's rate.

    robot: fr3, ur5e, or the path of a name map (.yaml) for a model of your own. Regions are of a table in front of the
    arm: x forward, y to its left, z up; on the FR3 these are its base's axes, the UR5e's are turned by half.
    contacts: false lets everything pass through everything, to replay a motion of a cell that is not modelled.
    placements: calibration results (.yaml), each of which puts the camera that it names where the real one is.
    fitted: results of `o2o calibrate twin-fit` (.yaml), of joints and of the tool (fitted.py).
    """

    task: str = "peg"
    robot: str = "fr3"
    cameras: tuple[str, ...] = ("wrist", "front")
    image_size: int = 64
    control_hz: float = 10.0
    physics_hz: float = 500.0
    contacts: bool = True
    peg: PegConfig = field(default_factory=PegConfig)
    reach: ReachConfig = field(default_factory=ReachConfig)
    lift: LiftConfig = field(default_factory=LiftConfig)
    impedance: ImpedanceConfig = field(default_factory=ImpedanceConfig)
    sensors: SensorConfig = field(default_factory=SensorConfig)
    randomization: Randomization = field(default_factory=Randomization)
    placements: tuple[str, ...] = ()
    fitted: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 8 <= self.image_size <= 640:
            raise ConfigError(f"image_size must be 8 to 640 pixels, got {self.image_size}")
        if not 0 < self.control_hz <= self.physics_hz:
            raise ConfigError(f"control_hz must be > 0 and <= physics_hz={self.physics_hz}, got {self.control_hz}")
        if self.physics_hz < 250:
            raise ConfigError(f"physics_hz must be >= 250 for stable contact, got {self.physics_hz}; use 500")

    @property
    def period_s(self) -> float:
        """One control period."""
        return 1.0 / self.control_hz
