"""What an arm's driver reports in place of the truth: joints as read, a wrench with its bias, some time later."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from o2o_robot.types import Array
from o2o_sim.channel import Channel, Sample, Schedule
from o2o_sim.sensor_config import JointSensorConfig, SensorConfig, WrenchSensorConfig
from o2o_sim.wander import Walk


class Felt(NamedTuple):
    """What can be felt of an arm at one instant: q_rad, dq_rad (n,), its gripper's opening, the tool's wrench (6,)."""

    q_rad: Array
    dq_rad: Array
    gripper_m: float
    wrench: Array


class ArmSensor:
    """One arm's encoders and wrench, at the end of their link.

    if sensor.wants(now_ns):
        sensor.sense(now_ns, felt)             # the truth goes in
    for sample in sensor.due(now_ns): ...      # what was read of it comes out
    """

    def __init__(self, config: SensorConfig, rng: np.random.Generator) -> None:
        joint_rng, wrench_rng, link_rng = rng.spawn(3)
        self._joints, self._joint_rng = config.joints, joint_rng
        self._wrench = WrenchError(config.wrench, wrench_rng)
        self._schedule = Schedule(config.joints.hz, 0)
        self._channel: Channel[Felt] = Channel(config.joints.link, link_rng)

    def wants(self, now_ns: int) -> bool:
        """Whether it senses now; asked once for each instant."""
        return self._schedule.take(now_ns)

    def sense(self, now_ns: int, felt: Felt) -> None:
        q_rad, dq_rad = read_joints(felt.q_rad, felt.dq_rad, self._joints, self._joint_rng)
        wrench = self._wrench.added_to(felt.wrench, now_ns)
        self._channel.send(now_ns, Felt(q_rad, dq_rad, felt.gripper_m, wrench))

    def due(self, now_ns: int) -> list[Sample[Felt]]:
        """What has arrived since it was last asked, in the order of arrival."""
        return self._channel.due(now_ns)


def read_joints(q_rad: Array, dq_rad: Array, c: JointSensorConfig, rng: np.random.Generator) -> tuple[Array, Array]:
    """Positions and velocities (n,) as encoders read them: noise first, then whole steps."""
    noise = rng.standard_normal((2, len(q_rad)))
    q_read = stepped(q_rad + c.q_noise_rad * noise[0], c.q_step_rad)
    return q_read, stepped(dq_rad + c.dq_noise_rad_s * noise[1], c.dq_step_rad_s)


def stepped(values: Array, step: float) -> Array:
    """The nearest whole multiples of step; the values themselves where it is 0."""
    return np.round(values / step) * step if step > 0 else values


class WrenchError:
    """Noise, a bias, and a bias that walks away; all per axis, forces (N) first, then torques (Nm)."""

    def __init__(self, config: WrenchSensorConfig, rng: np.random.Generator) -> None:
        self._noise = np.repeat([config.force_noise_n, config.torque_noise_nm], 3)
        bias = np.repeat([config.force_bias_n, config.torque_bias_nm], 3) * rng.standard_normal(6)
        self._bias = Walk(bias, np.repeat([config.force_drift_n, config.torque_drift_nm], 3), rng)
        self._rng = rng

    def added_to(self, wrench: Array, now_ns: int) -> Array:
        """The wrench (6,) as reported at a time that never goes back."""
        return wrench + self._bias.at(now_ns) + self._noise * self._rng.standard_normal(6)
