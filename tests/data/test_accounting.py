"""Whatever a recording is like: every message has one fate, and no episode sees what was not there yet."""

from __future__ import annotations

import tracemalloc
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from memory_bags import MS, MemoryBag, Sent, camera, contract, joints, load, plain
from twin_bags import make_episode, write_twin_bag

from o2o_robot.data.action_range import ActionRange
from o2o_robot.data.bag import Bag
from o2o_robot.data.contract import Contract, Faults, OutcomeStream, RewardStream, Split, load_contract, resolve
from o2o_robot.data.episode import arrays, validate
from o2o_robot.data.ingest.assemble import Assembled, Label, assemble
from o2o_robot.data.ingest.streams import Fate, Recording
from o2o_robot.errors import DataError

RANGE = ActionRange(np.array([-1000.0, -1000.0]), np.array([1000.0, 1000.0]))
NUMBERS = st.integers(0, 2**32 - 1)
RULES = st.fixed_dictionaries(
    {
        "clock_jump": st.sampled_from(["cut", "reject"]),
        "gap": st.sampled_from(["cut", "reject"]),
        "frozen": st.sampled_from(["keep", "cut", "reject"]),
        "rate_change": st.sampled_from(["keep", "cut", "reject"]),
        "pieces": st.sampled_from(["longest", "all"]),
    }
)
NAMES = {"cam": "/cam", "state": "/state", "command": "/command"}
MORE = {**NAMES, "reward": "/reward", "done": "/done"}
T0 = 10**15


def rough_stamps(rng: np.random.Generator, period_ms: int, faults: bool) -> tuple[list[int], list[int]]:
    """Stamps and receipts of some seconds: jitter and, at times, duplicates, steps back, leaps, gaps, zero stamps."""
    n = int(rng.integers(1, 4000 // period_ms))
    step_ms = np.full(n, period_ms) + rng.integers(-period_ms // 4, period_ms // 4 + 1, n)
    gap = rng.random(n) < 0.03
    stamp_ms = np.cumsum(step_ms + gap * rng.integers(0, 2000, n)) + rng.integers(0, 300)
    receipt_ms = np.maximum.accumulate(stamp_ms + rng.integers(0, 20, n))
    if faults:
        odd = rng.random(n)
        stamp_ms[1:] = np.where(odd[1:] < 0.05, stamp_ms[:-1], stamp_ms[1:])
        stamp_ms -= (odd > 0.97) * rng.integers(0, 3000, n)
        leap = int(rng.integers(0, n))
        stamp_ms[leap:] += int(rng.choice([0, 0, 0, 0, 0, 0, -60_000, 4000]))
    stamp_ns = T0 + stamp_ms * MS
    if faults and rng.random() < 0.2:
        stamp_ns[rng.random(n) < 0.1] = 0
    return stamp_ns.tolist(), (T0 + receipt_ms * MS).tolist()


def rough(seed: int, *, faults: bool = True) -> list[Sent]:
    """A recording whose frames, states and commands tell their number; frozen at times."""
    rng = np.random.default_rng(seed)
    streams = {topic: rough_stamps(rng, period_ms, faults) for topic, period_ms in
               (("/cam", 33), ("/state", 20), ("/command", 40))}  # fmt: skip
    is_new = np.arange(len(streams["/cam"][0])) % 90 >= 40 * int(rng.integers(0, 2))
    frozen = np.cumsum(is_new).tolist() if faults else None
    sent = camera(*streams["/cam"], order=0, numbers=frozen)
    sent += joints(*streams["/state"], order=1) + joints(*streams["/command"], topic="/command", order=2)
    said_ns = sorted(int(T0 + ms * MS) for ms in rng.integers(0, 4500, 20))
    sent += plain("Float64", said_ns, rng.random(20).tolist(), topic="/reward")
    sent += plain("Bool", said_ns[::5], [bool(b) for b in rng.integers(0, 2, 4)], topic="/done")
    return sent + plain("String", said_ns[:3], ["a", "b", "c"], topic="/chatter")


def made_of(sent: list[Sent], what: Contract, names: dict[str, str], **settings: Any) -> tuple[Assembled, Recording]:
    recording = load(sent, dict.fromkeys(names.values()), **settings)
    return assemble(recording, what, names, Label("a"), RANGE), recording


def assert_counts_add_up(recording: Recording, n_sent: int) -> None:
    counts = recording.counts()
    for topic, count in counts.items():
        kept = count["used"] + count["superseded"] + count["out_of_tolerance"]
        assert kept + sum(count["dropped"].values()) == count["messages"], (topic, count)
    assert sum(count["messages"] for count in counts.values()) == n_sent


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(NUMBERS, RULES, st.booleans())
def test_every_message_has_one_fate_and_every_episode_is_valid_whatever_the_streams_are_like(seed, rules, is_split):
    split = Split(by="gap", gap_s=1.0) if is_split else Split()
    what = contract(
        faults=Faults(**rules), split=split, reward_stream=RewardStream("reward"), outcome=OutcomeStream("done")
    )
    sent = rough(seed)
    recording = load(sent, MORE.values())
    try:
        made = assemble(recording, what, MORE, Label("a"), RANGE)
    except DataError:
        assert_counts_add_up(recording, len(sent))
        return
    assert_counts_add_up(recording, len(sent))
    assert recording.counts()["/chatter"]["dropped"] == {"not_in_contract": 3}
    used = {name: int((stream.fate == Fate.USED).sum()) for name, stream in recording.streams.items()}
    n_ticks = sum(len(episode) + 1 for episode in made.episodes)
    assert 1 <= used["/cam"] <= n_ticks
    assert 1 <= used["/state"] <= n_ticks
    assert len({episode.meta["id"] for episode in made.episodes}) == len(made.episodes)
    for episode in made.episodes:
        validate(episode)


@settings(max_examples=100, deadline=None)
@given(NUMBERS, st.integers(10, 200), st.integers(10, 200), st.booleans())
@example(0, 200, 10, True)
def test_at_a_tick_stands_the_latest_message_that_was_there_and_that_is_not_too_old(seed, state_ms, command_ms, faults):
    what = contract(tolerance_s=state_ms / 1e3, faults=Faults(clock_jump_s=1e9, pieces="all"))
    what = contract(
        tolerance_s=state_ms / 1e3,
        faults=what.faults,
        action=type(what.action)("command", "command", tolerance_s=command_ms / 1e3),
    )
    try:
        made, recording = made_of(rough(seed, faults=faults), what, NAMES)
    except DataError:
        return
    for episode in made.episodes:
        seen = {"/state": episode.state["q_rad"][:, 0], "/command": episode.action[:, 0] * 1000}
        for topic, tolerance_ms in (("/state", state_ms), ("/command", command_ms)):
            stream = recording.streams[topic]
            newest_ns = np.maximum.accumulate(stream.stamp_ns)
            in_order = stream.stamp_ns == newest_ns
            for tick_ns, number in zip(episode.stamp_ns, seen[topic], strict=False):
                stamp_ns = stream.stamp_ns[round(float(number))]
                assert tick_ns - tolerance_ms * MS <= stamp_ns <= tick_ns
                assert stamp_ns == stream.stamp_ns[in_order & (stream.stamp_ns <= tick_ns)].max()


@settings(max_examples=60, deadline=None)
@given(NUMBERS, RULES)
def test_episodes_of_one_recording_never_overlap(seed, rules):
    try:
        made, _ = made_of(
            rough(seed, faults=False), contract(faults=Faults(**rules), split=Split("gap", gap_s=1.0)), NAMES
        )
    except DataError:
        return
    for before, after in zip(made.episodes, made.episodes[1:], strict=False):
        assert before.stamp_ns[-1] < after.stamp_ns[0]


@settings(max_examples=40, deadline=None)
@given(NUMBERS, st.integers(-(10**14), 10**14), RULES)
def test_another_time_of_day_makes_the_same_episodes_at_other_stamps(seed, shift_ns, rules):
    rng = np.random.default_rng(seed)
    streams = [rough_stamps(rng, period_ms, False) for period_ms in (33, 20, 40)]
    what = contract(faults=Faults(**rules))

    def made(by: int) -> list:
        moved = [([s + by for s in stamps], [r + by for r in receipts]) for stamps, receipts in streams]
        return made_of(camera(*moved[0]) + joints(*moved[1]) + joints(*moved[2], topic="/command"), what, NAMES)[0][0]

    try:
        here = made(0)
    except DataError:
        with pytest.raises(DataError):
            made(shift_ns)
        return
    for one, other in zip(here, made(shift_ns), strict=True):
        assert_alike(one, other, shift_ns)


@settings(max_examples=40, deadline=None)
@given(NUMBERS, RULES)
def test_neither_the_order_of_topics_nor_room_in_memory_changes_an_episode(seed, rules):
    sent = rough(seed, faults=False)
    backwards = [each._replace(order=-each.order) for each in sent]
    what = contract(faults=Faults(**rules))
    try:
        made, _ = made_of(sent, what, NAMES)
    except DataError:
        return
    others = (
        made_of(backwards, what, dict(reversed(NAMES.items())))[0],
        made_of(sent, what, NAMES, keep_bytes=500)[0],
    )
    for other in others:
        assert other.faults == made.faults
        for one, two in zip(made.episodes, other.episodes, strict=True):
            assert_alike(one, two)


@settings(max_examples=40, deadline=None)
@given(NUMBERS)
def test_a_message_sent_twice_under_one_stamp_counts_once_and_changes_nothing(seed):
    rng = np.random.default_rng(seed)
    streams = [rough_stamps(rng, period_ms, False) for period_ms in (33, 20, 40)]
    sent = camera(*streams[0]) + joints(*streams[1]) + joints(*streams[2], topic="/command")
    is_twice = rng.random(len(sent)) < 0.3
    again = [copy for each, twice in zip(sent, is_twice, strict=True) for copy in [each] * (1 + twice)]
    try:
        once, _ = made_of(sent, contract(), NAMES)
    except DataError:
        return
    twice, recording = made_of(again, contract(), NAMES)
    for one, other in zip(once.episodes, twice.episodes, strict=True):
        assert_alike(one, other)
    said = sum(int(fault.detail.split()[0]) for fault in twice.faults if fault.kind == "duplicate_stamp")
    assert said == is_twice.sum()
    assert_counts_add_up(recording, len(again))


def assert_alike(one, other, shift_ns: int = 0) -> None:
    for name, array in arrays(one).items():
        np.testing.assert_array_equal(arrays(other)[name], array + shift_ns if name == "stamp_ns" else array, name)
    assert one.meta == other.meta


@pytest.mark.parametrize("lost", ["executed_action@2", "front/color/image_raw@3"])
def test_what_belongs_to_a_recorded_episode_that_is_not_whole_is_rejected_and_not_called_used(tmp_path, lost):
    camera_too = {"front/color/image_raw@2"} if lost.startswith("front") else set()
    episodes = make_episode(0), make_episode(1)
    bag = Bag.open(write_twin_bag(tmp_path / "a.mcap", *episodes, skip=frozenset({lost})))
    if camera_too:
        bag = Bag.open(write_twin_bag(tmp_path / "b.mcap", *episodes, skip=frozenset({lost, *camera_too})))
    what = load_contract("twin")
    names = resolve(what, bag.topics())
    recording = Recording.load(bag, names.values())
    with pytest.raises(DataError):  # both episodes lost their messages
        assemble(recording, what, names, Label("a"))
    for topic in ("/joint_states", "/executed_action", "/wrist/color/image_raw"):
        count = recording.counts()[topic]
        assert count["used"] == 0
        assert count["dropped"] == {"rejected": count["messages"]}


def test_a_recording_takes_less_than_a_hundred_bytes_of_memory_for_each_message_it_does_not_keep():
    body = joints([T0], topic="/state")[0].data
    n = 40_000

    class Long(MemoryBag):
        def messages(self, wanted):
            for i in range(n):
                yield self.sent_one(i)

        def sent_one(self, i):
            from o2o_robot.data.bags.mcap_file import Message

            return Message("/state", T0 + i * MS, bytes(bytearray(body)))

    tracemalloc.start()
    recording = Recording.load(Long(joints([T0])), ["/state"], keep_bytes=100_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(recording.streams["/state"]) == n
    assert peak < 100 * n + 2_000_000
