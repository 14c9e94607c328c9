"""What makes an episode valid, and how one grows out of Steps."""

from dataclasses import replace

import numpy as np
import pytest
from episode_examples import an_episode, steps_of

from o2o_robot.data import episode as ep
from o2o_robot.data.episode import EpisodeBuilder
from o2o_robot.errors import DataError


def changed(name, at, value):
    array = getattr(an_episode(), name).copy()
    array[at] = value
    return {name: array}


BROKEN = {
    "reward has shape (4,)": {"reward": np.zeros(4, np.float32)},
    "reward is float64": {"reward": np.zeros(5)},
    "stamp_ns has shape (5,)": {"stamp_ns": np.arange(5)},
    "stamp_ns goes back in time at row 3": changed("stamp_ns", 3, 0),
    "action is not finite at row 2": changed("action", (2, 1), np.nan),
    "proposed has shape (5, 2)": {"proposed": np.zeros((5, 2), np.float32)},
    "terminated is set at row 1": changed("terminated", 1, True),
    "terminated and truncated": changed("terminated", -1, True),
    "images/wrist is float32": {"images": {"wrist": np.zeros((6, 8, 8, 3), np.float32)}},
    "images/wrist has shape (6, 8, 8, 4)": {"images": {"wrist": np.zeros((6, 8, 8, 4), np.uint8)}},
    "state/q_rad has shape (5, 7)": {"state": {"q_rad": np.zeros((5, 7), np.float32)}},
    "no name for an array": {"state": {"../q": np.zeros((6, 7), np.float32)}},
    "at least one transition": {"action": np.zeros((0, 3), np.float32)},
    "cannot be written as JSON": {"meta": {"seed": np.int64(3)}},
}


@pytest.mark.parametrize("end", ["terminated", "truncated", "open"])
def test_a_proper_episode_is_valid_however_it_ended(end):
    ep.validate(an_episode(end=end))


@pytest.mark.parametrize("complaint", BROKEN)
def test_a_broken_episode_is_refused_by_the_name_of_its_array(complaint):
    with pytest.raises(DataError) as refusal:
        ep.validate(replace(an_episode(), **BROKEN[complaint]))
    assert complaint in str(refusal.value)


def test_a_stream_of_steps_builds_the_episode_it_came_from():
    episode = an_episode(7, end="terminated")
    builder = EpisodeBuilder("ep")
    for step in steps_of(episode):
        assert not builder.is_whole
        builder.add(step)
    built = builder.build({"mode": "demo"})
    assert len(builder) == 7
    assert ep.digest(built) == ep.digest(episode)
    assert built.meta == {"id": "ep", "mode": "demo"}


def test_a_lost_a_foreign_and_a_late_step_are_refused():
    steps = steps_of(an_episode(3))
    builder = EpisodeBuilder("ep")
    builder.add(steps[0])
    with pytest.raises(DataError, match="step 2 came, not 1"):
        builder.add(steps[2])
    with pytest.raises(DataError, match="episode 'other'"):
        builder.add(replace(steps[1], episode="other"))
    with pytest.raises(DataError, match="without a last observation"):
        builder.build()
    for step in steps[1:]:
        builder.add(step)
    with pytest.raises(DataError, match="after the last"):
        builder.add(replace(steps[-1], index=4))


def test_an_image_that_changes_size_on_the_way_is_refused_with_its_step():
    steps = steps_of(an_episode(3))
    small = replace(steps[2].observation, images={name: np.zeros((4, 4, 3), np.uint8) for name in ("wrist", "front")})
    builder = EpisodeBuilder("ep")
    for step in (*steps[:2], replace(steps[2], observation=small), steps[3]):
        builder.add(step)
    with pytest.raises(DataError, match=r"'wrist' is \(4, 4, 3\) at step 2"):
        builder.build()


def test_the_digest_sees_a_single_bit_and_nothing_of_meta():
    episode = an_episode()
    images = {name: image.copy() for name, image in episode.images.items()}
    images["front"][5, 7, 7, 2] ^= 1
    assert ep.digest(replace(episode, meta={"id": "other"})) == ep.digest(episode)
    assert ep.digest(replace(episode, images=images)) != ep.digest(episode)


def test_arrays_and_from_arrays_are_inverse():
    episode = an_episode()
    again = ep.from_arrays(ep.arrays(episode), episode.meta)
    assert ep.digest(again) == ep.digest(episode)
    assert list(again.images) == list(episode.images)
    with pytest.raises(DataError, match="reward"):
        ep.from_arrays({k: v for k, v in ep.arrays(episode).items() if k != "reward"}, {})


def test_the_full_spec_names_all_there_is_and_refuses_oblong_images():
    spec = ep.full_spec(an_episode())
    assert (spec.cameras, spec.image_size, spec.n_state) == (("wrist", "front"), 8, 10)
    with pytest.raises(DataError, match="square"):
        ep.full_spec(replace(an_episode(), images={"wrist": np.zeros((6, 8, 9, 3), np.uint8)}))
