"""No message, whatever is in it, does more to a reader than make it say so in one line."""

from __future__ import annotations

import copy
import tracemalloc

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")
pytest.importorskip("o2o_msgs", reason="the built workspace is not on the path; run: . scripts/env.sh")

import mutations
from geometry_msgs.msg import PoseStamped
from o2o_msgs import msg as m
from sensor_msgs.msg import Image, JointState

from o2o_nodes import checks, convert
from o2o_robot.errors import DataError, O2OError

READERS = {
    Image: convert.image,
    m.Observation: convert.observation,
    m.Step: convert.step,
    m.Action: convert.action,
    m.ExecutedAction: convert.executed,
    m.TaskState: convert.task_state,
    m.EpisodeEvent: checks.event,
    m.Weights: convert.offer,
    PoseStamped: checks.pose,
    JointState: checks.joints,
}
BYTES_BEYOND_THE_MESSAGE = 2_000_000


def refusal(kind: type, message: object) -> str:
    """What was said against the message; empty where it was read."""
    try:
        READERS[kind](message)
    except O2OError as problem:
        return str(problem)
    return ""


@pytest.mark.parametrize("kind", READERS, ids=lambda kind: kind.__name__)
def test_a_sound_message_is_read(kind):
    READERS[kind](mutations.sound()[kind])


@pytest.mark.parametrize("kind", READERS, ids=lambda kind: kind.__name__)
def test_a_spoiled_message_raises_nothing_but_one_of_our_own_lines(kind):
    rng, sound = np.random.default_rng(1), mutations.sound()[kind]
    refused = 0
    for _ in range(600):
        message = copy.deepcopy(sound)
        path = ", ".join(mutations.spoil(message, rng) for _ in range(int(rng.integers(1, 4))))
        said = refusal(kind, message)
        refused += said != ""
        assert "\n" not in said, path
        assert len(said) < 400, path
    if kind is not m.Weights:  # judged by its door
        assert refused > 100


@pytest.mark.parametrize("kind", [Image, m.Observation, m.Step])
def test_what_a_message_claims_allocates_nothing(kind):
    rng, sound = np.random.default_rng(2), mutations.sound()[kind]
    for _ in range(100):
        message = copy.deepcopy(sound)
        mutations.spoil(message, rng)
        tracemalloc.start()
        refusal(kind, message)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < BYTES_BEYOND_THE_MESSAGE


def image(**changes) -> Image:
    message = mutations.sound()[Image]
    for name, value in changes.items():
        setattr(message, name, value)
    return message


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"height": 2**32 - 1}, "image's height"),
        ({"width": 2**31}, "width"),
        ({"height": 0}, "image's height"),
        ({"width": 8192, "height": 8192, "step": 8192 * 3}, "length of an image's data is 48"),
        ({"step": 11}, "step"),
        ({"step": 13}, "length"),
        ({"step": 0}, "step"),
        ({"data": []}, "length of an image's data is 0"),
        ({"encoding": "16UC1"}, "encoding is '16UC1'"),
        ({"encoding": "x" * 1_000_000}, "encoding"),
    ],
)
def test_an_image_that_is_not_of_its_own_size_is_refused(changes, said):
    with pytest.raises(DataError, match=said):
        convert.image(image(**changes))


def test_padding_at_the_end_of_a_row_is_left_out():
    padded = image(step=14, data=np.arange(56, dtype=np.uint8).tobytes())
    assert np.array_equal(convert.image(padded)[1].ravel(), np.arange(14, 26))


def step(**changes) -> m.Step:
    message = mutations.sound()[m.Step]
    for path, value in changes.items():
        *outer, last = path.split("__")
        holder = message
        for name in outer:
            holder = getattr(holder, name)
        setattr(holder, last, value)
    return message


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"observation__state_sizes": [3, 2]}, "sum of state_sizes is 5"),
        ({"observation__state_sizes": [2**32 - 1, 2**32 - 1]}, "sum of state_sizes"),
        ({"observation__state_sizes": [4]}, "number of state_sizes"),
        ({"observation__state_names": ["a", "a"]}, "each there once"),
        ({"observation__state_names": ["a", "../b"]}, "a name in an observation"),
        ({"observation__image_names": ["wrist", "wrist"]}, "each there once"),
        ({"observation__image_names": ["wrist"]}, "number of images"),
        ({"observation__state": [0.0, float("nan"), 0.0, 0.0]}, "finite"),
        ({"observation__state": [0.0] * 100_000}, "at most 4096"),
        ({"is_last": True}, "episode's last step"),
        ({"action__executed": []}, "there, or is_last set"),
        ({"action__executed": [float("inf")] * 3}, "what was executed"),
        ({"action__source": 9}, "source is 9"),
        ({"mode": "fun"}, "mode is 'fun'"),
        ({"episode": "e" * 1_000_000}, "episode"),
        ({"episode": "../../x"}, "episode"),
        ({"episode": ""}, "episode"),
        ({"run": "r" * 1_000_000}, "run"),
        ({"index": 2**32 - 1}, "index"),
        ({"reward": float("nan")}, "reward"),
        ({"terminated": True, "truncated": True}, "only truncates"),
    ],
)
def test_a_step_that_contradicts_itself_is_refused_and_said_why(changes, said):
    with pytest.raises(DataError, match=said):
        convert.step(step(**changes))


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"id": "../x"}, "id"), ({"mode": ""}, "mode"), ({"kind": 7}, "kind"), ({"outcome": "maybe"}, "outcome")],
)
def test_an_event_that_would_name_a_file_elsewhere_or_say_nothing_known_is_refused(changes, said):
    message = mutations.sound()[m.EpisodeEvent]
    for name, value in changes.items():
        setattr(message, name, value)
    with pytest.raises(DataError, match=said):
        checks.event(message)


def test_a_task_that_succeeded_and_failed_is_refused():
    message = mutations.sound()[m.TaskState]
    message.success = message.failure = True
    with pytest.raises(DataError, match="at most one"):
        convert.task_state(message)
