"""What faults make of a stream: each kind does what it says, to its stream alone, for its time, by its seed."""

from __future__ import annotations

import numpy as np
import pytest

from o2o_robot.errors import ConfigError
from o2o_robot.robot.fault_kinds import KINDS, Joints, Message
from o2o_robot.robot.faults import Fault, Faults
from o2o_robot.types import Pose

STREAMS = ("joint_states", "current_pose", "current_twist", "external_wrench", "gripper", "clock", "wrist")
NAMES = tuple(f"joint{i}" for i in range(1, 5))
PERIOD_NS = 10_000_000
POSE = Pose(np.array([0.4, 0.0, 0.3]), np.array([1.0, 0.0, 0.0, 0.0]))


class Line:
    """A stream of messages, 10 ms apart, through `faults`."""

    def __init__(self) -> None:
        self.now_s, self.stamp_ns = 0.0, 0
        self.faults = Faults(STREAMS, clock=lambda: self.now_s)

    def say(self, stream: str = "joint_states", count: int = 1) -> list[Message]:
        came: list[Message] = []
        for _ in range(count):
            self.stamp_ns += PERIOD_NS
            self.now_s += 0.01
            came += self.faults.due()
            came += self.faults.pass_on(Message(stream, self.stamp_ns, self._sample(stream)))
        return came

    def _sample(self, stream: str) -> object:
        t = self.stamp_ns * 1e-9
        if stream == "joint_states":
            return Joints(NAMES, t + np.arange(4.0), -t - np.arange(4.0))
        return {"current_pose": POSE, "clock": None}.get(stream, np.full(6, t))


def stamps_of(messages: list[Message]) -> list[int]:
    return [message.stamp_ns // PERIOD_NS for message in messages]


@pytest.fixture
def line() -> Line:
    return Line()


def test_without_a_fault_everything_passes_at_once_and_untouched(line):
    for stream in STREAMS:
        message = Message(stream, 5, line._sample(stream))
        assert line.faults.pass_on(message) == [message]
    assert line.faults.is_quiet


@pytest.mark.parametrize("kind", [name for name, kind in KINDS.items() if kind.streams is None])
def test_a_fault_touches_no_other_stream(line, kind):
    line.faults.inject(Fault(kind, "wrist"))
    assert stamps_of(line.say("joint_states", 20)) == list(range(1, 21))


@pytest.mark.parametrize("kind", list(KINDS))
def test_after_its_time_a_fault_is_as_if_it_had_never_been(line, kind):
    line.faults.inject(Fault(kind, duration_s=0.1))
    line.say(KINDS[kind].stream, 30) if KINDS[kind].stream in STREAMS else line.say(count=30)
    line.faults.due()
    assert line.faults.is_quiet
    first = line.stamp_ns // PERIOD_NS
    assert stamps_of(line.say(count=5)) == list(range(first + 1, first + 6))


def test_a_count_is_how_many_messages_it_meets(line):
    line.faults.inject(Fault("loss", count=3))
    assert stamps_of(line.say(count=6)) == [4, 5, 6]


def test_latency_delays_and_keeps_the_order(line):
    line.faults.inject(Fault("latency", amount=0.035))
    assert stamps_of(line.say(count=4)) == []
    assert stamps_of(line.say(count=4)) == [1, 2, 3, 4]


def test_what_is_late_still_comes_after_the_fault_is_cleared(line):
    line.faults.inject(Fault("latency", amount=0.05))
    line.say(count=3)
    line.faults.clear()
    assert sorted(stamps_of(line.say(count=8))) == list(range(1, 12))


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_drops_lose_their_share(line, share):
    line.faults.inject(Fault("drop", amount=share, seed=3))
    kept = len(line.say(count=1000)) / 1000
    assert kept == pytest.approx(1 - share, abs=0.05)


def test_the_same_seed_drops_the_same_messages_and_another_seed_others():
    def kept(seed: int) -> list[int]:
        line = Line()
        line.faults.inject(Fault("drop", seed=seed))
        return stamps_of(line.say(count=60))

    assert kept(1) == kept(1)
    assert kept(1) != kept(2)


def test_frozen_values_stand_still_under_stamps_that_go_on(line):
    line.say()
    line.faults.inject(Fault("freeze"))
    came = line.say(count=5)
    assert stamps_of(came) == [2, 3, 4, 5, 6]
    assert all(message.sample is came[0].sample for message in came)


def test_a_pause_says_the_same_message_again_stamp_and_all(line):
    line.faults.inject(Fault("pause", "clock"))
    assert stamps_of(line.say("clock", 4)) == [1, 1, 1, 1]


def test_swapped_messages_all_come_each_pair_the_wrong_way_round(line):
    line.faults.inject(Fault("swap"))
    assert stamps_of(line.say(count=6)) == [2, 1, 4, 3, 6, 5]


@pytest.mark.parametrize("shift_s", [0.5, -0.02])
def test_a_shifted_stamp_is_off_by_that_much_and_the_values_are_true(line, shift_s):
    line.say(count=5)
    line.faults.inject(Fault("stamp", amount=shift_s))
    (came,) = line.say()
    assert came.stamp_ns - line.stamp_ns == round(shift_s * 1e9)
    assert came.sample.q_rad[0] == pytest.approx(line.stamp_ns * 1e-9)


@pytest.mark.parametrize("stream", ["joint_states", "current_pose", "current_twist", "external_wrench"])
@pytest.mark.parametrize("entries", [1, 2])
def test_as_many_entries_as_asked_are_not_finite(line, stream, entries):
    line.faults.inject(Fault("not_finite", stream, amount=entries, seed=4))
    for message in line.say(stream, 20):
        sample = message.sample
        values = getattr(sample, "q_rad", getattr(sample, "position_m", sample))
        assert np.sum(~np.isfinite(values)) == entries
    assert np.isfinite(POSE.position_m).all(), "the sample that came in is left as it was"


def test_shuffled_names_keep_their_values(line):
    line.faults.inject(Fault("shuffle_names", seed=1))
    orders = set()
    for message in line.say(count=20):
        by_name = dict(
            zip(message.sample.names, zip(message.sample.q_rad, message.sample.dq_rad, strict=True), strict=True)
        )
        true = message.stamp_ns * 1e-9 + np.arange(4.0)
        assert [by_name[name] for name in NAMES] == [(q, -q) for q in true]
        orders.add(message.sample.names)
    assert len(orders) > 1


def test_an_extra_joint_comes_first_and_a_missing_one_is_any_of_them(line):
    line.faults.inject(Fault("extra_name"))
    (message,) = line.say()
    assert message.sample.names == ("stranger", *NAMES)
    assert len(message.sample.q_rad) == len(message.sample.dq_rad) == 5
    line.faults.clear()
    line.faults.inject(Fault("missing_name", seed=0))
    left = [message.sample.names for message in line.say(count=40)]
    assert {len(names) for names in left} == {3}
    assert len(set(left)) == 4


def test_a_spike_adds_its_force_and_no_torque(line):
    line.faults.inject(Fault("spike", amount=80.0, count=1, seed=2))
    hit, after = line.say("external_wrench", 2)
    assert np.linalg.norm(hit.sample[:3] - 0.01) == pytest.approx(80.0)
    np.testing.assert_array_equal(hit.sample[3:], 0.01)
    np.testing.assert_array_equal(after.sample, 0.02)


def test_every_stream_can_be_hit_at_once(line):
    line.faults.inject(Fault("stamp", "*", amount=1.0))
    assert {line.say(stream)[0].stamp_ns // 1_000_000_000 for stream in STREAMS} == {1}


def test_two_faults_meet_a_message_one_after_the_other(line):
    line.faults.inject(Fault("stamp", amount=1.0))
    line.faults.inject(Fault("latency", amount=0.015))
    assert line.say() == []
    assert [message.stamp_ns for message in line.say(count=2)] == [PERIOD_NS + 1_000_000_000]


def test_a_machines_fault_is_on_until_its_kind_is_cleared(line):
    line.faults.inject(Fault("reflex"))
    line.faults.inject(Fault("stuck"))
    assert line.faults.is_on("reflex")
    assert line.faults.clear("reflex") == 1
    assert not line.faults.is_on("reflex")
    assert line.faults.is_on("stuck")


@pytest.mark.parametrize(
    ("settings", "hint"),
    [
        ({"kind": "latancy"}, "latency"),
        ({"kind": "loss", "stream": "wirst"}, "wrist"),
        ({"kind": "spike", "stream": "joint_states"}, "external_wrench"),
        ({"kind": "drop", "amount": 1.5}, "at most 1"),
        ({"kind": "latency", "amount": -1.0}, "> 0"),
        ({"kind": "stamp", "amount": float("nan")}, "finite"),
        ({"kind": "loss", "duration_s": -1.0}, "finite"),
        ({"kind": "loss", "seed": -1}, "seed"),
        ({"kind": "reflex", "stream": "gripper"}, "arm"),
    ],
)
def test_a_wrong_request_is_refused_with_what_is_allowed(line, settings, hint):
    with pytest.raises(ConfigError, match=hint):
        line.faults.inject(Fault(**settings))
    assert line.faults.is_quiet
