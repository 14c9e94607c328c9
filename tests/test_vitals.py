"""Signs of life of a node, with a clock of the test's own."""

from __future__ import annotations

import pytest

from o2o_robot.vitals import Grave, Level, Vitals, disk_free_bytes, full_disk, judged, memory_mb, slow_callbacks


@pytest.fixture
def now() -> list[float]:
    return [100.0]


@pytest.fixture
def vitals(now: list[float]) -> Vitals:
    return Vitals(lambda: now[0])


def test_a_rate_is_what_came_since_the_last_report_over_the_time_since(vitals, now):
    heard = vitals.stream("joint_states")
    for _ in range(50):
        now[0] += 0.01
        heard()
    now[0] += 0.5
    first = vitals.readings()
    assert first["joint_states hz"] == pytest.approx(50.0)
    assert first["joint_states age_s"] == pytest.approx(0.5)
    now[0] += 1.0
    assert vitals.readings()["joint_states hz"] == 0.0


def test_a_stream_that_was_never_heard_has_no_age(vitals):
    vitals.stream("current_pose")
    assert vitals.readings()["current_pose age_s"] == "never heard"


def test_two_readers_of_one_stream_do_not_double_its_rate(vitals, now):
    both = [vitals.stream("action"), vitals.stream("action")]
    for heard in both:
        heard()
    now[0] += 1.0
    assert vitals.readings()["action hz"] == 1.0


def test_a_stream_that_is_left_and_taken_up_again_is_counted_again(vitals, now):
    vitals.stream("step")
    vitals.forget("step")
    assert "step hz" not in vitals.readings()
    vitals.stream("step")()
    now[0] += 1.0
    assert vitals.readings()["step hz"] == 1.0


def test_the_longest_callback_of_a_report_is_told_once(vitals, now):
    began_s = now[0]
    now[0] += 1.25
    vitals.worked(began_s)
    told = vitals.readings()
    assert told["callback max_ms"] == pytest.approx(1250.0)
    assert "1.2 s" in slow_callbacks(told)[0]
    assert slow_callbacks(vitals.readings()) == []


def test_a_beat_tells_its_jitter_of_the_last_report_and_of_all_time(vitals, now):
    beat = vitals.beat("tick", 0.01)
    for step_s in (0.01, 0.01, 0.11):
        beat()
        now[0] += step_s
    beat()
    assert vitals.readings()["tick jitter max_ms"] == pytest.approx(100.0, abs=0.01)
    told = vitals.readings()
    assert told["tick jitter max_ms"] == 0.0
    assert told["tick jitter in all max_ms"] == pytest.approx(100.0, abs=0.01)


def test_a_grave_trouble_is_an_error_and_is_told_first_and_in_one_line():
    level, message = judged(["warm", Grave("latched;\nreset it")], is_active=True)
    assert (level, message) == (Level.ERROR, "latched; reset it; warm")
    assert judged(["warm"], is_active=True)[0] is Level.WARN
    assert judged([], is_active=True)[0] is Level.OK
    assert judged([], is_active=False)[0] is Level.STALE


def test_a_disk_is_trouble_before_it_is_full_and_grave_when_it_nearly_is(tmp_path):
    assert full_disk(10_000_000_000) == []
    assert not isinstance(full_disk(1_000_000_000)[0], Grave)
    assert isinstance(full_disk(100_000_000)[0], Grave)
    assert disk_free_bytes(tmp_path / "not" / "there") > 0
    assert memory_mb() > 1.0
