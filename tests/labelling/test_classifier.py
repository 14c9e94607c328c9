"""The classifier of outcomes: it says only what held-out episodes bear out, and leaves the rest to a person."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from label_examples import a_store
from rich.console import Console

from o2o_robot.data.labels import Correction
from o2o_robot.errors import DataError
from o2o_robot.labelling import classifier, thresholds
from o2o_robot.labelling.by_classifier import judge_store, judge_store_with
from o2o_robot.labelling.classifier import N_FOLDS, stratified_folds
from o2o_robot.labelling.features import last_frames, thumbnails
from o2o_robot.labelling.overview import DOUBTFUL
from o2o_robot.labelling.thresholds import decide, side
from o2o_robot.reward import logistic
from o2o_robot.reward.threshold import choose

QUIET = Console(quiet=True)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def judged(store, precision=0.98, **kwargs):
    return judge_store(store, thumbnails, precision, rng(), console=QUIET, **kwargs)


def test_what_the_last_frames_show_is_labelled_rightly_and_the_known_ones_are_left_alone(tmp_path):
    with a_store(tmp_path / "s.zarr", "sf" * 20 + "SFSSF") as store:
        corrections = judged(store).corrections(who="c", at="now")
    assert {index: c.outcome for index, c in corrections.items()} == dict(
        zip(range(40, 45), ["success", "failure", "success", "success", "failure"], strict=True)
    )
    assert all(c.by == "classifier" and c.probability is not None for c in corrections.values())


def test_pictures_that_show_nothing_of_the_outcome_label_nothing(tmp_path):
    shown = np.random.default_rng(3).permutation(list("sf" * 20))
    with a_store(tmp_path / "s.zarr", "".join(shown) + "SF") as store:
        blind = judge_store(store, lambda frames: noise(frames), 0.98, rng(), console=QUIET)
    assert blind.corrections(who="c", at="now") == {}
    assert [e.index for e in blind.doubtful] == [40, 41]


def noise(frames):
    """Features that depend on the pictures' noise alone: a hash of them seeds what comes out."""
    image = frames["wrist"]
    return np.random.default_rng(int(image[:, 0].sum())).normal(size=(len(image), 8)).astype(np.float32)


def test_too_few_of_either_outcome_are_refused_with_the_counts(tmp_path):
    with a_store(tmp_path / "s.zarr", "s" * 12 + "f" * 9 + "S") as store, pytest.raises(DataError) as refused:
        judged(store)
    assert str(refused.value).startswith("12 successes and 9 failures are known, at least 10 of each")


def test_its_own_labels_are_not_learnt_from_and_a_persons_unknown_and_doubtful_are_left_to_the_person(tmp_path):
    with a_store(tmp_path / "s.zarr", "sf" * 12 + "SSFF") as store:
        store.correct(24, Correction("failure", by="classifier"))  # wrong: its pictures show success
        store.correct(25, Correction("unknown", by="hand"))
        store.correct(26, Correction("unknown", by="hand", note=DOUBTFUL))
        found = judged(store)
    assert [e.index for e in found.known] == list(range(24))
    assert [e.index for e in found.open] == [24, 27]
    assert {i: c.outcome for i, c in found.corrections(who="c", at="").items()} == {24: "success", 27: "failure"}


def test_what_it_is_no_longer_sure_of_goes_back_to_what_was_recorded(tmp_path):
    with a_store(tmp_path / "s.zarr", "sf" * 12 + "SF") as store:
        store.correct(24, Correction("success", by="classifier"))
        blind = judge_store(store, noise, 0.98, rng(), console=QUIET)
    assert {i: c.is_recorded for i, c in blind.corrections(who="c", at="").items()} == {24: True}


def test_a_judge_that_learnt_elsewhere_is_believed_as_far_as_the_known_episodes_bear_it_out(tmp_path):
    def bright(frames):
        return np.where(frames["wrist"][:, 5, 5, 0] > 128, 0.99, 0.01)

    with a_store(tmp_path / "s.zarr", "sf" * 12 + "SF") as store:
        right = judge_store_with(store, bright, 0.98, rng(), console=QUIET)
        wrong = judge_store_with(store, lambda frames: 1 - bright(frames), 0.98, rng(), console=QUIET)
    assert right.decision.words == ("success", "failure")
    assert wrong.decision.words == (None, None)


def test_an_episode_shorter_than_the_frames_looked_at_shows_its_first_one_again(tmp_path):
    with a_store(tmp_path / "s.zarr", "s") as store:
        episode = store.read(0)
    frames = last_frames(episode)["wrist"]
    assert np.array_equal(frames, episode.images["wrist"][-3:])
    first, second = episode.images["wrist"][:2]
    short = replace(episode, images={"wrist": episode.images["wrist"][:2]}, action=episode.action[:1])
    assert np.array_equal(last_frames(short)["wrist"], [first, first, second])


def test_all_frames_of_an_episode_are_held_out_together_and_every_fold_has_both_outcomes(monkeypatch):
    x, y = np.random.default_rng(1).normal(size=(30, 3, 4)), np.arange(30) < 12
    seen = []

    def fit(rows, targets, **kwargs):
        seen.append(rows)
        return logistic.fit(rows, targets, **kwargs)

    monkeypatch.setattr(classifier, "compressed", lambda rows, rng: rows)
    monkeypatch.setattr(classifier, "fit", fit)
    opinion = classifier.learn(x, y, np.empty((0, 3, 4)), rng())
    for k in range(N_FOLDS):
        held_out = {tuple(row) for row in x[opinion.fold == k].reshape(-1, 4)}
        assert len(held_out) == 3 * (opinion.fold == k).sum()
        assert not held_out & {tuple(row) for row in seen[k]}
        assert {0, 1} <= set(y[opinion.fold == k])


@given(st.integers(10, 40), st.integers(10, 40), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_folds_differ_by_at_most_one_of_each_outcome(n_success, n_failure, seed):
    y = np.arange(n_success + n_failure) < n_success
    fold = stratified_folds(y, np.random.default_rng(seed))
    for rows in (fold[y], fold[~y]):
        counts = np.bincount(rows, minlength=N_FOLDS)
        assert counts.max() - counts.min() <= 1


PROBABILITIES = st.lists(st.tuples(st.sampled_from(np.linspace(0, 1, 21)), st.booleans()), min_size=1, max_size=60)


@example([(0.9, True)] * 4 + [(0.6, True)] + [(0.6, False)] * 3, 1.0)  # a tie is said wholly or not at all
@given(PROBABILITIES, st.sampled_from([0.5, 0.8, 0.98, 1.0]))
@settings(max_examples=100, deadline=None)
def test_a_threshold_has_the_precision_asked_for_and_no_lower_one_has(pairs, precision):
    p, y = np.array([pair[0] for pair in pairs]), np.array([pair[1] for pair in pairs])

    def is_good(t: float) -> bool:
        return (p >= t).sum() >= thresholds.MIN_SUPPORT and y[p >= t].sum() >= precision * (p >= t).sum()

    threshold = choose(p, y, precision)
    good = [t for t in np.unique(p) if t >= 0.5 and is_good(t)]
    assert threshold == (min(good) if good else None)


@given(st.integers(0, 200), st.sampled_from([0.9, 0.98]))
@settings(max_examples=60, deadline=None)
def test_an_outcome_that_is_said_at_all_has_the_precision_on_episodes_its_threshold_never_saw(seed, precision):
    random = np.random.default_rng(seed)
    y = random.random(80) < 0.5
    p = logistic.sigmoid(random.normal(size=80) * 2 + np.where(y, 1.5, -1.5))
    found = side(p, y, stratified_folds(y, random), precision)
    if found.threshold is not None:
        assert found.n_right >= precision * found.n_said
        assert found.n_said >= thresholds.MIN_SUPPORT


def test_a_threshold_that_falls_short_is_drawn_in_rather_than_given_up():
    random = np.random.default_rng(1)
    y = np.arange(200) < 100
    p = logistic.sigmoid(random.normal(size=200) + np.where(y, 2.0, -2.0))
    fold = stratified_folds(y, random)
    barely = choose(p, y, 0.98)
    found = side(p, y, fold, 0.98)
    assert barely is not None
    assert found.threshold is not None
    assert found.threshold > barely


def test_doubtful_probabilities_are_no_labels_where_sure_ones_are():
    y = np.arange(60) < 30
    held_out = np.where(y, 0.95, 0.05)
    held_out[[0, 1, 30, 31]] = 0.5, 0.4, 0.5, 0.6
    opinion = classifier.Opinion(held_out, np.array([0.97, 0.5, 0.03]), stratified_folds(y, rng()))
    assert decide(opinion, y, 0.98).words == ("success", None, "failure")


def test_the_fit_is_where_the_loss_has_no_slope():
    random = np.random.default_rng(0)
    x = random.normal(size=(50, 4))
    y = (x[:, 0] + 0.5 * random.normal(size=50) > 0.3).astype(float)
    model = logistic.fit(x, y, penalty=0.01)
    error = logistic.sigmoid(model.logit(x)) - y
    assert x.T @ error + 0.01 * 50 * model.weights == pytest.approx(0, abs=1e-4)
    assert error.sum() == pytest.approx(0, abs=1e-4)


def test_separable_data_are_fitted_without_overflow():
    x = np.concatenate([np.full((20, 1), -9.0), np.full((20, 1), 9.0)])
    model = logistic.fit(x, np.repeat([0.0, 1.0], 20), penalty=1e-6)
    assert np.isfinite(model.weights).all()
    assert model.logit(x)[-1] > 5 > -5 > model.logit(x)[0]


def test_calibration_makes_a_boastful_score_as_sure_as_it_is_right():
    random = np.random.default_rng(0)
    truth = random.normal(size=4000)
    y = random.random(4000) < logistic.sigmoid(truth)
    scaling = logistic.calibrate(5 * truth, y)
    assert scaling.logit(np.array([[5.0]]))[0] == pytest.approx(1.0, abs=0.1)


def test_components_keep_distances_where_nothing_is_left_out():
    x = np.random.default_rng(0).normal(size=(10, 3, 50)).astype(np.float32)
    short = classifier.compressed(x, rng()).reshape(30, -1)
    rows = x.reshape(30, 50)
    scaled = (rows - rows.mean(axis=0)) / rows.std(axis=0) / np.sqrt(50)
    assert short @ short.T == pytest.approx(scaled @ scaled.T, abs=1e-4)
