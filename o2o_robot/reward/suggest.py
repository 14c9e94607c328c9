"""Which episodes a person's look would help the most: those the classifier is torn about, or surely wrong about."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from o2o_robot.data.labels import outcome_of
from o2o_robot.data.store import EpisodeStore
from o2o_robot.reward.examples import MARGIN
from o2o_robot.reward.saved import RewardClassifier
from o2o_robot.types import Array, Episode

N_LAST = 3  # the probability of an episode is the highest of its last frames: success may be held, or just reached


class Suggestion(NamedTuple):
    """episode: index in the store. row: the frame to look at. probability: of success, of the episode's end.

    urgency: 0 to 1, what looking gives. why: in words.
    """

    episode: int
    number: str
    row: int
    probability: float
    outcome: str
    urgency: float
    why: str


def suggestions(
    store: EpisodeStore, classifier: RewardClassifier, *, tick: Callable[[], None] = lambda: None
) -> list[Suggestion]:
    """One for every episode, the most urgent first."""
    found = []
    for index in range(len(store)):
        episode = store.read(index)
        found.append(_of(episode, index, store.number(index), classifier))
        tick()
    return sorted(found, key=lambda s: (-s.urgency, s.episode))


def _of(episode: Episode, index: int, number: str, classifier: RewardClassifier) -> Suggestion:
    p = classifier.probability(episode.images)
    end, outcome, on = float(p[-N_LAST:].max()), outcome_of(episode.meta), classifier.facts.threshold
    early = len(p) - N_LAST - MARGIN
    row, urgency, why = len(p) - 1, 1 - abs(2 * _scaled(end, on) - 1), f"probability {end:.2f} at its end"
    if outcome == "success" and end < on:
        urgency, why = 1 - end, f"called a success, probability {end:.2f}"
    elif outcome == "failure":
        row, urgency, why = _most(p, on, "called a failure")
    elif outcome == "success" and early > 0:
        row, urgency, why = _most(p[:early], on, "before its success")
    return Suggestion(index, number, row, end, outcome, round(urgency, 4), why)


def _most(p: Array, on: float, what: str) -> tuple[int, float, str]:
    """The frame that looks the most like success though it is none: a hard negative."""
    row = int(np.argmax(p))
    return row, _scaled(float(p[row]), on), f"{what}, probability {p[row]:.2f} at frame {row}"


def _scaled(p: float, on: float) -> float:
    """0 to 1 with the threshold in the middle, so that what it divides is what is doubtful."""
    return p / on / 2 if p < on else 1 - (1 - p) / (1 - on) / 2
