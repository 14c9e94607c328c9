"""Who commands, by which clock, through which camera, on what machine; and the preflight as a whole."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_facts import ARM, DRIVER, a_graph, a_machine, a_stream, a_wanted

from o2o_robot.errors import ConfigError
from o2o_robot.preflight import cameras, clocks, commands, machine
from o2o_robot.preflight.examine import examine
from o2o_robot.preflight.facts import Endpoint, Facts, NodeParameters, Picture, Stream
from o2o_robot.preflight.finding import Finding, Level, exit_code
from o2o_robot.preflight.machine_facts import machine_facts, segment_bytes
from o2o_robot.preflight.wanted import guard_from_file, guard_from_parameters, wanted
from o2o_robot.safety.guard_config import PRESETS

SCENES = {name: np.random.default_rng(i).integers(0, 255, (64, 64, 3)) for i, name in enumerate(("wrist", "front"))}
KEPT = {name: cameras.thumbnail(image) for name, image in SCENES.items()}


def a_picture(camera: str, seen: str) -> Picture:
    return Picture(camera, 64, 64, "rgb8", 64 * 64 * 3, KEPT[seen])


# --- commands
@pytest.mark.parametrize(
    ("publishers", "level"),
    [
        ((ARM,), Level.GREEN),
        ((Endpoint("/left/arm_node", True),), Level.GREEN),
        ((), Level.RED),
        ((ARM, Endpoint("/rogue", True)), Level.RED),
        ((Endpoint("/rogue", True),), Level.RED),
        ((ARM, Endpoint("/other/arm_node", True)), Level.RED),
    ],
)
def test_only_one_arm_node_alone_may_command(publishers, level):
    found = commands.one_commander(Stream("target_pose", publishers=publishers))
    assert found.level is level
    assert ("/rogue" in found.remedy) is any(p.node == "/rogue" for p in publishers)


def test_commands_that_nobody_hears_are_red():
    assert commands.command_is_heard(Stream("target_pose", subscribers=(DRIVER,))).level is Level.GREEN
    assert commands.command_is_heard(Stream("target_pose")).level is Level.RED


@pytest.mark.parametrize("name", ["auto_arm", "lockstep"])
def test_a_guard_that_arms_itself_is_red_before_a_real_arm_and_green_before_the_twin(name):
    graph = a_graph(nodes=(NodeParameters("/arm_node", {name: True}),))
    assert commands.arms_itself(graph, "fr3").level is Level.RED
    assert commands.arms_itself(graph, "twin").level is Level.GREEN
    assert commands.arms_itself(a_graph(nodes=()), "fr3").level is Level.UNKNOWN


@pytest.mark.parametrize(("value", "level"), [(0.0, Level.YELLOW), (0.2, Level.GREEN)])
def test_a_controller_whose_commands_never_expire_is_yellow(value, level):
    (found,) = commands.commands_expire(a_graph(nodes=(NodeParameters("/jtc", {"cmd_timeout": value}),)))
    assert found.level is level


@pytest.mark.parametrize(("value", "level"), [(False, Level.YELLOW), (True, Level.GREEN)])
def test_a_limiter_that_is_off_is_yellow(value, level):
    node = NodeParameters("/controller_manager", {"enforce_command_limits": value})
    (found,) = commands.limits_are_enforced(a_graph(nodes=(node,)))
    assert found.level is level


# --- clocks
@pytest.mark.parametrize("has_clock", [False, True])
@pytest.mark.parametrize("told", [[False, False], [True, True], [True, False]])
def test_all_nodes_must_follow_the_clock_that_is_there(has_clock, told):
    nodes = tuple(NodeParameters(f"/n{i}", {"use_sim_time": value}) for i, value in enumerate(told))
    found = clocks.same_clock(a_graph(nodes=nodes, has_clock=has_clock))
    assert (found.level is Level.GREEN) is all(value is has_clock for value in told)


def test_who_is_the_clock_need_not_follow_it():
    nodes = (NodeParameters("/twin_node", {"use_sim_time": False}), NodeParameters("/a", {"use_sim_time": True}))
    assert clocks.same_clock(a_graph(nodes=nodes, has_clock=True)).level is Level.GREEN


def test_a_simulated_clock_beside_a_real_arm_is_red():
    assert clocks.clock_of_the_robot(a_graph(has_clock=True), "fr3").level is Level.RED
    assert clocks.clock_of_the_robot(a_graph(has_clock=False), "fr3").level is Level.GREEN
    assert clocks.clock_of_the_robot(a_graph(has_clock=True, clock_rate=0.5), "twin").level is Level.YELLOW


# --- cameras
def test_cameras_that_changed_places_are_red_and_named():
    swapped = cameras.resemblance(a_picture("wrist", "front"), KEPT, "wrist")
    assert swapped.level is Level.RED
    assert "front" in swapped.remedy
    assert cameras.resemblance(a_picture("wrist", "wrist"), KEPT, "wrist").level is Level.GREEN


def test_a_picture_keeps_its_likeness_when_it_gets_darker():
    dark = Picture("wrist", 64, 64, "rgb8", 1, cameras.thumbnail(SCENES["wrist"] * 0.4 + 20))
    assert cameras.resemblance(dark, KEPT, "wrist").level is Level.GREEN


def test_a_covered_lens_does_not_look_as_it_did():
    black = Picture("wrist", 64, 64, "rgb8", 1, cameras.thumbnail(np.zeros((64, 64, 3))))
    assert cameras.resemblance(black, KEPT, "wrist").level is Level.YELLOW


def test_an_encoding_nobody_reads_and_a_foreign_frame_are_seen():
    assert cameras.picture(replace(a_picture("wrist", "wrist"), encoding="16UC1"), "wrist").level is Level.RED
    stream = a_stream("wrist/color/image_raw")
    assert cameras.frame(replace(stream, frame_id="front_color_optical_frame"), "wrist").level is Level.YELLOW
    assert cameras.frame(replace(stream, frame_id="wrist_color_optical_frame"), "wrist").level is Level.GREEN


@pytest.mark.parametrize(("focal", "level"), [({}, Level.UNKNOWN), ({"wrist": 0.0}, Level.YELLOW)])
def test_a_camera_without_a_calibration_is_not_green(focal, level):
    assert cameras.intrinsics(a_graph(focal_px=focal), "wrist").level is level


def test_references_come_back_as_they_were_kept(tmp_path):
    cameras.write_references(tmp_path / "r.json", [a_picture(name, name) for name in KEPT])
    assert cameras.read_references(tmp_path / "r.json") == KEPT
    (tmp_path / "bad.json").write_text('{"wrist": ["x"]}')
    with pytest.raises(ConfigError):
        cameras.read_references(tmp_path / "bad.json")


# --- the machine
@pytest.mark.parametrize(("free", "level"), [(1e9, Level.RED), (10e9, Level.YELLOW), (100e9, Level.GREEN)])
def test_a_full_disk_is_red(free, level):
    assert machine.disk(replace(a_machine(), free_bytes=int(free)), 1e6).level is level


def test_a_disk_that_is_full_within_the_hour_is_yellow_however_large():
    assert machine.disk(replace(a_machine(), free_bytes=int(100e9)), 50e6).level is Level.YELLOW


@pytest.mark.parametrize(("speed", "level"), [(None, Level.RED), (5e6, Level.RED), (15e6, Level.YELLOW)])
def test_a_disk_slower_than_the_images_is_red(speed, level):
    assert machine.write_speed(replace(a_machine(), write_bytes_s=speed), 10e6).level is level


def test_an_image_that_does_not_fit_into_shared_memory_twice_is_yellow_until_a_profile_enlarges_it(tmp_path):
    profile = tmp_path / "fastdds.xml"
    profile.write_text("<dds><transport_descriptor><segment_size>16777216</segment_size></transport_descriptor></dds>")
    vga = 640 * 480 * 3
    assert machine.shared_memory(a_machine(), vga).level is Level.YELLOW
    enlarged = replace(a_machine(), profile=str(profile), profile_segment_bytes=segment_bytes(str(profile)))
    assert machine.shared_memory(enlarged, vga).level is Level.GREEN
    assert segment_bytes(str(tmp_path / "none.xml")) is None


def test_what_a_machine_does_not_tell_is_unknown_and_never_good():
    told = [machine.governor, machine.room_in_shm, machine.time_sync, lambda m: machine.socket_buffer(m, 0)]
    assert {check(a_machine()).level for check in told} == {Level.UNKNOWN}


def test_this_machine_tells_its_disk_and_leaves_nothing_behind(tmp_path):
    found = machine_facts(tmp_path / "not" / "yet", environment={})
    assert found.free_bytes > 0
    assert found.write_bytes_s is not None
    assert list(tmp_path.iterdir()) == []


# --- settings
def test_a_parameter_file_without_a_guard_is_named_in_one_line(tmp_path):
    path = tmp_path / "fr3.yaml"
    for text in ("", "[]", "/**/arm_node: 3", "{", "/**/arm_node: {ros__parameters: {guard: {max_stepm: 1}}}"):
        path.write_text(text)
        with pytest.raises(ConfigError):
            guard_from_file("fr3", path)


def test_the_guard_that_runs_counts_and_not_its_preset():
    told = {"limits": "fr3", "guard.max_step_m": 0.001, "guard.a_later_setting": 1, "use_sim_time": True}
    assert guard_from_parameters("fr3", told) == replace(PRESETS["fr3"](), max_step_m=0.001)


def test_a_robot_nobody_knows_is_refused():
    with pytest.raises(ConfigError, match="no robot 'panda'"):
        wanted("panda", cameras=(), guard=PRESETS["fr3"](), state_hz=1, camera_hz=1)


# --- the whole
def judged(graph, robot="fr3") -> list[Finding]:
    return [f for _, findings in examine(Facts(graph, a_machine()), a_wanted(robot)) for f in findings]


def test_a_robot_that_is_as_it_should_be_has_no_red_and_no_yellow_line():
    assert {f.level for f in judged(a_graph())} <= {Level.GREEN, Level.UNKNOWN}


def test_without_a_graph_the_exit_code_is_1_and_the_machine_is_still_looked_at():
    found = judged(None)
    assert exit_code(found) == 1
    assert [f.what for f in found if f.level is Level.RED] == ["ROS graph"]
    assert any(f.what == "disk" for f in found)


@pytest.mark.parametrize(
    "graph", [a_graph(streams=()), a_graph(command=Stream("target_pose")), a_graph(joint_names=("x",))]
)
def test_what_is_missing_turns_the_exit_code(graph):
    assert exit_code(judged(graph)) == 1


def test_every_line_that_is_red_or_yellow_says_what_to_do_in_one_sentence():
    for graph in (None, a_graph(streams=()), a_graph(has_clock=True), a_graph(command=Stream("target_pose"))):
        for finding in judged(graph):
            assert bool(finding.remedy) or finding.level in (Level.GREEN, Level.UNKNOWN), finding
            assert finding.level is not Level.GREEN or not finding.remedy


def test_lockstep_has_no_rates():
    nodes = (NodeParameters("/arm_node", {"lockstep": True}),)
    assert not any(
        f.what.endswith((": rate", "silence", "delivered", "gaps")) for f in judged(a_graph(nodes=nodes), "twin")
    )


@pytest.mark.parametrize(("level", "code", "strict"), [(1, 0, 0), (2, 0, 1), (3, 1, 1)])
def test_yellow_turns_the_exit_code_only_when_strict(level, code, strict):
    findings = [Finding(Level.GREEN, "a", ""), Finding(Level(level), "b", "")]
    assert (exit_code(findings), exit_code(findings, strict=True)) == (code, strict)
