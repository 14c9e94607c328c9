"""A store's open episodes judged by a classifier that learns from the labelled ones, or by one that is given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from rich.console import Console
from rich.progress import track

from o2o_robot.data.labels import Correction
from o2o_robot.data.store import EpisodeStore
from o2o_robot.labelling import classifier
from o2o_robot.labelling.classifier import Opinion
from o2o_robot.labelling.features import Features, Judge, last_frames
from o2o_robot.labelling.overview import DOUBTFUL, Entry, entries
from o2o_robot.labelling.thresholds import Decision, decide
from o2o_robot.types import Array


class Judged(NamedTuple):
    """The episodes learnt from and the open ones, in order, what is decided about these, and p(success) by number."""

    known: Sequence[Entry]
    open: Sequence[Entry]
    decision: Decision
    probability: dict[str, float]

    @property
    def doubtful(self) -> list[Entry]:
        """Open episodes about which nothing is sure enough."""
        return [e for e, word in zip(self.open, self.decision.words, strict=True) if word is None]

    def corrections(self, *, who: str, at: str) -> dict[int, Correction]:
        """By index: a label where it is sure; what an earlier classifier was sure of and this one is not goes back."""
        found = {}
        for e, word in zip(self.open, self.decision.words, strict=True):
            if word is not None:
                p = round(self.probability[e.number], 4)
                found[e.index] = Correction(word, None, "classifier", who, at, probability=p)
            elif e.by == "classifier":
                found[e.index] = Correction.recorded(by="classifier", who=who, at=at, note="no longer sure")
        return found


def judge_store(
    store: EpisodeStore, features: Features, precision: float, rng: np.random.Generator, *, console: Console
) -> Judged:
    """Learn from the known outcomes and decide about the open episodes. Raises DataError where too few are known.

    What a classifier has said before is neither learnt from nor left standing: it is judged anew.
    """
    known, unlabelled, is_success = _parts(store)
    x, x_open = (_rows(store, part, features, console) for part in (known, unlabelled))
    return _judged(known, unlabelled, is_success, classifier.learn(x, is_success, x_open, rng), precision)


def judge_store_with(
    store: EpisodeStore, judge: Judge, precision: float, rng: np.random.Generator, *, console: Console
) -> Judged:
    """The same by a judge that has learnt elsewhere; the known episodes say how far it can be believed."""
    known, unlabelled, is_success = _parts(store)
    p, p_open = (_rows(store, part, judge, console) for part in (known, unlabelled))
    return _judged(known, unlabelled, is_success, classifier.given(p, is_success, p_open, rng), precision)


def _parts(store: EpisodeStore) -> tuple[list[Entry], list[Entry], Array]:
    """Episodes to learn from, episodes to judge, and which of the first succeeded.

    What a person has marked as unknown or doubtful is neither: it is theirs to decide.
    """
    every = entries(store)
    learnt = [e for e in every if e.by != "classifier" and e.outcome != "unknown" and e.note != DOUBTFUL]
    unlabelled = [e for e in every if e.by == "classifier" or not (e.is_decided or e.note == DOUBTFUL)]
    is_success = np.array([e.outcome == "success" for e in learnt], bool)
    classifier.require_enough(is_success)
    return learnt, unlabelled, is_success


def _rows(store: EpisodeStore, chosen: Sequence[Entry], look: Features | Judge, console: Console) -> Array:
    """What `look` makes of the last frames of each episode, stacked; one episode in memory at a time."""
    shown = track(chosen, "looking at last frames", console=console, transient=True, disable=not console.is_terminal)
    return np.array([look(last_frames(store.read(e.index, corrected=False))) for e in shown])


def _judged(
    known: Sequence[Entry], unlabelled: Sequence[Entry], is_success: Array, opinion: Opinion, precision: float
) -> Judged:
    pairs = [*zip(known, opinion.held_out, strict=True), *zip(unlabelled, opinion.open, strict=True)]
    probability = {e.number: float(p) for e, p in pairs}
    return Judged(known, unlabelled, decide(opinion, is_success, precision), probability)
