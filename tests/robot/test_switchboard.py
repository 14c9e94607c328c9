"""The controllers of an arm, loaded, configured and switched as by ros2_control's controller_manager."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from o2o_robot.errors import ArmError
from o2o_robot.robot.switchboard import ControllerKind, Stage, Switchboard

EFFORT, POSITION = ("joint1/effort", "joint2/effort"), ("joint1/position", "joint2/position")
KINDS = {
    "impedance": ControllerKind("a/Impedance", EFFORT),
    "trajectory": ControllerKind("b/Trajectory", POSITION),
    "finger": ControllerKind("c/Finger", ("finger/position",)),
    "state_broadcaster": ControllerKind("d/Broadcaster"),
}
NAMES = st.lists(st.sampled_from([*KINDS, "nobody"]), max_size=4)


def board(**stages: Stage) -> Switchboard:
    usual = {"impedance": Stage.ACTIVE, "trajectory": Stage.INACTIVE, "state_broadcaster": Stage.ACTIVE}
    return Switchboard(KINDS, {**usual, **stages})


def test_one_is_stopped_and_another_started_in_one_switch():
    switched = board().switched(["trajectory"], ["impedance"], strict=True)
    assert switched.board.active == ("trajectory", "state_broadcaster")
    assert (switched.stopped, switched.started, switched.message) == (("impedance",), ("trajectory",), "")


@pytest.mark.parametrize("strict", [True, False])
def test_two_never_have_one_joint_whatever_interface_of_it_they_claim(strict):
    with pytest.raises(ArmError, match=r"'trajectory': 'impedance' has joint1; deactivate that in the same switch"):
        board().switched(["trajectory"], [], strict=strict)
    idle = board(impedance=Stage.INACTIVE)
    with pytest.raises(ArmError, match="deactivate that"):
        idle.switched(["trajectory", "impedance"], [], strict=strict)


def test_those_of_other_joints_go_together():
    both = board(finger=Stage.INACTIVE).switched(["finger"], [], strict=True).board
    assert set(both.active) == {"impedance", "finger", "state_broadcaster"}


@pytest.mark.parametrize(
    ("activate", "deactivate", "fault"),
    [
        (["finger"], [], "not loaded"),
        (["impedance"], [], "already active"),
        ([], ["trajectory"], "it is inactive, not active"),
        ([], ["finger"], "not loaded"),
    ],
)
def test_strict_switches_nothing_for_one_fault(activate, deactivate, fault):
    with pytest.raises(ArmError, match=fault):
        board().switched(activate, deactivate, strict=True)


def test_best_effort_leaves_the_faulty_out_and_says_which():
    switched = board().switched(["trajectory", "finger"], ["impedance", "trajectory"], strict=False)
    assert switched.board.active == ("trajectory", "state_broadcaster")
    assert "'finger'" in switched.message
    assert "'trajectory': it is inactive" in switched.message


def test_best_effort_refuses_where_none_of_those_named_is_loaded():
    with pytest.raises(ArmError, match="'finger'"):
        board().switched(["finger"], ["impedance"], strict=False)


def test_what_is_already_so_is_no_fault_of_best_effort():
    switched = board().switched(["impedance"], [], strict=False)
    assert switched.board.active == board().active
    assert switched.started == ()


def test_one_named_in_both_lists_is_restarted():
    switched = board().switched(["impedance"], ["impedance"], strict=True)
    assert (switched.stopped, switched.started) == (("impedance",), ("impedance",))


def test_an_unconfigured_controller_is_not_started_until_it_was_configured():
    loaded = board().loaded("finger")
    with pytest.raises(ArmError, match="unconfigured; configure it first"):
        loaded.switched(["finger"], [], strict=True)
    assert "finger" in loaded.configured("finger").switched(["finger"], [], strict=True).board.active


@pytest.mark.parametrize("change", [Switchboard.unloaded, Switchboard.configured, Switchboard.cleaned_up])
def test_an_active_controller_is_neither_unloaded_nor_configured(change):
    with pytest.raises(ArmError, match="it is active; deactivate it first"):
        change(board(), "impedance")
    with pytest.raises(ArmError, match="not loaded"):
        change(board(), "finger")


def test_loading_is_of_what_there_is_and_once():
    with pytest.raises(ArmError, match=r"no controller 'gravity'.*impedance, trajectory"):
        board().loaded("gravity")
    with pytest.raises(ArmError, match="loaded already"):
        board().loaded("impedance")
    assert "trajectory" not in board().unloaded("trajectory").stages
    assert board().unloaded("trajectory").loaded("trajectory").stages["trajectory"] is Stage.UNCONFIGURED


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(NAMES, NAMES, st.booleans()), max_size=6))
def test_whatever_is_asked_no_joint_ever_has_two_masters_and_a_refusal_changes_nothing(asked):
    now = board(finger=Stage.INACTIVE)
    for activate, deactivate, strict in asked:
        before = dict(now.stages)
        try:
            switched = now.switched(activate, deactivate, strict=strict)
        except ArmError:
            assert dict(now.stages) == before
            continue
        now = switched.board
        joints = [claim.split("/")[0] for name in now.active for claim in set(KINDS[name].claims)]
        assert len(joints) == len(set(joints))
        assert set(switched.started) <= set(now.active)
        assert not (set(switched.stopped) - set(switched.started)) & set(now.active)
