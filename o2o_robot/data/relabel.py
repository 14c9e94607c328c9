"""A late label laid over the transitions of a replay, by the very rule that a store has for it (labels.py)."""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import numpy as np

from o2o_robot.data import labels
from o2o_robot.data.episode_book import Ending
from o2o_robot.data.labels import Correction
from o2o_robot.errors import ConfigError
from o2o_robot.types import Array, Episode, Outcome, Termination

Word = Literal["success", "failure", "incomplete", "discard"]
"""What a person says of an episode (LabelEpisode.srv). discard: nobody is to learn from it."""


class Relabelled(NamedTuple):
    """Of T transitions, each (T,)."""

    reward: Array
    terminated: Array
    truncated: Array


def require_word(outcome: str) -> None:
    """Raises ConfigError for a word that is none."""
    if outcome not in get_args(Word):
        raise ConfigError(f"outcome '{outcome}' is unknown; allowed: {', '.join(get_args(Word))}")


def ending_of(reward: Array, terminated: Array, truncated: Array) -> Ending:
    return Ending(tuple(float(r) for r in reward), bool(terminated[-1]), bool(truncated[-1]))


def relabelled(recorded: Ending, outcome: Word, *, recorded_outcome: str = "") -> Relabelled:
    """What the episode is as `outcome`, counted from what was recorded: the last word is the only one that counts.

    recorded_outcome: as its meta had it; told by the rewards where nobody said.
    """
    n_steps, empty = len(recorded.reward), np.zeros(0)
    last = np.arange(n_steps) == n_steps - 1
    reward = np.array(recorded.reward, np.float32)
    found = recorded_outcome or _outcome(recorded, reward)
    termination = Termination.TASK if recorded.terminated else Termination.OPERATOR
    episode = Episode(
        images={},
        state={},
        stamp_ns=empty,
        action=np.zeros((n_steps, 0), np.float32),
        proposed=np.zeros((n_steps, 0), np.float32),
        reward=reward,
        terminated=last & recorded.terminated,
        truncated=last & recorded.truncated,
        reasons=empty,
        source=empty,
        revision=empty,
        meta={"outcome": found, "termination": termination.value},
    )
    word = outcome if outcome in ("success", "failure") else "unknown"
    after = labels.apply(episode, Correction(word))
    return Relabelled(after.reward, after.terminated, after.truncated)


def _outcome(recorded: Ending, reward: Array) -> str:
    """A step that the task ended succeeded where its reward is above all before it (0/1 and -1/0 alike)."""
    if not recorded.terminated:
        return Outcome.FAILURE.value if recorded.truncated else Outcome.INCOMPLETE.value
    is_best = reward[-1] > 0 or (len(reward) > 1 and reward[-1] > reward[:-1].max())
    return (Outcome.SUCCESS if is_best else Outcome.FAILURE).value
