"""What randomisation promises: plausible draws, nothing that adds up, nobody's places changed, and a record."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("o2o_sim.engine", reason="needs mujoco")
from o2o_robot.errors import ConfigError
from o2o_robot.robot.action import TOOL_DOWN_XYZW
from o2o_robot.types import Pose
from o2o_sim.config import TwinConfig
from o2o_sim.engine import mujoco
from o2o_sim.randomize_config import CameraSpread, LookSpread, PhysicsSpread, Randomization, StartSpread, randomization
from o2o_sim.randomize_looks import pattern
from o2o_sim.randomize_physics import loose_bodies
from o2o_sim.spread import Spread, stream
from o2o_sim.twin import Twin

STRONG = randomization("strong")
DOWN = np.array(TOOL_DOWN_XYZW)


def bits(model: mujoco.MjModel) -> bytes:
    buffer = np.zeros(mujoco.mj_sizeModel(model), np.uint8)
    mujoco.mj_saveModel(model, None, buffer)
    return buffer.tobytes()


def lifting(randomization: Randomization, **settings) -> Twin:
    return Twin(TwinConfig(task="lift", cameras=(), randomization=randomization, **settings))


@pytest.fixture(scope="module")
def strong() -> Twin:
    return lifting(STRONG)


def test_a_spread_stays_between_its_ends_and_centres_a_normal() -> None:
    rng = np.random.default_rng(0)
    for spread in (Spread(-1.0, 3.0), Spread(-1.0, 3.0, std=0.5), Spread(-1.0, 3.0, std=4.0)):
        values = spread.draw(rng, (5000,))
        assert -1 <= values.min() < values.max() <= 3
        assert values.mean() == pytest.approx(1.0, abs=0.06)
    assert Spread(-1.0, 3.0, std=0.5).draw(rng, (5000,)).std() == pytest.approx(0.5, rel=0.05)
    assert Spread(1.0, 1.0).draw(rng) == 1.0


def test_after_a_hundred_episodes_the_nominal_model_is_back_bit_for_bit(strong: Twin) -> None:
    randomizer, model = strong._randomizer, strong._model
    randomizer.restore()
    nominal = bits(model)
    for seed in range(100):
        randomizer.draw(seed)
        assert bits(model) != nominal
    randomizer.restore()
    assert bits(model) == nominal


def test_a_seed_gives_one_scene_whatever_was_drawn_before(strong: Twin) -> None:
    strong.reset(5)
    drawn, model = strong.drawn, bits(strong._model)
    strong.reset(6)
    assert strong.drawn != drawn
    strong.reset(5)
    assert strong.drawn == drawn
    assert bits(strong._model) == model


def test_objects_and_starts_are_where_they_are_without_randomisation() -> None:
    still = replace(STRONG, start=StartSpread())
    twins = lifting(Randomization()), lifting(still)
    for seed in range(5):
        places = []
        for twin in twins:
            twin.reset(seed)
            places.append((twin.task_state().privileged, twin.arm_state().q_rad))
        np.testing.assert_array_equal(places[0][0][:3], places[1][0][:3])
        np.testing.assert_allclose(places[0][1], places[1][1], atol=1e-9)  # other masses round the inverse differently


def test_switching_one_quantity_on_changes_no_other() -> None:
    friction = Spread(0.5, 1.5)
    one = lifting(Randomization(physics=PhysicsSpread(friction=friction)))
    both = lifting(Randomization(physics=PhysicsSpread(friction=friction, object_mass=Spread(0.5, 2.0))))
    for twin in (one, both):
        twin.reset(3)
    assert both.drawn["physics.friction"] == one.drawn["physics.friction"]
    assert set(one.drawn) == {"physics.friction"}


def test_streams_share_no_number_with_each_other_nor_with_the_stream_that_places_objects() -> None:
    firsts = {
        *(stream(3, name).random() for name in ("looks.floor", "looks.table", "sensors.wrist", "sensors.front")),
        stream(4, "looks.floor").random(),
        np.random.default_rng(3).random(),
    }
    assert len(firsts) == 6
    assert stream(3, "looks.floor").random() in firsts


def test_what_is_drawn_is_what_the_model_has(strong: Twin) -> None:
    model, arm = strong._model, strong._joints
    strong._randomizer.restore()
    nominal = {
        name: getattr(model, name).copy()
        for name in ("geom_friction", "body_mass", "dof_damping", "dof_frictionloss", "actuator_gainprm", "cam_fovy")
    }
    strong.reset(11)
    drawn, cube = strong.drawn, loose_bodies(model)
    np.testing.assert_allclose(model.geom_friction[:, 0], nominal["geom_friction"][:, 0] * drawn["physics.friction"])
    np.testing.assert_allclose(model.body_mass[cube], nominal["body_mass"][cube] * drawn["physics.object_mass"])
    np.testing.assert_allclose(model.dof_frictionloss[arm.v], drawn["physics.joint_friction_nm"])
    gain = nominal["actuator_gainprm"][arm.ctrl, 0] * drawn["physics.motor_gain"]
    np.testing.assert_allclose(model.actuator_gainprm[arm.ctrl, 0], gain)
    front = model.camera("front").id
    np.testing.assert_allclose(model.cam_fovy[front], nominal["cam_fovy"][front] + drawn["cameras.front.fov_deg"])
    subtree_kg = model.body_mass[1:].sum()
    assert model.body_subtreemass[0] == pytest.approx(subtree_kg)  # what was derived from the masses followed them


def test_a_moved_camera_is_off_by_no_more_than_its_spread_says() -> None:
    twin = lifting(Randomization(cameras=CameraSpread(Spread(-10, 10, std=4), Spread(-2, 2))))
    twin._randomizer.restore()
    nominal_m, nominal_quat = twin._model.cam_pos.copy(), twin._model.cam_quat.copy()
    offsets_mm, turns_deg = [], []
    for seed in range(50):
        twin.reset(seed)
        offsets_mm.append(np.linalg.norm(twin._model.cam_pos - nominal_m, axis=1) * 1e3)
        cosine = np.abs(np.sum(twin._model.cam_quat * nominal_quat, axis=1)).clip(max=1)
        turns_deg.append(np.rad2deg(2 * np.arccos(cosine)))
    assert 2 < np.mean(offsets_mm) < np.max(offsets_mm) <= 10 * np.sqrt(3)
    assert 0.5 < np.mean(turns_deg) < np.max(turns_deg) <= 2 * np.sqrt(3) + 1e-6


def test_the_start_moves_by_what_was_drawn() -> None:
    still, moved = lifting(Randomization()), lifting(Randomization(start=StartSpread(Spread(-20, 20))))
    for seed in range(5):
        still.reset(seed)
        moved.reset(seed)
        offset_mm = (moved.arm_state().tool.position_m - still.arm_state().tool.position_m) * 1e3
        np.testing.assert_allclose(offset_mm, moved.drawn["start.offset_mm"], atol=0.1)


def test_a_cube_of_twice_the_mass_presses_twice_as_hard() -> None:
    presses_n = []
    for factor in (1.0, 2.0):
        twin = lifting(
            Randomization(physics=PhysicsSpread(object_mass=Spread(factor, factor), friction=Spread(1, 1.001)))
        )
        twin.reset(0)
        twin.advance(1.0)
        presses_n.append(twin._data.qfrc_constraint[twin._model.joint("cube").dofadr[0] + 2])
    assert presses_n[1] == pytest.approx(2 * presses_n[0], rel=1e-3)


def test_the_arm_still_settles_within_3_mm_of_its_target_however_it_was_drawn(strong: Twin) -> None:
    for seed in range(6):
        strong.reset(seed)
        goal_m = strong.arm_state().tool.position_m + np.array([0.02, -0.02, 0.02])
        strong.step(Pose(goal_m, DOWN), duration_s=1.5)
        assert np.linalg.norm(strong.arm_state().tool.position_m - goal_m) < 0.003


def test_pictures_differ_between_episodes_and_are_the_same_for_one_seed() -> None:
    looks = Randomization(looks=LookSpread(pattern=Spread(0.4, 0.8)))
    with Twin(TwinConfig(randomization=looks)) as twin, Twin(TwinConfig(randomization=looks)) as fresh:
        pictures = []
        for seed in (1, 2, 1):
            twin.reset(seed)
            pictures.append(twin.image("front"))
        np.testing.assert_array_equal(pictures[0], pictures[2])
        fresh.reset(1)  # its texture came up with its renderer, the other's was exchanged
        np.testing.assert_array_equal(pictures[0], fresh.image("front"))
        table = pictures[0][40:].astype(int) - pictures[1][40:]
        assert (np.abs(table) > 8).mean() > 0.2


def test_nominal_looks_are_those_of_a_twin_without_randomisation() -> None:
    """Lamp, texture and floor are there to be drawn, and not to be seen."""
    only_physics = Randomization(physics=PhysicsSpread(friction=Spread(0.9, 1.1)))
    with Twin() as plain, Twin(TwinConfig(randomization=only_physics)) as drawn:
        for name in ("wrist", "front"):
            difference = plain.image(name).astype(int) - drawn.image(name)
            assert np.abs(difference).max() <= 1


def test_a_snapshot_brings_its_own_scene_back(strong: Twin) -> None:
    def fall(twin: Twin) -> bytes:
        twin.advance(0.3)
        return twin.arm_state().q_rad.tobytes() + twin.task_state().privileged.tobytes()

    strong.reset(8)
    start = strong.snapshot()
    expected = fall(strong)
    strong.reset(9)
    strong.restore(start)
    assert fall(strong) == expected


def test_what_was_drawn_goes_into_json(strong: Twin) -> None:
    strong.reset(2)
    assert json.loads(json.dumps(strong.drawn)) == strong.drawn
    assert {key.split(".")[0] for key in strong.drawn} == {"light", "looks", "cameras", "physics", "start"}
    assert Twin(TwinConfig(cameras=())).drawn == {}


@pytest.mark.parametrize("kind", [0, 1, 2])
def test_a_pattern_has_the_contrast_asked_for_and_no_more(kind: int) -> None:
    for contrast in (0.1, 0.5):
        image = pattern(kind, contrast, stream(0, "pattern"))
        assert image.max() == 255
        assert image.min() >= np.floor(255 * (1 - contrast))
        assert image.min() <= np.ceil(255 * (1 - 0.7 * contrast))


def test_shipped_settings_are_read_and_only_none_is_off() -> None:
    assert not randomization("none").is_on
    assert randomization("mild") != STRONG


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("light: {brightnes: {low: 1, high: 2}}", "brightness"),
        ("light: {brightness: {low: 2, high: 1}}", "low to high"),
        ("light: {brightness: {low: 0, high: 1}}", "light.brightness"),
        ("looks: {pattern: {low: 0, high: 1.5}}", "looks.pattern"),
        ("cameras: {turn_deg: {low: -1, high: 1, std: 5}}", "std"),
        ("physics: {object_mass: {low: -1, high: 1}}", "object_mass"),
        ("wind: {}", "wind"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path, text: str, says: str) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(ConfigError, match=says):
        randomization(str(tmp_path / "mine.yaml"))
