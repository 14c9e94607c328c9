"""What the critic promised against what followed: Q at a moment of an episode beside the return from there."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from o2o_robot.data.returns import RewardTransform
from o2o_robot.errors import ConfigError, DataError
from o2o_robot.jsonfile import read_json

SHOWN = 40
OPEN_EPISODES = 8


def return_from(step: int, n_steps: int, reward_sum: float, transform: RewardTransform) -> float:
    """Discounted sum of the transformed rewards of steps `step` to n_steps - 1 of an ended episode.

    The raw reward is taken to come with the last step: exact for tasks that pay success alone, as ours do.
    """
    left = n_steps - step
    if left < 1:
        raise ConfigError(f"step {step} is not within an episode of {n_steps} steps")
    discount = transform.discount
    every_step = transform.bias * (1.0 - discount**left) / (1.0 - discount)
    return every_step + transform.scale * reward_sum * discount ** (left - 1)


def read_transform(checkpoint: Path) -> RewardTransform | None:
    """The one that the critic of this checkpoint was trained with; None where it cannot be read."""
    try:
        told = read_json(checkpoint / "config.json")["transform"]
        return RewardTransform(**{name: float(told[name]) for name in ("scale", "bias", "discount")})
    except (DataError, ConfigError, KeyError, TypeError, ValueError):
        return None


class Promises:
    """Keeps the first Q heard of each episode until that episode has ended.

        promises.hear("online-000012", step=3, q=-14.2)
        promises.ended(line_of_episodes_jsonl)
        promises.kept()      # [{"q": -14.2, "ret": -12.9, "cut": False, "episode": ...}]

    An episode cut off by its time limit has no return of its own (a time limit bootstraps): `cut`, and drawn hollow.
    """

    def __init__(self, transform: RewardTransform | None) -> None:
        self.transform = transform
        self._open: dict[str, tuple[int, float]] = {}
        self._kept: deque[dict[str, Any]] = deque(maxlen=SHOWN)

    def hear(self, episode: str, *, step: int, q: float) -> None:
        if episode and q == q and episode not in self._open:
            self._open[episode] = (step, q)
            while len(self._open) > OPEN_EPISODES:
                del self._open[next(iter(self._open))]

    def ended(self, line: Mapping[str, Any]) -> None:
        known = self._open.pop(str(line.get("id")), None)
        termination, n_steps = line.get("termination"), int(line.get("n_steps", 0))
        if known is None or self.transform is None or termination not in ("task", "time_limit", "operator"):
            return
        if line.get("discarded") or line.get("outcome") not in ("success", "failure") or known[0] >= n_steps:
            return
        value = return_from(known[0], n_steps, float(line.get("reward_sum", 0.0)), self.transform)
        cut = termination == "time_limit"
        self._kept.append({"episode": line["id"], "q": known[1], "ret": value, "cut": cut})

    def kept(self) -> list[dict[str, Any]]:
        return list(self._kept)
