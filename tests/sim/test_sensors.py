"""Laws of the sensor models, without a simulator."""

from __future__ import annotations

import numpy as np
import pytest

from o2o_robot.errors import ConfigError
from o2o_sim.camera_sensor import CameraSensor, develop
from o2o_sim.channel import NS_PER_S
from o2o_sim.sensor_config import (
    CameraSensorConfig,
    JointSensorConfig,
    LinkConfig,
    SensorConfig,
    WrenchSensorConfig,
    sensors,
)
from o2o_sim.sensors import ArmSensor, Felt, WrenchError, read_joints
from o2o_sim.wander import Walk, Wander

PLAIN = np.ones(3)
TRUTH = Felt(np.linspace(-1, 1, 7), np.linspace(2, -2, 7), 0.03, np.arange(6.0))


def frames(config: CameraSensorConfig, seconds: int = 10, seed: int = 0) -> list:
    """(arrival, sample) of a camera that looks at a clock, read at every 2 ms physics step."""
    camera: CameraSensor[int] = CameraSensor(config, np.random.default_rng(seed))
    arrived = []
    for now_ns in range(0, seconds * NS_PER_S, 2_000_000):
        if camera.wants(now_ns):
            camera.expose(now_ns, now_ns)
        arrived += [(now_ns, sample) for sample in camera.due(now_ns)]
    return arrived


def grey(level: float) -> np.ndarray:
    return np.full((200, 200, 3), level, np.uint8)


def test_sensors_without_settings_change_nothing() -> None:
    rng = np.random.default_rng(0)
    sensor = ArmSensor(SensorConfig(), rng)
    assert sensor.wants(0)
    sensor.sense(0, TRUTH)
    (sample,) = sensor.due(0)
    for read, true in zip(sample.value, TRUTH, strict=True):
        np.testing.assert_array_equal(read, true)
    image = rng.integers(0, 256, (8, 8, 3), np.uint8)
    ((now_ns, frame),) = [(t, s) for t, s in frames(CameraSensorConfig(), seconds=1) if t == 2_000_000]
    assert frame.stamp_ns == now_ns == frame.value.moments[0]
    np.testing.assert_array_equal(
        develop([image], frame.value.gain, frame.value.noise_seed, CameraSensorConfig()), image
    )


def test_a_frame_shows_the_moment_of_its_stamp_and_arrives_later() -> None:
    config = CameraSensorConfig(fps=30.0, link=LinkConfig(latency_s=0.03, jitter_s=0.02))
    arrived = frames(config)
    assert 295 <= len(arrived) <= 300
    for now_ns, sample in arrived:
        assert sample.value.moments == (sample.stamp_ns,)
        assert 0.03 <= (now_ns - sample.stamp_ns) / NS_PER_S <= 0.052


def test_a_blurred_frame_is_stamped_in_the_middle_and_never_arrives_before_its_shutter_closes() -> None:
    for now_ns, sample in frames(CameraSensorConfig(fps=25.0, blur_s=0.012, blur_samples=4)):
        moments = sample.value.moments
        assert len(moments) == 4
        assert moments[-1] - moments[0] == 12_000_000
        assert sample.stamp_ns == (moments[0] + moments[-1]) // 2
        assert now_ns >= moments[-1]


def test_cameras_of_one_rate_do_not_expose_at_one_instant() -> None:
    first = {frames(CameraSensorConfig(fps=10.0), seconds=1, seed=seed)[0][1].stamp_ns for seed in range(8)}
    assert len(first) > 4


def test_blur_is_the_mean_of_what_was_before_the_lens() -> None:
    config = CameraSensorConfig(fps=10.0, blur_s=0.01, blur_samples=2)
    assert (develop([grey(100), grey(200)], PLAIN, 0, config) == 150).all()


def test_noise_has_the_variance_of_its_model_in_the_dark_and_in_the_light() -> None:
    config = CameraSensorConfig(read_noise=2.0, shot_noise=6.0)
    for level in (40.0, 120.0, 200.0):
        noisy = develop([grey(level)], PLAIN, 1, config).astype(float)
        variance = 2.0**2 + 6.0**2 * level / 255 + 1 / 12  # the last of rounding to whole levels
        assert noisy.mean() == pytest.approx(level, abs=0.1)
        assert noisy.var() == pytest.approx(variance, rel=0.03)


def test_a_frame_looks_the_same_each_time_and_other_frames_have_other_noise() -> None:
    config = CameraSensorConfig(read_noise=2.0)
    seeds = {sample.value.noise_seed for _, sample in frames(config, seconds=1)}
    assert len(seeds) == 500
    one, again, other = (develop([grey(90)], PLAIN, seed, config) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert (one != other).mean() > 0.5


def test_pixels_saturate_and_do_not_wrap_around() -> None:
    assert (develop([grey(200)], 2 * PLAIN, 0, CameraSensorConfig()) == 255).all()
    assert develop([grey(0)], PLAIN, 0, CameraSensorConfig(read_noise=5.0)).max() < 40


def test_exposure_moves_all_channels_together_and_white_balance_never_green() -> None:
    bright = np.array([s.value.gain for _, s in frames(CameraSensorConfig(fps=5.0, exposure_drift=0.2))])
    assert (bright == bright[:, :1]).all()
    assert bright.std() > 0
    balance = np.array([s.value.gain for _, s in frames(CameraSensorConfig(fps=5.0, white_balance_drift=0.2))])
    assert (balance[:, 1] == 1).all()
    assert balance[:, 0].std() > 0
    assert (balance[:, 0] != balance[:, 2]).all()


def test_what_wanders_keeps_its_spread_and_forgets_in_its_time() -> None:
    values = []
    for seed in range(2000):
        drift = Wander(np.array([0.5]), 10.0, np.random.default_rng(seed))
        values.append([drift.at(round(t * NS_PER_S))[0] for t in (0.0, 10.0, 100.0)])
    start, later, much_later = np.array(values).T
    for each in (start, later, much_later):
        assert each.std() == pytest.approx(0.5, rel=0.07)
    assert np.corrcoef(start, later)[0, 1] == pytest.approx(np.exp(-1), abs=0.07)
    assert abs(np.corrcoef(start, much_later)[0, 1]) < 0.08


def test_a_walk_goes_as_far_in_many_steps_as_in_one() -> None:
    def end(seed: int, n: int) -> float:
        walk = Walk(np.zeros(1), np.array([0.3]), np.random.default_rng(seed))
        return [walk.at(round(t * NS_PER_S)) for t in np.linspace(0, 4.0, n + 1)][-1][0]

    for n in (1, 40):
        assert np.std([end(seed, n) for seed in range(1500)]) == pytest.approx(0.6, rel=0.07)


def test_a_wrench_has_one_bias_an_episode_and_noise_each_sample() -> None:
    config = WrenchSensorConfig(force_noise_n=0.1, force_bias_n=2.0)
    biases = []
    for seed in range(300):
        error = WrenchError(config, np.random.default_rng(seed))
        read = np.array([error.added_to(np.zeros(6), k * NS_PER_S) for k in range(50)])
        assert not read[:, 3:].any()
        assert read[:, :3].std(axis=0).max() < 0.2
        biases.append(read[:, :3].mean(axis=0))
    assert np.std(biases) == pytest.approx(2.0, rel=0.1)


def test_joints_are_read_in_whole_steps_with_the_noise_asked_for() -> None:
    config = JointSensorConfig(q_noise_rad=0.01, q_step_rad=0.001, dq_noise_rad_s=0.1)
    rng, q = np.random.default_rng(0), np.full(20000, 0.4)
    q_read, dq_read = read_joints(q, np.zeros_like(q), config, rng)
    np.testing.assert_allclose(q_read, np.round(q_read, 3), atol=1e-12)
    assert q_read.std() == pytest.approx(0.01, rel=0.05)
    assert q_read.mean() == pytest.approx(0.4, abs=5e-4)
    assert dq_read.std() == pytest.approx(0.1, rel=0.05)


def test_a_state_is_read_late_as_a_whole() -> None:
    sensor = ArmSensor(
        SensorConfig(joints=JointSensorConfig(hz=100.0, link=LinkConfig(latency_s=0.02))), np.random.default_rng(0)
    )
    for now_ns in range(0, NS_PER_S, 2_000_000):
        if sensor.wants(now_ns):
            sensor.sense(now_ns, TRUTH._replace(gripper_m=now_ns, q_rad=np.full(7, now_ns)))
        for sample in sensor.due(now_ns):
            assert sample.value.gripper_m == sample.value.q_rad[0] == sample.stamp_ns == now_ns - 20_000_000


def test_shipped_settings_are_read_and_only_none_is_off() -> None:
    assert not sensors("none").is_on
    assert sensors("real").is_on
    assert sensors("real").reports_the_past
    assert not SensorConfig(wrench=WrenchSensorConfig(force_noise_n=1.0)).reports_the_past


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("camera: {fsp: 30}", "fps"),
        ("camera: {link: {latency_ms: 30}}", "latency_s"),
        ("camera: {fps: fast}", "fps"),
        ("camera: {link: {drop_share: 0.1}}", "fps"),
        ("camera: {fps: 30, blur_s: 0.1}", "blur_s"),
        ("joints: {q_noise_rad: -1}", "q_noise_rad"),
        ("[1, 2]", "map"),
        ("a: [", "YAML"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path, text: str, says: str) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(ConfigError, match=says):
        sensors(str(tmp_path / "mine.yaml"))


def test_a_missing_file_says_what_there_is() -> None:
    with pytest.raises(ConfigError, match="none, real"):
        sensors("reel")
