"""What the twin's sensors do to the truth before anyone sees it. Frozen; by default nothing.

A file gives only what is not perfect, for example what a RealSense D435 on USB 3 and an FR3 do, by and large:

    camera: {fps: 30, read_noise: 1.5, shot_noise: 3, link: {latency_s: 0.035, jitter_s: 0.01, drop_share: 0.01}}
    joints: {q_noise_rad: 2.0e-5, dq_noise_rad_s: 2.0e-3, link: {latency_s: 0.002}}
    wrench: {force_noise_n: 0.3, force_bias_n: 1.0}
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path

from o2o_robot.errors import ConfigError
from o2o_sim.settings_file import settings_from

SHIPPED = Path(__file__).parent / "sensor_settings"
MAX_DELAY_S = 1.0
MAX_FPS = 250.0


@dataclass(frozen=True)
class LinkConfig:
    """A sample arrives latency_s, and 0 to jitter_s more (uniform), after its stamp; drop_share of them never do.

    One that would overtake waits for those before it, unless it `reorders`.
    """

    latency_s: float = 0.0
    jitter_s: float = 0.0
    drop_share: float = 0.0
    reorders: bool = False

    def __post_init__(self) -> None:
        _refuse_negative("link", self)
        if self.latency_s + self.jitter_s > MAX_DELAY_S:
            raise ConfigError(
                f"latency_s + jitter_s must be <= {MAX_DELAY_S} s, got {self.latency_s} + {self.jitter_s}; "
                "a later sample is as good as lost"
            )
        if self.drop_share > 0.9:
            raise ConfigError(f"drop_share must be 0 to 0.9, got {self.drop_share}; leave the camera out instead")


@dataclass(frozen=True)
class CameraSensorConfig:
    """A camera that exposes fps times a second (0: at every physics step), and what becomes of the picture.

    read_noise: standard deviation in grey levels (0 to 255), the same in the dark; shot_noise: the same at full white,
    where it grows with the root of the brightness. exposure_drift: standard deviation of the logarithm of the
    brightness, white_balance_drift: of those of red and blue against green; both wander with time constant drift_s.
    blur_s: how long the shutter is open, seen at blur_samples moments; the stamp is the middle.
    """

    fps: float = 0.0
    link: LinkConfig = field(default_factory=LinkConfig)
    read_noise: float = 0.0
    shot_noise: float = 0.0
    exposure_drift: float = 0.0
    white_balance_drift: float = 0.0
    drift_s: float = 30.0
    blur_s: float = 0.0
    blur_samples: int = 4

    def __post_init__(self) -> None:
        _refuse_negative("camera", self)
        if self.fps != 0 and not 1 <= self.fps <= MAX_FPS:
            raise ConfigError(f"camera.fps must be 0 (at every physics step) or 1 to {MAX_FPS}, got {self.fps}")
        if self.drift_s <= 0:
            raise ConfigError(f"camera.drift_s must be > 0, got {self.drift_s}; 30 is half a minute")
        if self.fps == 0 and (self.link.drop_share > 0 or self.blur_s > 0):
            raise ConfigError("camera.fps is 0, so drops and blur mean nothing; give the camera's rate, for example 30")
        if self.blur_s > 0 and (self.blur_samples < 2 or self.blur_s * self.fps > 1):
            raise ConfigError(
                f"camera.blur_s={self.blur_s} at {self.fps} fps with {self.blur_samples} samples; "
                "open the shutter for one frame at most, and look at least twice"
            )


@dataclass(frozen=True)
class JointSensorConfig:
    """Encoders read hz times a second (0: at every physics step): noise is a standard deviation, a step what is told
    apart. The tool's pose is computed from the joints as read. The link carries gripper and wrench too."""

    hz: float = 0.0
    link: LinkConfig = field(default_factory=LinkConfig)
    q_noise_rad: float = 0.0
    q_step_rad: float = 0.0
    dq_noise_rad_s: float = 0.0
    dq_step_rad_s: float = 0.0

    def __post_init__(self) -> None:
        _refuse_negative("joints", self)


@dataclass(frozen=True)
class WrenchSensorConfig:
    """Standard deviations, per axis: of each sample's noise; of the bias, drawn once an episode; and of the drift,
    a random walk, after one second (it grows with the root of time)."""

    force_noise_n: float = 0.0
    torque_noise_nm: float = 0.0
    force_bias_n: float = 0.0
    torque_bias_nm: float = 0.0
    force_drift_n: float = 0.0
    torque_drift_nm: float = 0.0

    def __post_init__(self) -> None:
        _refuse_negative("wrench", self)


@dataclass(frozen=True)
class SensorConfig:
    """All of the twin's sensors. The default reports the truth, at once."""

    camera: CameraSensorConfig = field(default_factory=CameraSensorConfig)
    joints: JointSensorConfig = field(default_factory=JointSensorConfig)
    wrench: WrenchSensorConfig = field(default_factory=WrenchSensorConfig)

    @property
    def is_on(self) -> bool:
        return self != SensorConfig()

    @property
    def reports_the_past(self) -> bool:
        """Whether what is read may be older than now, which a caller who pairs samples by equal stamps cannot use."""
        camera, joints = self.camera, self.joints
        return camera.fps > 0 or joints.hz > 0 or camera.link != LinkConfig() or joints.link != LinkConfig()


def sensors(name_or_path: str) -> SensorConfig:
    """none or real, or what a YAML file says. Raises ConfigError naming the key that is wrong."""
    return settings_from(SensorConfig, name_or_path, SHIPPED)


def _refuse_negative(
    part: str, settings: LinkConfig | CameraSensorConfig | JointSensorConfig | WrenchSensorConfig
) -> None:
    for each in dataclasses.fields(settings):
        value = getattr(settings, each.name)
        if isinstance(value, int | float) and not 0 <= value < float("inf"):
            raise ConfigError(f"{part}.{each.name} must be >= 0 and finite, got {value}; 0 leaves it out")
