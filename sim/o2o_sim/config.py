"""Settings of the twin. Frozen; every number in SI units; wrong ones fail here, not at step 4000."""

from __future__ import annotations

from dataclasses import dataclass, field

from o2o_robot.errors import ConfigError


@dataclass(frozen=True)
class ImpedanceConfig:
    """Cartesian impedance: natural frequencies (rad/s) and damping ratio of the tool about its reference, and the
    time a new target is spread over (a minimum-jerk reference; the slew filter). The posture term pulls the elbow."""

    position_rad_s: float = 14.0
    rotation_rad_s: float = 28.0
    damping_ratio: float = 1.0
    slew_s: float = 0.12
    max_error_m: float = 0.03
    posture_nm_rad: float = 20.0
    posture_nms_rad: float = 10.0

    def __post_init__(self) -> None:
        if self.slew_s <= 0:
            raise ConfigError(f"slew_s must be > 0, got {self.slew_s}; 0.12 keeps 25 mm near the FR3's 9 m/s^2")


@dataclass(frozen=True)
class PegConfig:
    """A socket and a distractor, both drawn anywhere in the region; hole half-width = peg radius + clearance."""

    clearance_m: float = 0.010
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
            raise ConfigError(f"clearance_m must be > 0, got {self.clearance_m}; 0.010 is easy, 0.001 is hard")
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
class TwinConfig:
    """What is simulated: the task, the cameras, the rates. `physics_hz` is also the impedance loop's rate."""

    task: str = "peg"
    cameras: tuple[str, ...] = ("wrist", "front")
    image_size: int = 64
    control_hz: float = 10.0
    physics_hz: float = 500.0
    peg: PegConfig = field(default_factory=PegConfig)
    reach: ReachConfig = field(default_factory=ReachConfig)
    impedance: ImpedanceConfig = field(default_factory=ImpedanceConfig)

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
