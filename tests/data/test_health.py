"""A clean store raises no alarm; each planted fault raises its own, of its own episodes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
from health_examples import clean_episode, with_images, with_state

from o2o_robot.data.health.camera_vitals import thumbnails
from o2o_robot.data.health.finding import Finding, Level, far_from_rest, ranges
from o2o_robot.data.health.findings import findings
from o2o_robot.data.health.lag import lag
from o2o_robot.data.health.vitals import Vitals, vitals
from o2o_robot.types import Episode

N = 12
Plant = Callable[[Episode], Episode]
_KNOWN: dict[int, tuple[Episode, Vitals]] = {}


@pytest.fixture(scope="module")
def clean() -> list[Episode]:
    return [clean_episode(i) for i in range(N)]


def found_in(episodes: list[Episode]) -> tuple[Finding, ...]:
    return findings([known_vitals(i, episode) for i, episode in enumerate(episodes)])


def known_vitals(number: int, episode: Episode) -> Vitals:
    """The vital signs, taken once of each episode object: most of a store is the same from test to test."""
    if id(episode) not in _KNOWN:
        _KNOWN[id(episode)] = episode, vitals(number, episode)  # held, so that no other object gets its id
    return _KNOWN[id(episode)][1]._replace(number=number)


def test_a_clean_store_raises_no_alarm(clean):
    assert found_in(clean) == ()


def test_a_store_without_episodes_raises_no_alarm():
    assert findings([]) == ()


def frozen(frames: np.ndarray) -> np.ndarray:
    frames[20:45] = frames[20]
    return frames


def black_now_and_then(frames: np.ndarray) -> np.ndarray:
    frames[::5] = 0
    return frames


def leaping(values: np.ndarray) -> np.ndarray:
    values[30:, 1] += 3.56
    return values


def paused(episode: Episode) -> Episode:
    return dataclasses.replace(
        episode, stamp_ns=episode.stamp_ns + np.where(np.arange(len(episode) + 1) > 30, 10**9, 0)
    )


def shaken(episode: Episode) -> Episode:
    periods_ns = np.random.default_rng(0).integers(55_000_000, 145_000_000, len(episode))
    return dataclasses.replace(episode, stamp_ns=np.append(0, np.cumsum(periods_ns)))


def relabelled(outcome: str) -> Plant:
    return lambda episode: dataclasses.replace(episode, meta={**episode.meta, "outcome": outcome})


# what is planted, in which episodes; what must be said of these, and of no others
PLANTED: dict[str, tuple[Plant, str, Level]] = {
    "black": (lambda e: with_images(e, "wrist", lambda f: 0 * f), "camera wrist is black", Level.FAULT),
    "one colour": (
        lambda e: with_images(e, "front", lambda f: 0 * f + 90),
        "camera front shows one colour",
        Level.FAULT,
    ),
    "black frames": (
        lambda e: with_images(e, "wrist", black_now_and_then),
        "camera wrist has black frames",
        Level.FAULT,
    ),
    "frozen": (
        lambda e: with_images(e, "wrist", frozen),
        "camera wrist stands still while the robot moves",
        Level.CHECK,
    ),
    "bright": (
        lambda e: with_images(e, "wrist", lambda f: f + 60),
        "camera wrist is exposed unlike the rest",
        Level.CHECK,
    ),
    "swapped": (
        lambda e: dataclasses.replace(e, images={"wrist": e.images["front"], "front": e.images["wrist"]}),
        "cameras wrist and front are swapped",
        Level.FAULT,
    ),
    "turned": (
        lambda e: with_images(e, "front", lambda f: f[:, ::-1]),
        "camera front sees another scene",
        Level.CHECK,
    ),
    "degrees": (lambda e: with_state(e, "q_rad", np.rad2deg), "q_rad looks like degrees", Level.FAULT),
    "millimetres": (
        lambda e: with_state(e, "tool_position_m", lambda p: 1000 * (p + 0.1)),
        "tool_position_m looks like millimetres",
        Level.FAULT,
    ),
    "quaternion": (
        lambda e: with_state(e, "tool_quat_xyzw", lambda q: 1.5 * q),
        "a quaternion is not of unit length",
        Level.FAULT,
    ),
    "dead joint": (
        lambda e: with_state(e, "q_rad", lambda q: np.where(np.arange(6) == 2, q[0], q)),
        "q_rad is dead in some episodes",
        Level.CHECK,
    ),
    "leap": (lambda e: with_state(e, "q_rad", leaping), "q_rad leaps", Level.CHECK),
    "gap": (paused, "ticks are missing", Level.CHECK),
    "jitter": (shaken, "ticks are unsteady", Level.CHECK),
    "slow": (
        lambda e: dataclasses.replace(e, stamp_ns=2 * e.stamp_ns),
        "episodes tick at another rate",
        Level.CHECK,
    ),
    "no label": (relabelled("incomplete"), "labels are missing", Level.CHECK),
    "no end": (
        lambda e: dataclasses.replace(e, terminated=np.zeros(len(e), bool), truncated=np.zeros(len(e), bool)),
        "episodes have no end",
        Level.NOTE,
    ),
    "other field": (
        lambda e: dataclasses.replace(e, state={**e.state, "extra": e.state["q_rad"]}),
        "episodes hold other fields",
        Level.FAULT,
    ),
}


@pytest.mark.parametrize("name", PLANTED)
@pytest.mark.parametrize("where", [(4,), (2, 9)])
def test_a_planted_fault_is_found_in_its_episodes_and_in_no_others(clean, name, where):
    plant, what, level = PLANTED[name]
    found = found_in([plant(episode) if i in where else episode for i, episode in enumerate(clean)])
    (alarm,) = [finding for finding in found if finding.what == what]
    assert alarm.episodes == where
    assert alarm.level is level
    assert alarm.remedy


@pytest.mark.parametrize("name", [name for name in PLANTED if name not in ("degrees", "leap", "millimetres", "black")])
def test_a_fault_raises_one_alarm_and_not_several(clean, name):
    found = found_in([PLANTED[name][0](episode) if i == 4 else episode for i, episode in enumerate(clean)])
    assert [finding.what for finding in found] == [PLANTED[name][1]]


def test_the_gravest_alarms_come_first(clean):
    clean = [PLANTED["no end"][0](clean[0]), PLANTED["gap"][0](clean[1]), PLANTED["black"][0](clean[2]), *clean[3:]]
    levels = [finding.level for finding in found_in(clean)]
    assert levels == sorted(levels)
    assert levels[0] is Level.FAULT


def test_a_camera_that_is_black_in_every_episode_is_said_once(clean):
    (alarm,) = found_in([with_images(episode, "wrist", lambda f: 0 * f) for episode in clean])
    assert (alarm.what, len(alarm.episodes)) == ("camera wrist is black", N)


def test_a_camera_that_stands_still_with_the_robot_is_not_frozen(clean):
    rest = {name: np.repeat(values[:1], 71, axis=0) for name, values in clean[0].state.items()}
    resting = clean_episode(0, n_steps=70)
    resting = with_images(dataclasses.replace(resting, state=rest), "wrist", lambda f: np.repeat(f[:1], len(f), axis=0))
    assert not [f for f in found_in([*clean, resting]) if "while the robot moves" in f.what]


def test_a_column_that_never_moves_in_the_whole_store_is_a_note_and_names_the_column(clean):
    stuck = [with_state(e, "q_rad", lambda q: np.where(np.arange(6) == 3, 0.25, q)) for e in clean]
    (note,) = found_in(stuck)
    assert (note.level, note.what) == (Level.NOTE, "q_rad never changes")
    assert "q_rad[3] always 0.25" in note.seen


@pytest.mark.parametrize(("n_steps", "side"), [(12, "shorter"), (800, "longer")])
def test_an_episode_far_from_the_usual_length_is_named(clean, n_steps, side):
    found = found_in([*clean, clean_episode(50, n_steps=n_steps)])
    (alarm,) = [f for f in found if "than the rest" in f.what]
    assert alarm.what == f"episodes are far {side} than the rest"
    assert alarm.episodes == (N,)


def test_saturated_actions_are_found_and_a_gripper_that_opens_and_closes_is_not(clean):
    def push(episode: Episode, values: np.ndarray) -> Episode:
        action = episode.action.copy()
        action[:, 1] = values[: len(action)]
        return dataclasses.replace(episode, action=action)

    rng = np.random.default_rng(0)
    clipped = [push(e, np.clip(3 * e.action[:, 1], -1, 1)) for e in clean]
    gripping = [push(e, rng.choice([-1.0, 1.0], 200)) for e in clean]
    (alarm,) = [f for f in found_in(clipped) if f.what == "actions are saturated"]
    assert "action[1]" in alarm.seen
    assert not [f for f in found_in(gripping) if f.what == "actions are saturated"]


# Copies.


def test_a_copy_is_found_though_its_file_and_its_noise_are_others(clean):
    rng = np.random.default_rng(3)
    shaken_up = with_images(clean[5], "wrist", lambda f: f + rng.normal(0, 3, f.shape))
    shaken_up = dataclasses.replace(shaken_up, action=shaken_up.action + np.float32(0.002))
    (alarm,) = found_in([*clean, shaken_up])
    assert alarm.what == "nearly the same episode more than once"
    assert alarm.episodes == (5, N)


def test_the_same_actions_before_other_pictures_are_a_replay_and_before_the_same_a_copy(clean):
    other = clean_episode(77, n_steps=len(clean[3]))
    replayed = dataclasses.replace(other, action=clean[3].action)
    assert [(f.what, f.episodes) for f in found_in([*clean, clean[3]])] == [("the same episode more than once", (3, N))]
    said = [(f.what, f.episodes) for f in found_in([*clean, replayed])]
    assert ("the same actions, other pictures", (3, N)) in said


def test_copies_are_found_across_the_bands_of_a_large_table():
    from o2o_robot.data.health.copies import copies

    base = [vitals(i, clean_episode(i, n_steps=30)) for i in range(3)]
    rng = np.random.default_rng(0)
    many = [
        base[i % 3]._replace(number=i, action_film=rng.uniform(-1, 1, (16, 3)).astype(np.float16), action_digest=str(i))
        for i in range(600)
    ]
    many[580] = many[300]._replace(number=580, action_digest="other")
    (alarm,) = copies(many)
    assert alarm.episodes == (300, 580)


# Lag.


@pytest.mark.parametrize("delay_steps", [0, 3, 6])
def test_the_lag_of_the_state_behind_the_action_is_measured(delay_steps):
    found = [vitals(i, clean_episode(i, n_steps=100, delay_steps=delay_steps)).lag for i in range(6)]
    assert [each and each.steps for each in found] == [delay_steps] * 6


def test_a_target_that_is_reached_within_its_step_has_no_lag():
    target = np.cumsum(np.random.default_rng(0).normal(size=(200, 2)), axis=0)
    found = lag(target, np.concatenate([target[:1], target]), 0.1)
    assert found is not None
    assert found.steps == 0


def test_noise_has_no_lag_and_neither_have_too_few_rows():
    rng = np.random.default_rng(0)
    assert lag(rng.normal(size=(200, 3)), rng.normal(size=(201, 7)), 0.1) is None
    assert lag(np.ones((200, 3)), np.ones((201, 3)), 0.1) is None
    assert lag(np.zeros((20, 3)), np.zeros((21, 3)), 0.1) is None


def test_a_late_state_and_a_state_before_its_action_are_each_said(clean):
    late = [clean_episode(i, delay_steps=4) for i in range(6)]
    assert [f.what for f in found_in(late)] == ["the state follows the action late"]
    early = [
        dataclasses.replace(e, action=np.roll(e.action, 3, axis=0), proposed=e.proposed)
        for e in (clean_episode(i) for i in range(6))
    ]
    assert "the state moves before its action" in [f.what for f in found_in(early)]


# What the checks stand on.


def test_thumbnails_are_the_means_of_their_cells_whatever_the_size():
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (3, 64, 40, 3), np.uint8)
    expected = frames.reshape(3, 8, 8, 8, 5, 3).mean(axis=(2, 4))
    np.testing.assert_allclose(thumbnails(frames), expected, rtol=1e-5)
    flat = np.full((2, 5, 13, 3), 77, np.uint8)
    np.testing.assert_allclose(thumbnails(flat), np.full((2, 8, 8, 3), 77.0))


def test_values_that_vary_widely_have_none_outside():
    assert not far_from_rest([10, 20, 30, 40, 50, 60], at_least=1).any()


def test_few_values_have_no_rest_to_be_far_from():
    assert not far_from_rest([1, 1, 1, 50], at_least=1).any()
    assert far_from_rest([1, 1, 1, 1, 50], at_least=1).tolist() == [False] * 4 + [True]


def test_episode_numbers_read_as_ranges():
    assert ranges([9, 3, 4, 5, 7, 8, 8]) == "3 to 5, 7 to 9"
    assert ranges([1, 2]) == "1, 2"
    assert ranges([]) == ""
