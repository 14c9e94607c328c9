"""A classifier that learns, is saved, refuses, and says where to look."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from reward_examples import SHAPE, a_store, ended, frames, untrained

from o2o_robot.data.labels import Correction
from o2o_robot.data.store import EpisodeStore
from o2o_robot.errors import CheckpointError, ConfigError, DataError
from o2o_robot.reward.augment import AugmentConfig, augmented, hue_turn, relit
from o2o_robot.reward.examples import gather
from o2o_robot.reward.fit import FitConfig, calibrated, fit
from o2o_robot.reward.learn import LearnConfig, Learned, learn
from o2o_robot.reward.picture import reliability, save, worst
from o2o_robot.reward.saved import load_classifier, save_classifier
from o2o_robot.reward.suggest import suggestions
from o2o_robot.reward.threshold import quality

FIT = FitConfig(steps=200, batch_size=32, learning_rate=3e-3, augment=AugmentConfig(crop_pad=1, hue_deg=5.0))


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Learned:
    """From 40 episodes whose success is a bright patch, by a network small enough for a second or two."""
    torch.set_num_threads(1)
    with a_store(tmp_path_factory.mktemp("store") / "s.zarr", "sf" * 20) as store:
        return learn(gather(store), SHAPE, LearnConfig(fit=FIT, at_least=5))


def test_success_is_told_from_frames_of_episodes_it_never_saw(learned):
    is_success = np.arange(400) % 2 == 0
    probability = learned.classifier.probability(frames(400, is_success, 999))
    found = quality(probability, is_success, learned.classifier.facts.threshold)
    assert found.precision >= 0.95
    assert found.recall >= 0.9
    assert learned.quality.precision >= 0.95


def test_the_same_seed_gives_the_same_classifier_and_leaves_torchs_generator_alone(tmp_path):
    with a_store(tmp_path / "s.zarr", "sf" * 5) as store:
        examples = gather(store)
    three_steps, before = replace(FIT, steps=3), torch.get_rng_state()

    def weights(seed: int) -> list[np.ndarray]:
        return [p.detach().numpy() for p in fit(examples, SHAPE, three_steps, seed=seed).parameters()]

    once, again, other = weights(1), weights(1), weights(2)
    assert all(np.array_equal(a, b) for a, b in zip(once, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(once, other, strict=True))
    assert torch.equal(before, torch.get_rng_state())


def test_what_is_saved_judges_alike_and_a_changed_byte_is_refused(tmp_path, learned):
    save_classifier(tmp_path / "reward", learned.classifier, provenance={"store": "s"})
    again, fresh = load_classifier(tmp_path / "reward"), frames(20, np.arange(20) < 10, 5)
    assert again.facts == learned.classifier.facts
    np.testing.assert_array_equal(again.probability(fresh), learned.classifier.probability(fresh))
    with pytest.raises(CheckpointError, match="give a new folder"):
        save_classifier(tmp_path / "reward", learned.classifier, provenance={})
    weights = tmp_path / "reward" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    with pytest.raises(CheckpointError, match="has changed since it was written"):
        load_classifier(tmp_path / "reward")
    with pytest.raises(CheckpointError, match="o2o reward train"):
        load_classifier(tmp_path)


def test_one_frame_has_the_probability_that_it_has_among_many():
    judge, seen = untrained(), frames(8, np.arange(8) < 4, 3)
    many = judge.probability(seen)
    one = [judge.probability_of({name: images[t] for name, images in seen.items()}) for t in range(8)]
    np.testing.assert_allclose(one, many, rtol=1e-5)


def test_frames_of_another_camera_or_size_have_no_probability():
    seen = frames(2, np.zeros(2, bool), 3)
    with pytest.raises(DataError, match="front is missing"):
        untrained().probability({"wrist": seen["wrist"]})
    with pytest.raises(DataError, match="16x16"):
        untrained().probability({**seen, "front": np.zeros((2, 24, 24, 3), np.uint8)})


@pytest.mark.parametrize("wrong", [{"temperature": 0.0}, {"off": 0.9}, {"threshold": 1.0}, {"bias": math.nan}])
def test_facts_that_cannot_be_meant_are_refused(wrong):
    with pytest.raises(ConfigError, match="temperature="):
        untrained(**wrong)


def test_a_scaling_gives_back_the_odds_that_were_scaled_and_never_turns_them_round():
    rng = np.random.default_rng(0)
    odds = rng.normal(0, 2, 4000)
    y = rng.random(4000) < 1 / (1 + np.exp(-odds))
    scaling = calibrated(3 * odds + 1, y)
    assert scaling.temperature == pytest.approx(3, rel=0.15)
    np.testing.assert_allclose(scaling.probability(3 * odds + 1), 1 / (1 + np.exp(-odds)), atol=0.05)
    assert calibrated(-odds, y).temperature > 0


def test_augmentation_keeps_greys_grey_and_a_black_frame_black_and_nothing_at_zero_changes_nothing():
    generator = torch.Generator().manual_seed(0)
    rng = np.random.default_rng(0)
    image = torch.from_numpy(rng.integers(0, 256, (6, 8, 8, 3)).astype(np.uint8))
    same = augmented({"wrist": image}, AugmentConfig(0, 0.0, 0.0, 0.0, 0.0), generator)["wrist"]
    assert torch.equal(same, image)
    grey = image[..., :1].expand(-1, -1, -1, 3).contiguous()
    turned = relit(grey, hue_turn(torch.linspace(-0.5, 0.5, 6)), torch.ones(6)).int()
    assert int((turned - grey.int()).abs().max()) <= 1
    assert int(augmented({"w": torch.zeros_like(image)}, AugmentConfig(), generator)["w"].max()) == 0
    assert not torch.equal(augmented({"w": image}, AugmentConfig(), generator)["w"], image)


def test_wrong_labels_are_suggested_before_right_ones(tmp_path, learned):
    with a_store(tmp_path / "s.zarr", "sf" * 8) as store:
        store.correct(4, Correction("failure", by="hand"))  # shows success
        store.correct(7, Correction("success", by="hand"))  # does not
        found = suggestions(store, learned.classifier)
    assert {s.episode for s in found[:2]} == {4, 7}
    assert sorted(s.episode for s in found) == list(range(16))
    hard = next(s for s in found if s.episode == 4)
    assert hard.row >= 9, "the frame that looks like success, not just any"


def test_the_worst_errors_come_first_and_the_picture_is_written(tmp_path, learned):
    p = np.array([0.9, 0.99, 0.2, 0.1, 0.5, 0.95])
    y = np.array([False, False, True, True, False, True])
    positive, negative = worst(p, y, 0.8)
    assert positive.tolist() == [1, 0]
    assert negative.tolist() == [3, 2]
    assert sum(n for _, _, n in reliability(p, y)) == 6
    save(tmp_path / "q.png", learned.held_out, learned.probability, 0.5, title="t")
    assert (tmp_path / "q.png").read_bytes()[:4] == b"\x89PNG"


def test_the_stories_train_judge_and_suggest_and_the_page_gets_the_opinions(tmp_path, capsys, monkeypatch):
    from o2o_robot import cli
    from o2o_robot.apps import reward
    from o2o_robot.labelling.opinions import read_opinions

    monkeypatch.setattr(reward, "default_shape", lambda cameras, side: SHAPE)
    with a_store(tmp_path / "s.zarr", "sf" * 20):
        pass
    store, out = str(tmp_path / "s.zarr"), str(tmp_path / "reward")
    train = ["reward", "train", store, "--out", out, "--steps", "200", "--cameras", "wrist", "front", "--threads", "1"]
    assert cli.main(train) in (0, 1)  # 1 where so few steps fall short of 0.98; it says so
    assert "held out, " in capsys.readouterr().out
    assert (tmp_path / "reward" / "quality.png").exists()
    assert cli.main(["reward", "eval", store, "--reward", out]) == 0
    assert "precision" in capsys.readouterr().out
    assert cli.main(["reward", "suggest", store, "--reward", out, "--n", "3", "--out", str(tmp_path / "look")]) == 0
    assert (tmp_path / "look" / "suggested.png").exists()
    with EpisodeStore.open(store) as episodes:
        assert set(read_opinions(episodes.path)) == {episodes.number(i) for i in range(40)}
    assert cli.main(train) == 1
    assert "give a new folder" in capsys.readouterr().err


def test_open_episodes_are_labelled_by_a_trained_classifier(tmp_path, learned):
    from o2o_robot.labelling.by_reward import reward_judge
    from o2o_robot.labelling.features import last_frames

    save_classifier(tmp_path / "reward", learned.classifier, provenance={})
    judge = reward_judge(tmp_path / "reward")
    means = [
        judge(last_frames(ended(seed, word))).mean() for seed in range(100, 110) for word in ("success", "failure")
    ]
    assert min(means[::2]) > max(means[1::2])
