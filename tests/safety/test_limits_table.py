from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from o2o_robot import config
from o2o_robot.errors import ConfigError
from o2o_robot.safety import limits_table as table
from o2o_robot.safety.guard_config import PRESETS, GuardConfig, build_guard
from o2o_robot.safety.reason import Reason, names

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
    loaded = config.build(GuardConfig, settings, where=f"{robot}.yaml")
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


def test_reasons_fit_the_wire_and_keep_their_numbers():
    assert max(Reason) < 2**31
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
