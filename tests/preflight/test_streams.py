"""Laws of what a stream is judged by: rate, gaps, age, order."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_facts import DRIVER, a_stream, only

from o2o_robot.preflight import streams
from o2o_robot.preflight.facts import Endpoint, Stream
from o2o_robot.preflight.finding import Level
from o2o_robot.preflight.wanted import WantedStream

STATES = WantedStream("joint_states", "sensor_msgs/msg/JointState", 100.0)
IMAGES = WantedStream("wrist/color/image_raw", "sensor_msgs/msg/Image", 30.0)


def frames_of_a_camera(hz: float = 30.0, seconds: float = 10.0) -> Stream:
    return a_stream(IMAGES.name, hz=hz, seconds=seconds, kind=IMAGES.type)


@pytest.mark.parametrize(("hz", "level"), [(100, Level.GREEN), (91, Level.GREEN), (80, Level.YELLOW), (40, Level.RED)])
def test_a_stream_is_yellow_below_nine_tenths_of_its_rate_and_red_below_half(hz, level):
    assert streams.rate(a_stream(hz=hz), STATES).level is level


def test_a_rate_is_held_against_the_pace_of_the_clock():
    assert streams.rate(a_stream(hz=50), STATES, clock_rate=0.5).level is Level.GREEN
    assert streams.rate(a_stream(hz=50), STATES, clock_rate=1.0).level is not Level.GREEN


def test_a_stream_that_ended_early_does_not_keep_its_rate():
    ended = replace(a_stream(hz=100, seconds=1.0), listened_s=10.0)
    assert streams.rate(ended, STATES).level is Level.RED


def test_a_topic_that_is_offered_and_silent_is_red():
    silent = Stream("joint_states", type=STATES.type, publishers=(DRIVER,), listened_s=5.0)
    assert streams.rate(silent, STATES).level is Level.RED
    assert streams.delivery(silent, STATES).level is Level.RED


def test_a_topic_nobody_offers_is_red_only_where_it_is_required():
    assert streams.offered(Stream("joint_states"), STATES).level is Level.RED
    assert streams.offered(Stream("x"), replace(STATES, required=False)).level is Level.UNKNOWN


def test_another_type_on_a_topic_is_red_and_a_second_publisher_yellow():
    stream = a_stream()
    assert streams.offered(stream, STATES).level is Level.GREEN
    assert streams.offered(replace(stream, type="std_msgs/msg/String"), STATES).level is Level.RED
    two = replace(stream, publishers=(DRIVER, Endpoint("/other", True)))
    assert streams.offered(two, STATES).level is Level.YELLOW


@pytest.mark.parametrize("share", [0.02, 0.3, 0.9])
def test_the_share_of_frames_lost_is_told_from_the_gaps_between_stamps(share):
    rng = np.random.default_rng(int(share * 100))
    kept = rng.random(3000) >= share
    kept[[0, -1]] = True
    stream = only(frames_of_a_camera(seconds=100.0), kept)
    got, taken = streams.frames(stream, 30.0)
    assert got == kept.sum()
    assert taken == pytest.approx(3000, rel=0.01)


@pytest.mark.parametrize(("lost", "level"), [(0, Level.GREEN), (5, Level.YELLOW), (30, Level.RED)])
def test_what_the_transport_lost_is_told_by_the_publisher_s_count(lost, level):
    stream = frames_of_a_camera()
    rows = np.delete(np.arange(300), np.linspace(1, 298, lost).astype(int))
    assert streams.delivery(only(stream, rows), IMAGES).level is level


def test_frames_that_the_camera_itself_drops_were_all_delivered():
    stream = frames_of_a_camera()
    dropped = replace(only(stream, np.arange(300) % 4 != 0), sequence=tuple(range(225)))
    assert streams.delivery(dropped, IMAGES).level is Level.GREEN
    assert streams.gaps(dropped, IMAGES).level is Level.RED


def test_counts_of_two_publishers_are_not_mixed():
    stream = replace(frames_of_a_camera(), publishers=(DRIVER, Endpoint("/other", True)))
    assert streams.delivery(stream, IMAGES).level is Level.UNKNOWN


def test_frames_so_sparse_that_no_two_neighbours_came_are_counted_by_the_rate_asked_for():
    stream = frames_of_a_camera()
    rows = np.cumsum([0, *([2, 4] * 40)])
    assert streams.frames(only(stream, rows), 30.0) == (81, 241)


def test_jitter_of_the_stamps_is_no_loss():
    stream = frames_of_a_camera()
    jitter = np.random.default_rng(0).normal(0, 0.002e9, len(stream.stamps_ns)).astype(int)
    shaken = replace(stream, stamps_ns=tuple(np.sort(np.array(stream.stamps_ns) + jitter).tolist()))
    assert streams.gaps(shaken, IMAGES).level is Level.GREEN


def test_a_camera_that_runs_at_half_the_rate_loses_nothing_but_is_slow():
    slow = frames_of_a_camera(hz=15.0)
    assert streams.gaps(slow, IMAGES).level is Level.GREEN
    assert streams.rate(slow, IMAGES).level is Level.YELLOW


def test_a_repeated_frame_does_not_stand_for_a_lost_one():
    stream = frames_of_a_camera()
    rows = np.arange(300)
    rows[150:180] = 150  # thirty frames lost, their place taken by one that is said again
    assert streams.gaps(only(stream, rows), IMAGES).level is Level.RED


@pytest.mark.parametrize(("age_s", "level"), [(0.01, Level.GREEN), (0.15, Level.YELLOW), (0.3, Level.RED)])
def test_old_messages_are_red_from_the_limit_and_yellow_from_half_of_it(age_s, level):
    assert streams.age(a_stream(age_s=age_s), limit_s=0.25).level is level


def test_a_message_without_a_stamp_is_red_however_the_clocks_stand():
    unstamped = replace(a_stream(), stamps_ns=(0,) * 200)
    assert streams.age(unstamped, limit_s=1e12).level is Level.RED


@pytest.mark.parametrize(("ahead_s", "level"), [(-0.01, Level.GREEN), (0.015, Level.GREEN), (0.025, Level.RED)])
def test_a_stamp_later_than_its_receipt_is_red_beyond_the_limit(ahead_s, level):
    assert streams.future(a_stream(age_s=-ahead_s), limit_s=0.02).level is level


def test_one_message_from_the_future_is_enough():
    stream = a_stream()
    stamps = list(stream.stamps_ns)
    stamps[77] += 1_000_000_000
    assert streams.future(replace(stream, stamps_ns=tuple(stamps)), limit_s=0.02).level is Level.RED


def test_one_stamp_that_goes_back_is_red_and_repeated_ones_are_yellow_above_one_in_a_hundred():
    stream, rows = a_stream(), np.arange(200)
    assert streams.order(stream).level is Level.GREEN
    swapped = rows.copy()
    swapped[[10, 11]] = swapped[[11, 10]]
    assert streams.order(only(stream, swapped)).level is Level.RED
    assert streams.order(only(stream, np.repeat(rows, [1] * 199 + [2]))).level is Level.GREEN
    assert streams.order(only(stream, np.repeat(rows, 2))).level is Level.YELLOW


@pytest.mark.parametrize(("gap", "level"), [(2, Level.GREEN), (5, Level.YELLOW), (9, Level.RED)])
def test_a_silence_as_long_as_the_guard_allows_is_red(gap, level):
    rows = np.concatenate([np.arange(100), np.arange(100 + gap - 1, 200)])  # 10 ms a message
    assert streams.silence(only(a_stream(), rows), stop_s=0.06).level is level


@pytest.mark.parametrize("check", [lambda s: streams.rate(s, STATES), lambda s: streams.silence(s, stop_s=1.0)])
@pytest.mark.parametrize("n", [0, 1])
def test_too_few_messages_are_never_called_good(check, n):
    assert check(only(a_stream(), np.arange(n))).level is not Level.GREEN
