from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from o2o_robot import config
from o2o_robot.errors import ConfigError
from o2o_robot.safety import limits_table as table
from o2o_robot.safety.guard_config import PRESETS, GuardConfig, build_guard, limits, shaper_config
from o2o_robot.safety.reason import WIRE, Reason, names

PARAMS = Path(__file__).parents[2] / "launch" / "params"


@pytest.mark.parametrize("source", ["DOCS", "URDF"])
def test_the_conservative_fr3_box_lies_inside_both_published_sets(source):
    assert (getattr(table, f"FR3_{source}_MIN_RAD") < table.FR3_CONSERVATIVE_MIN_RAD).all()
    assert (getattr(table, f"FR3_{source}_MAX_RAD") > table.FR3_CONSERVATIVE_MAX_RAD).all()
    assert (table.FR3_CONSERVATIVE_MAX_RAD_S < table.FR3_DOCS_MAX_RAD_S).all()


def test_the_published_fr3_box_lies_inside_both_published_sets():
    facts = table.fr3_published()
    for low, high in (
        (table.FR3_DOCS_MIN_RAD, table.FR3_DOCS_MAX_RAD),
        (table.FR3_URDF_MIN_RAD, table.FR3_URDF_MAX_RAD),
    ):
        assert (facts.min_rad >= low).all()
        assert (facts.max_rad <= high).all()


def test_the_table_cannot_be_changed_by_who_reads_it():
    with pytest.raises(ValueError, match="read-only"):
        table.FR3_DOCS_MAX_RAD[0] = 9.0


@pytest.mark.parametrize("robot", sorted(PRESETS))
def test_the_parameter_file_of_each_robot_agrees_with_its_preset_and_builds(robot):
    text = yaml.safe_load((PARAMS / f"{robot}.yaml").read_text())
    settings = text["/**/arm_node"]["ros__parameters"]["guard"]
    loaded = config.build(GuardConfig, {**config.as_mapping(PRESETS[robot]()), **settings}, where=f"{robot}.yaml")
    assert loaded == PRESETS[robot]()
    build_guard(loaded)


@pytest.mark.parametrize("robot", sorted(PRESETS))
def test_numbers_in_a_parameter_file_have_the_type_ros_will_declare(robot):
    settings = yaml.safe_load((PARAMS / f"{robot}.yaml").read_text())["/**/arm_node"]["ros__parameters"]["guard"]
    for field in fields(GuardConfig):
        if field.name in settings and field.type == "float":
            assert isinstance(settings[field.name], float), field.name


def test_a_misspelt_setting_is_an_error_with_a_suggestion():
    with pytest.raises(ConfigError, match="did you mean 'max_step_m'"):
        config.build(GuardConfig, {"max_stepm": 0.01})


def test_an_unknown_robot_is_refused_with_those_known():
    with pytest.raises(ConfigError, match="fr3/conservative"):
        build_guard(GuardConfig(robot="panda"))


def test_presets_put_the_ready_pose_of_the_fr3_strictly_inside_the_joint_box():
    ready = np.array([0.0, -np.pi / 4, 0.0, -3 * np.pi / 4, 0.0, np.pi / 2, np.pi / 4])
    facts = table.fr3_conservative()
    assert ((ready > facts.min_rad) & (ready < facts.max_rad)).all()


@given(st.integers(0, 2**32 - 1))
def test_every_bit_of_a_mask_has_one_name(mask):
    assert len(names(mask)) == mask.bit_count()


def test_the_conservative_ur5e_box_lies_inside_the_published_one():
    assert (table.UR5E_CONSERVATIVE_MAX_RAD <= table.UR5E_MAX_RAD).all()
    assert (table.UR5E_CONSERVATIVE_MAX_RAD_S < table.UR5E_MAX_RAD_S).all()


def test_accelerations_and_jerks_are_the_published_ones_and_where_there_are_none_slower_than_any():
    assert set(table.fr3_conservative().max_rad_s2) == {10.0}
    assert set(table.fr3_conservative().max_rad_s3) == {5000.0}
    assert table.ur5e_published().max_rad_s2.max() <= 1.4


@pytest.mark.parametrize("robot", ["fr3", "ur5e"])
def test_the_motion_of_a_real_arm_stays_within_the_share_of_its_published_accelerations_and_jerks(robot):
    preset = PRESETS[robot]()
    facts = table.FACTS[robot, preset.joint_box]()
    joints = shaper_config(preset).joints
    assert (joints.max_rad_s2 <= preset.joint_acceleration_scale * facts.max_rad_s2).all()
    assert (joints.max_rad_s3 <= preset.joint_jerk_scale * facts.max_rad_s3).all()
    assert preset.joint_acceleration_scale <= (0.3 if robot == "fr3" else 1.0)


def test_no_preset_of_a_simulated_arm_shapes_motion_or_has_checks_it_was_not_trained_with():
    guard = build_guard(PRESETS["twin"]())
    assert not guard.is_shaped
    assert len(limits(PRESETS["twin"]())) == 6
    assert not build_guard(replace(PRESETS["fr3"](), lockstep=True)).is_shaped


def test_what_goes_on_the_wire_is_whole_in_32_bits_and_every_detail_has_a_name():
    assert int(WIRE) == 2**32 - 1
    assert all(names(reason) for reason in Reason)
    assert names(Reason.FORCE_SPIKE) == ("force spike",)


def test_reasons_fit_the_wire_and_keep_their_numbers():
    assert Reason.HEARTBEAT == 2**31
    assert [
        int(r) for r in (Reason.NOT_FINITE, Reason.WORKSPACE, Reason.STALE_COMMAND, Reason.HOLD, Reason.LATCHED)
    ] == [
        1,
        2,
        128,
        16384,
        65536,
    ]
    assert names(Reason.WORKSPACE | Reason.STALE_STATE) == ("workspace", "arm state too old")
