"""The ring, the wait after a stop, and how many boxes an hour may have."""

from __future__ import annotations

import numpy as np
import pytest

from o2o_robot.black_box import BlackBox, BlackBoxRules
from o2o_robot.black_box.box import HOUR_S, PATIENCE_S, Raw, Ring
from o2o_robot.errors import ConfigError

NS = 1_000_000_000


@pytest.mark.parametrize("seed", range(10))
def test_the_ring_holds_all_that_is_young_enough_and_fits_and_nothing_else(seed):
    rng = np.random.default_rng(seed)
    span_ns, most_bytes = 2 * NS, int(rng.integers(100, 4000))
    ring, said = Ring(span_ns, most_bytes), []
    for at_ns in np.cumsum(rng.integers(1, NS // 10, size=200)):
        said.append(Raw("t", bytes(int(rng.integers(0, 120))), int(at_ns)))
        ring.add(said[-1])
    held = ring.since(0)
    assert ring.n_bytes == sum(len(raw.cdr) for raw in held) <= most_bytes
    assert list(held) == said[len(said) - len(held) :]
    assert all(raw.heard_ns >= said[-1].heard_ns - span_ns for raw in held)
    left_out = said[len(said) - len(held) - 1]
    too_old = left_out.heard_ns < said[-1].heard_ns - span_ns
    assert too_old or ring.n_bytes + len(left_out.cdr) > most_bytes


def test_a_message_larger_than_the_ring_does_not_stay_and_does_no_harm():
    ring = Ring(NS, 10)
    ring.add(Raw("t", bytes(11), 0))
    assert (ring.since(0), ring.n_bytes) == ((), 0)
    ring.add(Raw("t", bytes(10), 1))
    assert len(ring.since(0)) == 1


def filled(rules: BlackBoxRules, until_s: float, hz: int = 10) -> BlackBox:
    box = BlackBox(rules)
    for k in range(round(until_s * hz) + 1):
        box.add("joint_states", b"x", k * NS // hz)
    return box


def test_a_capture_holds_the_seconds_before_and_after_the_stop_and_no_others():
    box = filled(BlackBoxRules(before_s=3.0, after_s=1.0), until_s=10.0)
    box.stop("force", 10 * NS, 0.0)
    for k in range(101, 111):
        assert box.due(k * NS // 10 - 1, 0.1) is None
        box.add("joint_states", b"x", k * NS // 10)
    capture = box.due(11 * NS, 0.1)
    assert capture is not None
    assert [raw.heard_ns for raw in capture.messages] == [k * NS // 10 for k in range(70, 111)]
    assert box.due(12 * NS, 99.0) is None, "a stop is captured once"


def test_a_run_that_ends_right_after_its_stop_leaves_no_more_than_the_seconds_before():
    box = filled(BlackBoxRules(before_s=3.0, after_s=5.0), until_s=10.0)
    box.stop("force", 10 * NS, 0.0)
    capture = box.take()
    assert capture is not None
    assert [raw.heard_ns for raw in capture.messages] == [k * NS // 10 for k in range(70, 101)]


def test_where_the_clock_of_the_messages_stands_still_the_steady_one_ends_the_wait():
    box = filled(BlackBoxRules(before_s=3.0, after_s=1.0), until_s=1.0)
    box.stop("clock paused", NS, 50.0)
    assert box.due(NS, 51.0 + PATIENCE_S - 0.1) is None
    assert box.due(NS, 51.0 + PATIENCE_S + 0.1) is not None


def test_what_follows_from_a_stop_is_one_box_with_it_and_the_cause_comes_first():
    box = filled(BlackBoxRules(), until_s=1.0)
    for why in ("force", "episode ended by safety", "force"):
        box.stop(why, NS, 0.0)
    capture = box.take()
    assert capture is not None
    assert capture.reasons == ("force", "episode ended by safety")
    assert box.taken == 1


def test_a_flapping_guard_has_so_many_boxes_an_hour_and_the_rest_are_counted():
    box = BlackBox(BlackBoxRules(per_hour=3))
    for k in range(10):
        box.stop("again", k, float(k))
        box.take()
    assert (box.taken, box.passed_over) == (3, 7)
    box.stop("much later", 0, HOUR_S + 1.5)
    assert box.is_waiting


def test_lesser_stops_are_apart_and_leave_half_of_the_boxes_to_those_that_a_person_must_look_at():
    box, taken_s = BlackBox(BlackBoxRules(before_s=30.0, per_hour=12)), []
    for now_s in np.arange(0.0, 900.0, 1.0):
        box.stop("guard ran late", 0, now_s, lesser=True)
        taken_s += [now_s] if box.take() else []
    assert taken_s == [30.0 * k for k in range(6)]
    box.stop("force above the hard limit", 0, 900.5)
    assert box.is_waiting


@pytest.mark.parametrize(
    "wrong", [{"before_s": 0.0}, {"before_s": float("nan")}, {"after_s": -1.0}, {"per_hour": -1}, {"most_bytes": 5}]
)
def test_impossible_rules_are_refused_in_one_line(wrong):
    with pytest.raises(ConfigError) as told:
        BlackBoxRules(**wrong)
    assert len(str(told.value).splitlines()) == 1
