"""A suggested contract loads as it was meant, names what a person would have named, and ingests its recording."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ros_bags import joy, make, pose_stamped
from twin_bags import STORE, header, image, joint_state, make_episode, write_bag, write_twin_bag

from o2o_robot.apps.ingest import main
from o2o_robot.data.bag import Bag, find_bags
from o2o_robot.data.contract import Contract, Split, load_contract, resolve
from o2o_robot.data.store import EpisodeStore
from o2o_robot.data.suggest.suggest import suggest, suggestion
from o2o_robot.errors import DataError
from o2o_robot.types import Episode

DATA = Path(__file__).parents[3] / "shared" / "data"
G1, ATS = DATA / "g1-bags", DATA / "ats-rosbags"
S = 10**9
JOINTS, IMAGE = "sensor_msgs/msg/JointState", "sensor_msgs/msg/Image"
NAMES = ["shoulder", "elbow", "finger_joint"]
WRENCH, FORCE = "geometry_msgs/msg/WrenchStamped", "geometry_msgs/msg/Vector3"


def suggested(path: Path, tmp_path: Path) -> Contract:
    """The contract, once its text was read again: both must be one."""
    text = tmp_path / "suggested.yaml"
    text.write_text(suggest(Bag.open(path)))
    assert load_contract(str(text)) == suggestion(Bag.open(path)).contract
    return load_contract(str(text))


def ingested(path: Path, tmp_path: Path) -> list[Episode]:
    suggested(path, tmp_path)
    assert main([path], out=tmp_path / "store", contract=str(tmp_path / "suggested.yaml"), outcome="success") == 0
    with EpisodeStore.open(tmp_path / "store") as store:
        return list(store.episodes())


def motion(t_s: float) -> list[float]:
    return [np.sin(2 * t_s), np.cos(3 * t_s), 0.02 + 0.01 * np.sin(t_s)]


def frame(t_ns: int) -> object:
    return image(np.full((16, 24, 3), t_ns // 10**8 % 250, np.uint8), t_ns)


def jpeg(t_ns: int) -> object:
    import cv2

    data = cv2.imencode(".jpg", np.full((16, 24, 3), t_ns // 10**8 % 250, np.uint8))[1]
    return STORE.types["sensor_msgs/msg/CompressedImage"](header=header(t_ns), format="jpeg", data=data)


def stream(topic: str, kind: str, hz: float, made, *, seconds: float = 4.0, start_s: float = 1.0) -> list:
    stamps = [int((start_s + i / hz) * S) for i in range(int(seconds * hz))]
    return [(topic, kind, t, made(t)) for t in stamps]


def joints(topic: str, *, ahead_s: float = 0.0, names: list[str] = NAMES, **more) -> list:
    return stream(topic, JOINTS, 50.0, lambda t: joint_state(t, names, motion(t / S + ahead_s), motion(t / S)), **more)


def bag(tmp_path: Path, *streams: list) -> Path:
    messages = sorted((message for each in streams for message in each), key=lambda each: each[2])
    return write_bag(tmp_path / "demo.mcap", messages)


def camera(topic: str = "/wrist/color/image_raw", hz: float = 10.0, **more) -> list:
    return stream(topic, IMAGE, hz, frame, **more)


def test_cameras_joints_and_commands_are_told_apart_by_their_names(tmp_path):
    path = bag(tmp_path, camera(), camera("/front/image_raw", 15.0), joints("/joint_states"), joints("/joint_command"))
    found = suggested(path, tmp_path)
    assert {name: each.topic for name, each in found.images.items()} == {
        "wrist": "/wrist/color/image_raw",
        "front": "/front/image_raw",
    }
    assert found.rate_hz == 10.0
    assert found.state["q_rad"].joints == ("shoulder", "elbow")
    assert found.state["dq_rad"].field == "velocity"
    assert found.state["gripper"].joints == ("finger_joint",)
    assert (found.action.topic, found.action.kind, found.action.joints) == ("/joint_command", "command", tuple(NAMES))
    (episode,) = ingested(path, tmp_path)
    assert len(episode) >= 38


@pytest.mark.parametrize("leader", ["/a", "/b"])
def test_of_two_joint_topics_with_names_that_say_nothing_the_one_that_leads_is_the_command(tmp_path, leader):
    follower = {"/a": "/b", "/b": "/a"}[leader]
    path = bag(tmp_path, joints(follower, seconds=8), joints(leader, ahead_s=0.3, seconds=8))
    found = suggested(path, tmp_path)
    assert (found.action.topic, found.state["q_rad"].topic) == (leader, follower)


def test_of_an_image_and_its_compressed_form_the_compressed_one_is_taken(tmp_path):
    compressed = stream("/cam/image_raw/compressed", "sensor_msgs/msg/CompressedImage", 10.0, jpeg)
    path = bag(tmp_path, camera("/cam/image_raw"), compressed, joints("/joint_states"))
    assert [each.topic for each in suggested(path, tmp_path).images.values()] == ["/cam/image_raw/compressed"]


def test_without_a_command_the_motion_of_the_joints_is_the_action(tmp_path):
    path = bag(tmp_path, camera(), joints("/joint_states"))
    found = suggested(path, tmp_path)
    assert (found.action.kind, found.action.topic) == ("delta_joint", "/joint_states")
    assert found.action.joints == ("shoulder", "elbow")
    (episode,) = ingested(path, tmp_path)
    assert np.ptp(episode.action, axis=0).min() > 0.5
    assert "the motion of the joints themselves" in suggest(Bag.open(path))


def test_without_joints_the_motion_of_the_tool_is_the_action(tmp_path):
    poses = stream(
        "/tool_pose", "geometry_msgs/msg/PoseStamped", 50.0, lambda t: pose_stamped(t, motion(t / S), (0, 0, 0, 1))
    )
    path = bag(tmp_path, camera(), poses)
    found = suggested(path, tmp_path)
    assert found.action.kind == "delta_pose"
    assert {name: each.field for name, each in found.state.items()} == {
        "tool_position_m": "pose.position",
        "tool_quat_xyzw": "pose.orientation",
    }
    (episode,) = ingested(path, tmp_path)
    assert episode.action.shape[1] == 6


def test_a_wrench_is_state_and_a_target_pose_the_action(tmp_path):
    target = stream(
        "/target_pose", "geometry_msgs/msg/PoseStamped", 50.0, lambda t: pose_stamped(t, motion(t / S), (0, 0, 0, 1))
    )
    part = {axis: 1.0 for axis in "xyz"}
    wrench = make("geometry_msgs/msg/Wrench", force=make(FORCE, **part), torque=make(FORCE, **part))
    wrenches = stream("/external_wrench", WRENCH, 100.0, lambda t: make(WRENCH, header=header(t), wrench=wrench))
    path = bag(tmp_path, camera(), joints("/joint_states"), target, wrenches)
    found = suggested(path, tmp_path)
    assert (found.action.topic, found.action.field) == ("/target_pose", "pose")
    (episode,) = ingested(path, tmp_path)
    assert episode.state["wrench"].shape[1] == 6
    assert episode.action.shape[1] == 7


def test_joints_without_names_are_taken_by_position_and_that_is_said(tmp_path):
    sometimes = stream("/joint_states", JOINTS, 10.0, lambda t: joint_state(t + 1, [], motion(t / S)))
    path = bag(tmp_path, camera(), joints("/joint_states"), sometimes)
    assert suggested(path, tmp_path).state["q_rad"].joints == ()
    path = bag(tmp_path, camera(), joints("/joint_states", names=[]))
    assert suggested(path, tmp_path).state["q_rad"].joints == ()
    assert "by position" in suggest(Bag.open(path))


def test_of_two_drivers_on_one_topic_the_one_that_speaks_more_is_taken(tmp_path):
    gripper = stream("/joint_states", JOINTS, 10.0, lambda t: joint_state(t + 1, ["finger"], [0.01]))
    path = bag(tmp_path, camera(), joints("/joint_states"), gripper)
    assert suggested(path, tmp_path).state["q_rad"].joints == ("shoulder", "elbow")
    assert "1 other sets of joints come on this topic and are passed over" in suggest(Bag.open(path))
    (episode,) = ingested(path, tmp_path)
    assert episode.state["q_rad"].shape[1] == 2


def test_a_seldom_state_gets_a_tolerance_of_its_own(tmp_path):
    slow = stream("/joint_states", JOINTS, 4.0, lambda t: joint_state(t, NAMES, motion(t / S)))
    found = suggested(bag(tmp_path, camera(), slow), tmp_path)
    assert found.tolerance_s == 0.2
    assert found.state["q_rad"].tolerance_s >= 0.5


def test_signals_of_reward_outcome_and_episode_are_found_by_name(tmp_path):
    def value(topic: str, kind: str, values: list) -> list:
        made = [make(f"std_msgs/msg/{kind}", data=each) for each in values]
        return [(topic, f"std_msgs/msg/{kind}", int((1 + i) * S), message) for i, message in enumerate(made)]

    path = bag(
        tmp_path, camera(), joints("/joint_states"), value("/reward", "Float32", [0.0, 1.0, 0.5]),
        value("/task/success", "Bool", [False, True]), value("/episode/active", "Bool", [True, False]),
    )  # fmt: skip
    found = suggested(path, tmp_path)
    assert found.reward_stream is not None
    assert found.outcome is not None
    assert (found.reward_stream.topic, found.outcome.topic) == ("/reward", "/task/success")
    assert found.split == Split("topic", "/episode/active")


def test_a_long_silence_of_the_camera_splits_the_recording(tmp_path):
    halves = [
        stream_
        for start_s in (1.0, 60.0)
        for stream_ in (camera(start_s=start_s), joints("/joint_states", start_s=start_s))
    ]
    path = bag(tmp_path, *halves)
    assert suggested(path, tmp_path).split.by == "gap"
    assert len(ingested(path, tmp_path)) == 2


def test_a_recording_of_the_graph_itself_is_read_by_its_executed_actions(tmp_path):
    path = write_twin_bag(tmp_path / "episode_3.mcap", make_episode(3, n_steps=20))
    found = suggested(path, tmp_path)
    assert (found.action.kind, found.reward, found.episode) == ("executed", "/task_state", "/episode")
    (episode,) = ingested(path, tmp_path)
    np.testing.assert_array_equal(episode.action, make_episode(3, n_steps=20).action)


def test_topics_that_are_not_used_are_listed_each_on_its_line(tmp_path):
    presses = stream("/joy\n- evil: yes", "sensor_msgs/msg/Joy", 10.0, lambda t: joy(t, [0]))
    text = suggest(Bag.open(bag(tmp_path, camera(), joints("/joint_states"), presses)))
    assert "#   /joy - evil: yes: 40" in text.splitlines()


def test_a_recording_without_a_state_is_not_described_out_of_nothing(tmp_path):
    with pytest.raises(DataError, match="no state; write the contract by hand"):
        suggest(Bag.open(bag(tmp_path, camera())))
    with pytest.raises(DataError, match="none of its 1 topics"):
        suggest(Bag.open(bag(tmp_path, stream("/joy", "sensor_msgs/msg/Joy", 10.0, lambda t: joy(t, [0])))))


@pytest.mark.skipif(not G1.is_dir(), reason=f"no recordings under {G1}")
def test_the_suggestion_for_a_real_humanoid_is_the_contract_a_person_wrote(tmp_path):
    path = G1 / "g1_bottle_ep2"
    found, written = suggested(path, tmp_path), load_contract("g1")
    topics = Bag.open(path).topics()
    names = resolve(written, topics)
    assert found.rate_hz == written.rate_hz
    assert {name: each.topic for name, each in found.images.items()} == {
        name: names[each.topic] for name, each in written.images.items()
    }
    assert found.state["q_rad"].topic == names[written.state["q_rad"].topic]
    assert (found.action.topic, found.action.kind) == (names[written.action.topic], "command")
    (episode,) = ingested(path, tmp_path)
    assert (len(episode.stamp_ns), episode.action.shape[1]) == (343, 26)


@pytest.mark.skipif(not ATS.is_dir(), reason=f"no recordings under {ATS}")
@pytest.mark.parametrize("number", [0, 1])
def test_the_suggestion_for_a_real_drone_arm_ingests_most_of_it(tmp_path, number):
    path = find_bags([ATS])[number]
    assert suggested(path, tmp_path).action.topic == "/controller/out/servo_positions"
    (episode,) = ingested(path, tmp_path)
    n_states = [481, 2387][number]
    assert len(episode.stamp_ns) > 0.7 * n_states
    assert episode.action.shape[1] == 3
