import pytest

from o2o_robot.config import changed
from o2o_robot.errors import ConfigError
from o2o_robot.safety.guard_config import PRESETS, build_guard
from o2o_robot.safety.profiles import LOWER, PROFILES, UPPER, looser, profiled, warmup

NESTED = [("warmup", "online"), ("online", ""), ("warmup", ""), ("eval", ""), ("teleop", "")]


@pytest.mark.parametrize("robot", sorted(PRESETS))
@pytest.mark.parametrize(("inner", "outer"), NESTED)
def test_warmup_is_inside_online_is_inside_the_preset_in_every_setting(robot, inner, outer):
    preset = PRESETS[robot]()
    assert looser(profiled(preset, inner), profiled(preset, outer)) == ()


@pytest.mark.parametrize("robot", sorted(PRESETS))
@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_every_profile_of_every_robot_builds_and_changes_only_what_nesting_is_checked_for(robot, profile):
    preset = PRESETS[robot]()
    build_guard(profiled(preset, profile))
    assert set(changed(preset, profiled(preset, profile))) <= {*UPPER, *LOWER}


def test_warmup_is_tighter_than_every_other_profile():
    preset = PRESETS["fr3"]()
    for other in ("online", "eval", "teleop", ""):
        assert looser(profiled(preset, other), warmup(preset)), other


def test_a_check_that_is_off_is_looser_than_one_that_is_on():
    preset = PRESETS["fr3"]()
    off = profiled(PRESETS["twin"](), "")
    assert "max_force_rise_n" in looser(off, preset)
    assert "max_recoveries" in looser(off, preset)


def test_no_profile_is_the_preset_itself_and_an_unknown_one_is_refused_with_those_known():
    preset = PRESETS["twin"]()
    assert profiled(preset, "") is preset
    with pytest.raises(ConfigError, match="warmup"):
        profiled(preset, "warm-up")
