"""What a camera's driver gives in place of what is before it: frames at a rate, late, noisy, of drifting exposure."""

from __future__ import annotations

from typing import Generic, NamedTuple, TypeVar

import numpy as np

from o2o_robot.types import Array
from o2o_sim.channel import NS_PER_S, Channel, Sample, Schedule
from o2o_sim.sensor_config import CameraSensorConfig
from o2o_sim.wander import Wander

M = TypeVar("M")  # a moment of the world, from which a picture can be made later


class Exposure(NamedTuple, Generic[M]):
    """A frame before it is developed: its moments, the factors on red, green, blue (3,), the seed of its noise."""

    moments: tuple[M, ...]
    gain: Array
    noise_seed: int


class CameraSensor(Generic[M]):
    """One camera at the end of its link.

    if sensor.wants(now_ns):
        sensor.expose(now_ns, moment)
    for sample in sensor.due(now_ns):                                # what has arrived, by its stamp
        image = develop(sample.value, picture_of, config)            # only now is anything rendered
    """

    def __init__(self, config: CameraSensorConfig, rng: np.random.Generator) -> None:
        drift_rng, link_rng, self._noise_rng = rng.spawn(3)
        self._config = config
        # cameras are not wired to one clock: each has a phase of its own
        phase_ns = int(rng.random() / config.fps * NS_PER_S) if config.fps > 0 else 0
        n_moments = config.blur_samples if config.blur_s > 0 else 1
        self._schedule, self._n_moments = Schedule(config.fps, phase_ns), n_moments
        self._apart_ns = config.blur_s * NS_PER_S / max(n_moments - 1, 1)
        self._moments: list[tuple[int, M]] = []
        std = [config.white_balance_drift, 0.0, config.white_balance_drift]
        self._drift = Wander(np.array([config.exposure_drift, *std]), config.drift_s, drift_rng)
        self._channel: Channel[Exposure[M]] = Channel(config.link, link_rng)

    def wants(self, now_ns: int) -> bool:
        """Whether its shutter is open for a moment now; asked once for each instant."""
        if self._moments:
            return now_ns >= self._moments[0][0] + len(self._moments) * self._apart_ns
        return self._schedule.take(now_ns)

    def expose(self, now_ns: int, moment: M) -> None:
        self._moments.append((now_ns, moment))
        if len(self._moments) < self._n_moments:
            return
        stamp_ns = (self._moments[0][0] + now_ns) // 2
        brightness, *balance = self._drift.at(stamp_ns)
        exposure = Exposure(
            moments=tuple(moment for _, moment in self._moments),
            gain=np.exp(brightness + np.array(balance)),
            noise_seed=int(self._noise_rng.integers(2**63)),
        )
        self._moments = []
        self._channel.send(stamp_ns, exposure, ready_ns=now_ns)

    def due(self, now_ns: int) -> list[Sample[Exposure[M]]]:
        """What has arrived since it was last asked, in the order of arrival."""
        return self._channel.due(now_ns)


def develop(pictures: list[Array], gain: Array, noise_seed: int, config: CameraSensorConfig) -> Array:
    """The image (H, W, 3) uint8 of a frame from the pictures of its moments; the same however often it is asked for.

    Noise is signal dependent: its variance is affine in the brightness (Foi et al., Practical Poissonian-Gaussian noise
    modeling, IEEE TIP 2008), here of the displayed grey levels rather than of the raw ones.
    """
    is_noisy = config.read_noise > 0 or config.shot_noise > 0
    if len(pictures) == 1 and not is_noisy and (gain == 1).all():
        return pictures[0]
    light = np.mean(pictures, axis=0) * gain
    if is_noisy:
        std = np.sqrt(config.read_noise**2 + config.shot_noise**2 * np.clip(light, 0, 255) / 255)
        light = light + std * np.random.default_rng(noise_seed).standard_normal(light.shape, np.float32)
    return np.clip(np.round(light), 0, 255).astype(np.uint8)
