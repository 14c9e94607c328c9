"""How likely each episode succeeded, by a classifier that learnt from those whose outcome is known."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from o2o_robot.errors import DataError
from o2o_robot.reward.logistic import calibrate, fit, sigmoid
from o2o_robot.types import Array

MIN_EACH = 10  # fewer successes or failures than this say nothing about the next one
N_FOLDS = 5
N_COMPONENTS, MAX_PCA_ROWS = 256, 1500


class Opinion(NamedTuple):
    """Probabilities of success, one an episode.

    held_out (n_known,): of episodes whose outcome is known, by a classifier that has not seen them. open (n_open,): of
    the rest. fold (n_known,): episodes of one fold were held out together.
    """

    held_out: Array
    open: Array
    fold: Array


def learn(known: Array, is_success: Array, unlabelled: Array, rng: np.random.Generator) -> Opinion:
    """Features of the last frames, known (n, k, d) and unlabelled (m, k, d), to opinions; is_success (n,) bool.

    All frames of an episode are in one fold. An episode's score is the mean over its frames; probabilities are
    calibrated on held-out scores. Raises DataError where there are too few of either outcome.
    """
    require_enough(is_success)
    fold = stratified_folds(is_success, rng)
    short = compressed(np.concatenate([known, unlabelled]) if len(unlabelled) else known, rng)
    seen, fresh = short[: len(known)], short[len(known) :]
    score = np.empty(len(known))
    for k in range(N_FOLDS):
        score[fold == k] = _score(seen[fold != k], is_success[fold != k], seen[fold == k])
    scaling, rest = calibrate(score, is_success), _score(seen, is_success, fresh)
    return Opinion(sigmoid(scaling.logit(score[:, None])), sigmoid(scaling.logit(rest[:, None])), fold)


def given(known: Array, is_success: Array, unlabelled: Array, rng: np.random.Generator) -> Opinion:
    """The same of a judge that has learnt elsewhere: its probabilities for each frame, known (n, k), unlabelled (m, k).

    They are taken as they are; the known episodes must not be among those that the judge has learnt from.
    """
    require_enough(is_success)
    return Opinion(known.mean(axis=1), unlabelled.mean(axis=1), stratified_folds(is_success, rng))


def require_enough(is_success: Array) -> None:
    n_success, n_failure = int(is_success.sum()), int((~is_success).sum())
    if min(n_success, n_failure) < MIN_EACH:
        raise DataError(
            f"{n_success} successes and {n_failure} failures are known, at least {MIN_EACH} of each are needed to "
            "learn from; label more with --page or --from-file"
        )


def stratified_folds(is_success: Array, rng: np.random.Generator) -> Array:
    """(n,) 0 to N_FOLDS - 1, so that every fold has its share of both outcomes."""
    fold = np.empty(len(is_success), int)
    for rows in (np.flatnonzero(is_success), np.flatnonzero(~is_success)):
        fold[rng.permutation(rows)] = np.arange(len(rows)) % N_FOLDS
    return fold


def compressed(x: Array, rng: np.random.Generator) -> Array:
    """Features (n, k, d) as at most N_COMPONENTS principal components of total variance 1; outcomes are not looked at.

    The axes come from at most MAX_PCA_ROWS frames. On the twin's peg task this ranks held-out episodes no worse than
    all features do, and costs a hundredth of the time.
    """
    rows = x.reshape(-1, x.shape[2])
    sample = rows[rng.permutation(len(rows))[:MAX_PCA_ROWS]]
    mean, scale = sample.mean(axis=0), (sample.std(axis=0) + 1e-6) * np.sqrt(x.shape[2])
    a = (sample - mean) / scale
    spread, turns = np.linalg.eigh((a @ a.T).astype(np.float64))
    kept = np.flatnonzero(spread > 1e-9 * spread[-1])[::-1][:N_COMPONENTS]
    axes = (a.T @ turns[:, kept]) / np.sqrt(spread[kept])
    return (((rows - mean) / scale) @ axes).reshape(*x.shape[:2], -1)


def _score(x: Array, y: Array, x_new: Array) -> Array:
    """Mean log-odds (m,) of episodes x_new (m, k, d) by a fit on the frames of x (n, k, d)."""
    n_frames = x.shape[1]
    model = fit(x.reshape(-1, x.shape[2]), np.repeat(y, n_frames).astype(np.float64))
    logits: Array = model.logit(x_new.reshape(-1, x.shape[2])).reshape(-1, n_frames).mean(axis=1)
    return logits
