"""Logistic regression with a squared penalty, by Newton's method."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from o2o_robot.types import Array

_PENALTY = 1e-3  # per sample, on features of total variance 1; from two stores of the twin's peg task
_NEWTON_STEPS = 50


class Logistic(NamedTuple):
    """weights (d,) and bias of a linear score of x (N, d)."""

    weights: Array
    bias: float

    def logit(self, x: Array) -> Array:
        """(N,) log-odds."""
        return x @ self.weights + self.bias


def fit(x: Array, y: Array, *, penalty: float = _PENALTY) -> Logistic:
    """The penalised fit of y (N,), 0 to 1, on x (N, d); the bias is free."""
    z = np.column_stack([x, np.ones(len(x))]).astype(np.float64)
    ridge = np.append(np.full(x.shape[1], penalty * len(x)), 1e-9 * len(x))
    weights = _newton(z, np.asarray(y, np.float64), ridge)
    return Logistic(weights[:-1], float(weights[-1]))


def calibrate(logit: Array, y: Array) -> Logistic:
    """Platt's scaling: held-out log-odds (N,) against what was true, y (N,) bool, so that 0.9 is right 9 times in 10.

    The targets are drawn in a little from 0 and 1, by Platt's rule; else few samples make any score certain.
    """
    n_true, n_false = int(y.sum()), int((~y).sum())
    target = np.where(y, (n_true + 1) / (n_true + 2), 1 / (n_false + 2))
    return fit(logit[:, None], target, penalty=1e-6)


def sigmoid(logit: Array) -> Array:
    return 0.5 * (1.0 + np.tanh(0.5 * logit))


def _newton(z: Array, y: Array, ridge: Array) -> Array:
    """argmin of the penalised log-loss; steps are halved until the loss falls, so that it cannot diverge."""
    weights, loss = np.zeros(z.shape[1]), np.inf
    step = np.zeros_like(weights)
    for _ in range(_NEWTON_STEPS):
        tried, now = weights - step, _loss(z, y, ridge, weights - step)
        while now > loss and np.abs(step).max() > 1e-9:
            step = step / 2
            tried, now = weights - step, _loss(z, y, ridge, weights - step)
        is_settled = bool(loss - now < 1e-9 * max(1.0, abs(now)))
        weights, loss = tried, now
        if is_settled:
            break
        p = sigmoid(z @ weights)
        curvature = (z * (p * (1 - p))[:, None]).T @ z + np.diag(ridge)
        step = np.linalg.solve(curvature, z.T @ (p - y) + ridge * weights)
    return weights


def _loss(z: Array, y: Array, ridge: Array, weights: Array) -> float:
    t = z @ weights
    return float(np.sum(np.logaddexp(0.0, t) - y * t) + 0.5 * np.sum(ridge * weights**2))
