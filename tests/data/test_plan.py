"""What becomes of a recording whose streams are at fault, and what says how its episodes went."""

from __future__ import annotations

import errno
import os
from typing import Any

import numpy as np
import pytest
from memory_bags import MS, Sent, camera, contract, joints, load, message, plain
from twin_bags import joint_state, make_episode, write_twin_bag

from o2o_robot.data.action_range import ActionRange
from o2o_robot.data.bag import Bag
from o2o_robot.data.contract import (
    ActionStream,
    Contract,
    Faults,
    ImageStream,
    OutcomeStream,
    RewardStream,
    Split,
    StateField,
    load_contract,
    resolve,
)
from o2o_robot.data.episode import arrays
from o2o_robot.data.ingest import pixel_rows
from o2o_robot.data.ingest.assemble import Assembled, Label, assemble, command_values
from o2o_robot.data.ingest.streams import Recording
from o2o_robot.errors import DataError, StoreError
from o2o_robot.types import Outcome

T0 = 10**15
PERIOD = 100 * MS
RANGE = ActionRange(np.array([-1000.0, -1000.0]), np.array([1000.0, 1000.0]))


def stamps(n: int, period_ns: int = PERIOD, start_ns: int = T0) -> list[int]:
    return [start_ns + i * period_ns for i in range(n)]


def teleop(stamped: list[int], receipts: list[int] | None = None) -> list[Sent]:
    """One frame, state and command at each of these stamps."""
    made = camera(stamped, receipts, order=0) + joints(stamped, receipts, order=1)
    return made + joints(stamped, receipts, topic="/command", order=2)


def assembled(sent: list[Sent], what: Contract, label: Label | None = None, **settings: Any) -> Assembled:
    names = {topic: f"/{topic}" for topic in what.topics}
    return assemble(load(sent, names.values()), what, names, label or Label("a"), RANGE, **settings)


def counts(sent: list[Sent], what: Contract) -> dict[str, dict[str, Any]]:
    names = {topic: f"/{topic}" for topic in what.topics}
    recording = load(sent, names.values())
    assemble(recording, what, names, Label("a"), RANGE)
    return recording.counts()


def ticks(made: Assembled) -> list[list[int]]:
    """Each episode's ticks, in periods."""
    return [((episode.stamp_ns - T0) // PERIOD).tolist() for episode in made.episodes]


def test_a_stream_has_its_own_tolerance_where_it_asks_for_one():
    sent = camera(stamps(10)) + joints(stamps(4, 3 * PERIOD)) + joints(stamps(10), topic="/command")
    with pytest.raises(DataError, match="every stream within"):
        assembled(sent, contract(tolerance_s=0.05, max_gap_periods=2.0))
    wide = contract(tolerance_s=0.05, max_gap_periods=2.0, state={"q_rad": StateField("state", tolerance_s=0.2)})
    (episode,) = assembled(sent, wide).episodes
    assert episode.state["q_rad"][:, 0].tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3]


@pytest.mark.parametrize("leap", [-3_600_000 * MS, 5000 * MS])
def test_a_clock_that_leaps_cuts_there_and_what_follows_goes_on_in_the_new_time(leap):
    stamped = [*stamps(8), *stamps(12, start_ns=T0 + 8 * PERIOD + leap)]
    made = assembled(teleop(stamped, stamps(20)), contract(faults=Faults(pieces="all")))
    assert [len(episode) + 1 for episode in made.episodes] == [8, 12]
    assert [episode.meta["id"] for episode in made.episodes] == ["a", "a.1"]
    assert np.concatenate([e.images["cam"][:, 0, 0, 0] for e in made.episodes]).tolist() == list(range(20))
    assert {(fault.topic, fault.kind, fault.message, fault.done) for fault in made.faults} == {
        (topic, "clock_jump", 8, "cut") for topic in ("/cam", "/state", "/command")
    }


def test_of_a_recording_cut_by_a_clock_the_longest_piece_stays_and_the_rest_is_cut_by_a_fault():
    stamped = [*stamps(8), *stamps(12, start_ns=T0 - 10**12)]
    made = assembled(teleop(stamped, stamps(20)), contract())
    assert [len(episode) + 1 for episode in made.episodes] == [12]
    count = counts(teleop(stamped, stamps(20)), contract())["/cam"]
    assert (count["used"], count["dropped"]) == (12, {"cut_by_fault": 8})


def test_a_recording_whose_clock_leaps_is_rejected_where_the_contract_says_so():
    stamped = [*stamps(8), *stamps(12, start_ns=T0 - 10**12)]
    with pytest.raises(DataError, match=r"rejected by clock jump of /cam.*-1000"):
        assembled(teleop(stamped, stamps(20)), contract(faults=Faults(clock_jump="reject")))


def test_one_stamp_from_another_clock_is_passed_over_and_costs_nothing_else():
    stamped = stamps(20)
    stamped[7] += 10**14
    sent = camera(stamped, stamps(20)) + joints(stamps(20)) + joints(stamps(20), topic="/command")
    made = assembled(sent, contract())
    assert ticks(made) == [[*range(7), *range(8, 20)]]
    assert counts(sent, contract())["/cam"]["dropped"] == {"outlier_stamp": 1}


FROZEN = [*range(10), *[10] * 15, *range(25, 35)]


@pytest.mark.parametrize("rule", ["keep", "cut", "reject"])
def test_a_camera_that_repeats_its_pixels_is_said_and_dealt_with_as_the_contract_says(rule):
    stamped = stamps(35)
    sent = camera(stamped, numbers=FROZEN) + joints(stamped) + joints(stamped, topic="/command")
    what = contract(faults=Faults(frozen=rule, pieces="all"))
    if rule == "reject":
        with pytest.raises(DataError, match=r"rejected by frozen of /cam: the same pixels for 1.400 s, 15 messages"):
            assembled(sent, what)
        return
    made = assembled(sent, what)
    assert ticks(made) == ([list(range(35))] if rule == "keep" else [list(range(11)), list(range(25, 35))])
    (fault,) = made.faults
    assert (fault.kind, fault.topic, fault.message, fault.done) == (
        "frozen",
        "/cam",
        10,
        {"keep": "kept"}.get(rule, rule),
    )
    assert any("/cam: frozen" in note for note in made.notes)
    if rule == "cut":
        assert counts(sent, what)["/cam"]["dropped"] == {"cut_by_fault": 14}


def test_a_command_that_is_held_and_an_arm_whose_encoders_flicker_are_not_frozen():
    stamped = stamps(40)
    flicker = [5 + 1e-6 * (i % 2) for i in range(40)]
    made = assembled(
        camera(stamped) + joints(stamped, values=flicker) + joints(stamped, topic="/command", values=[1.0] * 40),
        contract(),
    )
    assert made.faults == []


@pytest.mark.parametrize("rule", ["keep", "cut", "reject"])
def test_a_camera_that_changes_its_rate_for_good_is_said_and_dealt_with_as_the_contract_says(rule):
    fast = stamps(120, 33 * MS)
    stamped = [*fast, *stamps(60, 66 * MS, start_ns=fast[-1] + 66 * MS)]
    states = stamps(800, 10 * MS)
    sent = camera(stamped) + joints(states) + joints(states, topic="/command")
    what = contract(faults=Faults(rate_change=rule, pieces="all"))
    if rule == "reject":
        with pytest.raises(
            DataError, match=r"rejected by rate change of /cam: a message each 33.0 ms before, each 66.0"
        ):
            assembled(sent, what)
        return
    made = assembled(sent, what)
    assert len(made.episodes) == (1 if rule == "keep" else 2)
    if rule == "cut":
        assert made.episodes[0].stamp_ns[-1] <= fast[-1] < made.episodes[1].stamp_ns[0]
    assert [(fault.kind, fault.message) for fault in made.faults] == [("rate_change", 119)]


def test_a_gap_rejects_the_recording_where_the_contract_says_so():
    sent = teleop([*stamps(10), *stamps(10, start_ns=T0 + 15 * PERIOD)])
    with pytest.raises(DataError, match=r"rejected by gap of /cam: 0.600 s without every stream"):
        assembled(sent, contract(faults=Faults(gap="reject")))
    kept = assembled(sent, contract(faults=Faults(pieces="all")))
    assert ticks(kept) == [list(range(10)), list(range(15, 25))]
    assert [(fault.kind, fault.message, fault.done) for fault in kept.faults] == [("gap", 9, "cut")]


def said(kind: str, at: list[float], values: list[Any], topic: str) -> list[Sent]:
    return plain(kind, [T0 + int(i * PERIOD) for i in at], values, topic=topic)


def test_episodes_that_a_topic_parts_have_numbered_names_and_each_its_own_outcome():
    inside = said("Bool", [0.5, 9.5, 14.5, 22.5], [True, False, True, False], "/inside")
    done = said("String", [9.1, 12.0, 20.1], ["Success", "failure", "failure"], "/done")
    what = contract(split=Split("topic", "inside"), outcome=OutcomeStream("done"))
    made = assembled(teleop(stamps(30)) + inside + done, what, Label("bag", Outcome.SUCCESS))
    assert ticks(made) == [list(range(1, 10)), list(range(15, 23))]
    assert [episode.meta["id"] for episode in made.episodes] == ["bag.0", "bag.1"]
    assert [episode.meta["outcome"] for episode in made.episodes] == ["success", "failure"]
    assert [bool(episode.terminated[-1]) for episode in made.episodes] == [True, False]
    assert [bool(episode.truncated[-1]) for episode in made.episodes] == [False, True]
    assert [float(episode.reward[-1]) for episode in made.episodes] == [1.0, 0.0]


def test_a_span_without_ticks_is_left_out_and_the_others_keep_their_numbers():
    inside = said("Bool", [0.5, 0.7, 4.5, 12.5], [True, False, True, False], "/inside")
    made = assembled(teleop(stamps(30)) + inside, contract(split=Split("topic", "inside")))
    assert [episode.meta["id"] for episode in made.episodes] == ["a.1"]
    (line,) = made.left_out
    assert line.startswith("episode a.0: only 0 of 0 ticks")


@pytest.mark.parametrize(
    ("value", "outcome"), [("true", "success"), ("false", "failure"), ("perhaps", "incomplete"), (None, "success")]
)
def test_an_outcome_stream_overrides_the_label_and_a_value_it_does_not_know_leaves_it_open(value, outcome):
    sent = teleop(stamps(10)) + said("String", [5], ["false"], "/done") * (value is not None)
    sent += said("String", [9.0], [value or "false"], "/done") if value else said("String", [99], ["x"], "/other")
    sent += said("String", [-50], ["false"], "/done") if value is None else []
    what = contract(outcome=OutcomeStream("done"), split=Split("topic", "inside"))
    sent += said("Bool", [-1, 9.5], [True, False], "/inside")
    (episode,) = assembled(sent, what, Label("a", Outcome.SUCCESS)).episodes
    assert episode.meta["outcome"] == outcome


def test_of_a_cut_episode_only_the_piece_that_reaches_the_end_has_its_outcome():
    sent = teleop([*stamps(10), *stamps(5, start_ns=T0 + 20 * PERIOD)])
    both = assembled(sent, contract(faults=Faults(pieces="all")), Label("a", Outcome.SUCCESS)).episodes
    assert [episode.meta["outcome"] for episode in both] == ["incomplete", "success"]
    assert [episode.meta["termination"] for episode in both] == ["fault", "task"]
    longest = assembled(sent, contract(), Label("a", Outcome.SUCCESS))
    assert longest.episodes[0].reward.sum() == 0
    assert bool(longest.episodes[0].truncated[-1])
    assert any("cut off before the end" in note for note in longest.notes)


def test_a_reward_is_the_latest_number_after_the_tick_and_up_to_the_next():
    at = [0, 1, 1.5, 2, 3.2, 4, 4.5, 7]  # one at the very tick 2 is of the step before, the step after has none
    reward = said("Float64", at, [9.0, 1.0, 8.0, 2.0, 3.0, 4.0, 5.0, 6.0], "/reward")
    what = contract(reward_stream=RewardStream("reward"))
    (episode,) = assembled(teleop(stamps(6)) + reward, what, Label("a", Outcome.SUCCESS)).episodes
    assert episode.reward.tolist() == [1.0, 2.0, 0.0, 4.0, 5.0]
    assert bool(episode.terminated[-1])
    count = counts(teleop(stamps(6)) + reward, what)["/reward"]
    assert (count["used"], count["superseded"], count["dropped"]) == (4, 3, {"outside_episode": 1})


def test_a_reward_field_of_several_numbers_is_refused_with_what_to_write():
    several = [
        message("/reward", "sensor_msgs/msg/JointState", stamp, joint_state(stamp, ["a", "b"], [1.0, 2.0]))
        for stamp in stamps(6)
    ]
    with pytest.raises(DataError, match=r"a reward is one number, its field holds 2; name one"):
        assembled(teleop(stamps(6)) + several, contract(reward_stream=RewardStream("reward", "position")))


def test_motion_stands_for_the_action_where_no_command_was_recorded_and_its_range_can_be_asked_for():
    values = [0.0, 1.0, 3.0, 6.0, 10.0, 15.0]
    what = contract(action=ActionStream("state", "delta_joint"))
    sent = camera(stamps(6)) + joints(stamps(6), values=values)
    (episode,) = assembled(sent, what).episodes
    np.testing.assert_allclose(episode.action[:, 0] * 1000, [1, 2, 3, 4, 5], rtol=1e-5)
    names = {topic: f"/{topic}" for topic in what.topics}
    raw = command_values(load(sent, names.values()), what, names)
    assert raw[:, 0].tolist() == [1, 2, 3, 4, 5]


def test_a_message_too_short_for_its_stamp_is_undecodable_and_the_rest_is_read():
    sent = [each._replace(data=each.data[:9]) if i == 3 else each for i, each in enumerate(camera(stamps(12)))]
    sent += joints(stamps(12)) + joints(stamps(12), topic="/command")
    assert ticks(assembled(sent, contract())) == [[0, 1, 2, *range(4, 12)]]
    assert counts(sent, contract())["/cam"]["dropped"] == {"undecodable": 1}


def test_a_topic_none_of_whose_messages_can_be_read_is_said_at_once():
    what = contract(state={"q_rad": StateField("state", joints=("nobody",))})
    with pytest.raises(DataError, match=r"/state: none of the 12 messages that are needed can be read .*nobody"):
        assembled(teleop(stamps(12)), what)


def test_messages_of_another_publisher_on_the_topic_are_passed_over_for_those_that_have_the_joints():
    arm = joints(stamps(40, 25 * MS))
    hand = [
        message("/state", "sensor_msgs/msg/JointState", at + MS, joint_state(at + MS, ["finger"], [7.0]), 1)
        for at in stamps(40, 25 * MS, start_ns=T0 - 2 * MS)
    ]
    sent = camera(stamps(10)) + arm + hand + joints(stamps(10), topic="/command")
    what = contract(state={"q_rad": StateField("state", joints=("b", "a"))})
    (episode,) = assembled(sent, what).episodes
    assert episode.state["q_rad"][:, 1].tolist() == [float(4 * i) for i in range(10)]


def test_pixels_in_a_scratch_folder_are_the_same_and_leave_no_file_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(pixel_rows, "_IN_MEMORY_BYTES", 0)
    sent = camera(stamps(20, 2 * PERIOD)) + joints(stamps(40)) + joints(stamps(40), topic="/command")
    two = contract(images={"cam": ImageStream("cam", side=8), "small": ImageStream("cam", side=16)}, tolerance_s=0.15)
    in_memory, mapped = assembled(sent, two), assembled(sent, two, scratch=tmp_path)
    assert list(tmp_path.iterdir()) == []
    for name, array in arrays(in_memory.episodes[0]).items():
        np.testing.assert_array_equal(arrays(mapped.episodes[0])[name], array, name)


def test_a_slower_camera_stands_at_several_ticks_as_the_same_frame():
    sent = camera(stamps(20)) + camera(stamps(8, 250 * MS), topic="/slow")
    sent += joints(stamps(20)) + joints(stamps(20), topic="/command")
    slow = ImageStream("slow", side=8, tolerance_s=0.3)
    (episode,) = assembled(sent, contract(images={"cam": ImageStream("cam", side=8), "slow": slow})).episodes
    assert episode.images["slow"][:, 0, 0, 0].tolist() == [int(i * 100 // 250) for i in range(20)]


def test_an_episode_recorded_after_the_clock_was_set_back_is_read_as_well(tmp_path):
    first, second = make_episode(9), make_episode(0)  # the second was recorded after the clock was set back
    bag = Bag.open(write_twin_bag(tmp_path / "a.mcap", first, second))
    what = load_contract("twin")
    names = resolve(what, bag.topics())
    recording = Recording.load(bag, names.values())
    made = assemble(recording, what, names, Label("a"))
    assert [episode.meta["id"] for episode in made.episodes] == ["ep-9", "ep-0"]
    for found, expected in zip(made.episodes, (first, second), strict=True):
        for name, array in arrays(expected).items():
            np.testing.assert_array_equal(arrays(found)[name], array, name)


def test_a_disk_without_room_for_the_pixels_is_said_before_anything_is_decoded(tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pixel_rows, "_IN_MEMORY_BYTES", 0)
    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with pytest.raises(StoreError, match="no room for 0 MiB of pictures"):
        assembled(teleop(stamps(5)), contract(), scratch=tmp_path)


def test_an_episode_in_which_the_recorders_clock_was_set_is_left_out_for_that_reason(tmp_path):
    episode = make_episode(2000, n_steps=12)
    episode.stamp_ns[6:] -= 10**12
    bag = Bag.open(write_twin_bag(tmp_path / "a.mcap", episode))
    what = load_contract("twin")
    names = resolve(what, bag.topics())
    with pytest.raises(DataError, match="episode ep-2000: a clock jumped while it was recorded"):
        assemble(Recording.load(bag, names.values()), what, names, Label("a"))


def test_pictures_that_lie_side_by_side_are_not_copied():
    rows = pixel_rows.PixelRows(ImageStream("cam", side=8), None)
    rows.expect(np.array([2, 5, 7]))
    for message_index in (2, 5, 7):
        rows.put(message_index, np.full((8, 8, 3), message_index, np.uint8))
    assert np.shares_memory(rows.at(np.array([5, 7])), rows.at(np.array([2, 5, 7])))
    assert rows.at(np.array([2, 7, 7]))[:, 0, 0, 0].tolist() == [2, 7, 7]
