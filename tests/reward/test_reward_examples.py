"""Which frames are learnt from, how they are shared out, and which are refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from reward_examples import a_store, ended, frames

from o2o_robot.errors import DataError
from o2o_robot.reward.examples import OTHER, SUCCESS, UNTOLD, gather, labels_of, require_enough
from o2o_robot.reward.familiar import ranges, trouble
from o2o_robot.reward.split import by_episode
from o2o_robot.reward.threshold import choose_inside, quality


@pytest.mark.parametrize("rewards", [(0.0, 1.0), (-1.0, 0.0)])
@pytest.mark.parametrize("n_held", [1, 2, 5])
def test_success_is_every_observation_that_the_last_run_of_rewards_led_to(rewards, n_held):
    episode = ended(0, "success", n_steps=12, n_held=n_held)
    episode = replace(episode, reward=np.where(episode.reward > 0, rewards[1], rewards[0]).astype(np.float32))
    expected = [OTHER] * (13 - n_held - 3) + [UNTOLD] * 3 + [SUCCESS] * n_held
    assert labels_of(episode, margin=3).tolist() == expected


def test_of_an_open_episode_nothing_is_told_and_of_a_failure_all_is_other():
    assert set(labels_of(ended(0, "incomplete"))) == {UNTOLD}
    assert set(labels_of(ended(0, "failure"))) == {OTHER}
    short = replace(ended(0, "success"), reward=np.ones(12, np.float32))  # a constant reward tells of no moment
    assert (labels_of(short) == SUCCESS).sum() == 1


def test_no_episode_is_on_two_sides_of_a_split_and_every_side_has_both_outcomes(tmp_path):
    with a_store(tmp_path / "s.zarr", "sf" * 4 + "s" * 5) as store:
        examples = gather(store)
    for seed in range(30):
        split = by_episode(examples, np.random.default_rng(seed))
        assert (np.sum(split, axis=0) == 1).all()
        parts = [set(examples.episode[rows].tolist()) for rows in split]
        assert len(set.union(*parts)) == sum(len(part) for part in parts)
        assert all(len(np.unique(examples.outcome[rows])) == 2 for rows in split)


@pytest.mark.parametrize(("outcomes", "told"), [("ssssssfff", "6 successes and 3 failures"), ("s" * 9, "0 failures")])
def test_too_few_of_an_outcome_is_refused_in_one_line(tmp_path, outcomes, told):
    with a_store(tmp_path / "s.zarr", outcomes) as store:
        examples = gather(store)
    with pytest.raises(DataError, match=told) as refused:
        require_enough(examples, at_least=5)
    assert "\n" not in str(refused.value)


def test_a_store_without_known_outcomes_or_without_the_camera_is_refused(tmp_path):
    with a_store(tmp_path / "s.zarr", "oo") as store, pytest.raises(DataError, match="o2o label"):
        gather(store)
    with a_store(tmp_path / "t.zarr", "sf") as store, pytest.raises(DataError, match="no camera side"):
        gather(store, cameras=("side",))


def test_what_a_thing_near_the_lens_does_to_the_contrast_is_familiar_as_far_as_training_was_augmented():
    flat = np.random.default_rng(0).integers(118, 138, (40, 16, 16, 3)).astype(np.uint8)
    known = ranges({"wrist": flat})
    assert trouble(known, 16, {"wrist": striped(25)}) == "", "0.1, where 0.01 to 0.02 were seen"
    assert "contrast" in trouble(known, 16, {"wrist": striped(100)})


def striped(height: int) -> np.ndarray:
    """(16, 16, 3) of the same mean brightness, whatever the stripes' height above and below it."""
    up = np.where(np.arange(16) % 8 < 4, height, -height)
    return np.broadcast_to((128 + up)[None, :, None], (16, 16, 3)).astype(np.uint8)


def test_frames_like_those_of_training_are_familiar_and_a_dark_a_white_and_a_tinted_one_are_not():
    known = ranges(frames(60, np.arange(60) % 2 == 0, 0))
    fresh = frames(40, np.arange(40) % 2 == 0, 1)
    for t in range(40):
        assert trouble(known, 16, {name: images[t] for name, images in fresh.items()}) == ""
    good = {name: images[0] for name, images in fresh.items()}
    tinted = good["front"].copy()
    tinted[..., 1] = 0
    for strange in (np.zeros_like(tinted), np.full_like(tinted, 255), tinted):
        assert trouble(known, 16, {**good, "front": strange}).startswith("front: ")


def test_a_missing_camera_and_another_size_are_told_by_name():
    known = ranges(frames(10, np.zeros(10, bool), 0))
    good = {name: images[0] for name, images in frames(1, np.zeros(1, bool), 0).items()}
    assert trouble(known, 16, {"wrist": good["wrist"]}).startswith("no frame of front;")
    assert trouble(known, 16, {**good, "wrist": np.zeros((24, 32, 3), np.uint8)}).startswith("wrist is 32x24, trained")


def test_a_chosen_threshold_keeps_its_precision_and_gives_away_no_recall_that_it_need_not():
    rng = np.random.default_rng(3)
    for _ in range(60):
        y = rng.random(400) < 0.3
        p = 1 / (1 + np.exp(-rng.normal(0, 1.5, 400) - np.where(y, rng.uniform(0, 5), -2.0)))
        threshold = choose_inside(p, y, 0.95, recall=0.9)
        if threshold is None:
            assert all(quality(p, y, t).precision < 0.95 for t in p[p >= 0.5] if (p >= t).sum() >= 5)
            continue
        found = quality(p, y, threshold)
        assert found.precision >= 0.95
        lowest = max(quality(p, y, t).recall for t in p if t >= 0.5 and quality(p, y, t).precision >= 0.95)
        assert found.recall >= min(0.9, lowest) - 1e-9


def test_a_threshold_half_way_is_not_taken_where_it_is_less_precise_than_the_lowest():
    p = np.array([0.6] * 40 + [0.95] + [0.97] * 30)
    y = np.arange(71) != 40
    assert quality(p, y, 0.87).precision < 0.97
    assert choose_inside(p, y, 0.97, recall=0.4) == 0.6
